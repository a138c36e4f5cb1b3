/** docs/BENCHMARKS.md, made of the committed results and of what people have written about them. */
import { median } from '../measure/statistics.js';
import { formatCell, formatNumber } from './format.js';
import type { BenchResults, GroupRun, Table, Target } from './results.js';

/** What each group shows; the text above its tables. */
const introductions: Record<string, { title: string; text: string }> = {
  'in-process': {
    title: 'The ring alone',
    text: `One process, a ring of 256 KiB, filled and drained in turns. *Plain copy* is \`set()\` of the same runs into a buffer of the
same kind: what no ring can beat. *Output, batched* is what the daemon does with an OUTPUT frame: check the whole run,
then copy it. *Drain* hands each sample to a callback, which reads 4 bytes of it through its Dynptr; the kernel's callback does
the same. Each case has a process of its own.`,
  },
  websocket: {
    title: 'Over the network',
    text: `The server is one process, the producers are another, over 127.0.0.1. Producers write frames that were masked before the
clock started, so that they are not what is measured; the last table of each group says who was busy. Goals compare what the
servers do per second of their own processor time (all threads), which neither the producers nor other work on the machine
change. Every sample is
acknowledged, and what the server says it has is compared with that after each try. The *bare ws server* is what WebSocket
alone costs in Node.js: the ws library, counting bytes; its messages are not kept, checked, acknowledged or drained. Brokers get one sample as one message, pipelined, in the settings below the tables; in the
column of 64 KiB frames their messages are packs of as many samples, which they then know nothing about. They have no consumer,
ringbufd does: its samples are drained.`,
  },
  latency: {
    title: 'Latency',
    text: `Open model: a sample is sent when it is due, however late the answers are, and its latency counts from when it was due.
Histograms are HDR with three figures. For the wakeups a ring is filled, each waiter's OUTPUT is refused with ENOSPC, and one
drain is asked for over REST: that is when the clock starts.`,
  },
  scale: {
    title: 'Scale',
    text: `Resident memory of the daemon, before and after. Costs are the daemon's processor time, whatever else the machine does.`,
  },
  soak: {
    title: 'Soak',
    text: `One producer at full rate for minutes; resident memory of the daemon at the start and at the end.`,
  },
};

/**
 * The page, in Markdown, not yet formatted.
 * @param findings what was tried and what the limits are, in Markdown: written by people
 */
export function benchmarksPage(results: BenchResults, findings: string): string {
  const { machine, groups } = results;
  return `# Benchmarks

<!-- Generated from bench/results/latest.json and bench/report/findings.md. Do not edit; run UPDATE_DOCS=1 npx vitest run test/docs/benchmarks.test.ts -->

\`npm run bench\` measures everything on this page on your machine; \`npm run bench -- --quick\` takes less than 90 seconds.
\`bench/setup\` installs the brokers that it compares with (Debian). All contenders of a table are measured in turns in one run,
so that what disturbs the machine disturbs all of them. Figures are medians; ± is half the range of the tries.

Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}, Node ${machine.node} (V8 ${machine.v8}).

## Goals

${targetTable(groups.flatMap(({ targets }) => targets))}

${withFigures(findings.trim(), results)}

${groups.map(section).join('\n\n')}
`;
}

function section(run: GroupRun): string {
  const { title, text } = introductions[run.group] ?? { title: run.group, text: '' };
  const parts = [
    `## ${title}`,
    text,
    `Commit ${run.commit}, ${run.date}, medians of ${run.tries}${run.quick ? ', quick' : ''}.`,
    ...run.tables.map(tableSection),
    ...run.skipped.map((reason) => `Not run: ${reason}.`),
  ];
  return parts.join('\n\n');
}

function targetTable(targets: readonly Target[]): string {
  const rows = targets.map(
    ({ what, goal, measured, digits, holds }) =>
      `| ${what} | ${goal} | ${formatNumber(measured, digits)} | ${holds ? 'holds' : '**missed**'} |`,
  );
  return ['| Goal | | Measured | |', '| --- | --- | ---: | --- |', ...rows].join('\n');
}

function tableSection(table: Table): string {
  const { title, columns, rows } = table;
  const lines = [
    `### ${title}`,
    '',
    `| | ${columns.map((column) => column.title).join(' | ')} |`,
    `| --- | ${columns.map(() => '---:').join(' | ')} |`,
    ...rows.map(
      (row) =>
        `| ${row.name} | ${columns.map((column) => formatCell(row.cells[column.key], column)).join(' | ')} |`,
    ),
  ];
  const notes = rows.filter(({ note }) => note !== undefined).map(({ name, note }) => `- ${name}: ${note}.`);
  return [...lines, ...(notes.length > 0 ? ['', ...notes] : [])].join('\n');
}

/** `{{table/row/column/digits}}` in a text is the median of that cell. @throws Error when it is not there */
function withFigures(text: string, results: BenchResults): string {
  return text.replaceAll(
    /\{\{([^/}]+)\/([^/}]+)\/([^/}]+)\/(\d)\}\}/g,
    (_, table: string, row: string, column: string, digits: string) =>
      formatNumber(figure(results, table, row, column), Number(digits)),
  );
}

function figure({ groups }: BenchResults, table: string, row: string, column: string): number {
  const found = groups.flatMap(({ tables }) => tables).find(({ key }) => key === table);
  const cell = found?.rows.find(({ name }) => name === row)?.cells[column];
  if (cell === undefined) throw new Error(`the results have no ${table} / ${row} / ${column}`);
  return median(cell.values);
}
