import { formatCell, formatNumber } from './format.js';
import type { BenchResults, Table } from './results.js';

/** The results as text for a terminal. */
export function terminalReport(results: BenchResults): string {
  const { machine } = results;
  const lines = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.system}; Node ${machine.node}`,
  ];
  for (const { group, commit, tries, tables, targets, skipped } of results.groups) {
    lines.push('', `${group}: medians of ${tries} tries, ± half the range; commit ${commit}`);
    for (const table of tables) lines.push('', table.title, ...tableLines(table));
    if (targets.length > 0) lines.push('');
    for (const { what, goal, measured, digits, holds } of targets)
      lines.push(`${holds ? 'HOLDS' : 'MISSED'}  ${what}: ${formatNumber(measured, digits)} (${goal})`);
    for (const reason of skipped) lines.push(`NOT RUN  ${reason}`);
  }
  return lines.join('\n');
}

function tableLines({ columns, rows }: Table): string[] {
  const cells = [
    ['', ...columns.map(({ title }) => title)],
    ...rows.map((row) => [row.name, ...columns.map((column) => formatCell(row.cells[column.key], column))]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  return cells.map((row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!)))
      .join('  '),
  );
}
