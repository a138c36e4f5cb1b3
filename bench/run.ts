/**
 * `npm run bench [-- --quick] [--only GROUP,GROUP] [--tries N] [--out FILE]`: every group of the benchmark, one after the
 * other, each contender in turn. Prints tables; writes the results as JSON, from which docs/BENCHMARKS.md is made:
 * `UPDATE_DOCS=1 npx vitest run test/docs/benchmarks.test.ts`. Exit status: 0 it ran, whatever the figures are; 1 something
 * did not add up.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { groups } from './groups.js';
import { thisCommit, thisMachine } from './measure/machine.js';
import type { BenchResults, GroupRun } from './report/results.js';
import { terminalReport } from './report/terminal.js';

const QUICK_TRIES = 3;
const TRIES = 5;

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    tries: { type: 'string' },
    out: { type: 'string', default: 'coverage/bench.json' },
  },
});
const { quick } = options;
const tries = Number(options.tries ?? (quick ? QUICK_TRIES : TRIES));
if (!Number.isInteger(tries) || tries < 1) throw new RangeError('--tries takes a number from 1 on');
const only = options.only?.split(',');
const unknown = only?.filter((name) => !groups.some((group) => group.name === name)) ?? [];
if (unknown.length > 0)
  throw new RangeError(
    `there is no ${unknown.join(', ')}: the groups are ${groups.map(({ name }) => name).join(', ')}`,
  );

// The file keeps the groups that do not run now, if it is of the same machine: a full run in several parts.
const machine = thisMachine();
const kept = readResults(options.out);
const runs: GroupRun[] =
  kept !== undefined && JSON.stringify(kept.machine) === JSON.stringify(machine) ? [...kept.groups] : [];
const ran: GroupRun[] = [];
for (const group of groups) {
  if (only === undefined ? group.onRequest : !only.includes(group.name)) continue;
  const progress = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
  const result = await group.run({ quick, tries, progress });
  const run = { ...result, date: new Date().toISOString().slice(0, 10), commit: thisCommit(), quick, tries };
  ran.push(run);
  const place = runs.findIndex(({ group: name }) => name === group.name);
  runs.splice(place < 0 ? runs.length : place, place < 0 ? 0 : 1, run);
}
mkdirSync(dirname(options.out), { recursive: true });
writeFileSync(
  options.out,
  `${JSON.stringify({ machine, groups: inOrder(runs) } satisfies BenchResults, undefined, 1)}\n`,
);
console.log(terminalReport({ machine, groups: ran }));

function inOrder(results: readonly GroupRun[]): GroupRun[] {
  const order = groups.map(({ name }) => name);
  return [...results].sort((a, b) => order.indexOf(a.group) - order.indexOf(b.group));
}

function readResults(file: string): BenchResults | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as BenchResults) : undefined;
}
