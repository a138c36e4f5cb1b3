/** The demo as people run it: its processes, its files, its exit code. Needs the built program, as `npm test` makes it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { differences } from '../../scripts/demo/conservation.js';
import { fillBar } from '../../scripts/demo/live-table.js';
import { SequenceCheck } from '../../scripts/demo/ndjson-files.js';
import { clip } from '../../scripts/demo/screen.js';
import type { Summary } from '../../scripts/demo/demo-run.js';

const DEMO = fileURLToPath(new URL('../../scripts/demo/index.js', import.meta.url));
/** Four processes start on a machine that may be busy with other tests. */
const RUN_TIMEOUT_MS = 90_000;

let temp: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  temp = mkdtempSync(join(tmpdir(), 'ringbufd-demo-test-'));
});
afterEach(async () => {
  for (const child of children.splice(0))
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGTERM'))
      await once(child, 'exit');
  rmSync(temp, { recursive: true });
});

interface Demo {
  child: ChildProcess;
  output: { stdout: string; stderr: string };
  exitCode: Promise<number | null>;
}

/** Starts the demo with its data directory below `temp`. */
function start(...argv: string[]): Demo {
  const child = spawn(process.execPath, [DEMO, ...argv], {
    env: { PATH: process.env.PATH, TMPDIR: temp },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return { child, output, exitCode: once(child, 'close').then(([code]) => code as number | null) };
}

/** Waits, with a bound, until `look` finds something. */
async function eventually<Found>(what: string, look: () => Found | undefined): Promise<Found> {
  for (let i = 0; i < 1500; i++) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`did not happen: ${what}`);
}

function summaryOf({ output }: Demo): Summary {
  expect(output.stdout, output.stderr).toMatch(/^\{.*\}\n$/);
  return JSON.parse(output.stdout) as Summary;
}

/** The NDJSON of the running or finished demo, the oldest file first. */
function ndjsonFiles(): string[] {
  const [dataDir] = readdirSync(temp);
  if (dataDir === undefined) return [];
  const folder = join(temp, dataDir, 'out', 'host');
  try {
    const age = (name: string): number => Number(/\d+$/.exec(name)?.[0] ?? 0);
    return readdirSync(folder)
      .sort((a, b) => age(b) - age(a))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

describe('npm run demo', () => {
  it(
    'ends with 0 when every acknowledged sample is in the NDJSON or in the ring, once and in order',
    async () => {
      const demo = start('--seconds', '3', '--keep');
      expect(await demo.exitCode, demo.output.stderr).toBe(0);
      const summary = summaryOf(demo);
      expect(summary).toMatchObject({ ok: true, differences: [], map: 'host' });
      expect(summary.accepted).toBe(summary.drained + summary.buffered);
      expect(summary.producers.map(({ name }) => name)).toEqual(['cpu', 'memory', 'io']);
      for (const { acknowledged, in_ndjson, in_ring } of summary.producers) {
        expect(acknowledged).toBe(in_ndjson + in_ring);
        expect(in_ndjson).toBeGreaterThan(0);
      }
      expect(summary.enospc).toBeGreaterThan(0);
      expect(summary.wakeups).toBeGreaterThan(0);

      // The same from the files, without the demo's own code.
      const lines = ndjsonFiles().flatMap((file) => readFileSync(file, 'utf8').trimEnd().split('\n'));
      expect(lines).toHaveLength(summary.drained);
      const heads = lines.map((line) => (JSON.parse(line) as { sample: string }).sample.split(' ', 3));
      for (const { name, in_ndjson } of summary.producers) {
        const mine = heads.filter(([source]) => source === name);
        expect(mine.map(([, sequence]) => Number(sequence))).toEqual(
          Array.from({ length: in_ndjson }, (_, index) => index + 1),
        );
        for (const [, , time] of mine)
          expect(Math.abs(Number(time) - Date.now())).toBeLessThan(RUN_TIMEOUT_MS);
      }
      expect(demo.output.stderr).toMatch(/fill +\d+ %/);
      // The file that it names is where it says, wherever the reader sits.
      const [, named] = /NDJSON in (.+)/.exec(demo.output.stderr)!;
      expect(ndjsonFiles()).toContain(named);
    },
    RUN_TIMEOUT_MS,
  );

  it(
    'ends with 1 and says what differs when a line of the NDJSON goes missing',
    async () => {
      const demo = start('--seconds', '2');
      const file = await eventually('an NDJSON file with two lines', () =>
        ndjsonFiles().find((name) => readFileSync(name, 'utf8').split('\n').length > 2),
      );
      joinFirstTwoLines(file);
      expect(await demo.exitCode).toBe(1);
      const summary = summaryOf(demo);
      expect(summary.ok).toBe(false);
      expect(summary.ndjson_lines).toBe(summary.drained - 1);
      expect(summary.differences).toContain(
        `the daemon drained ${summary.drained} samples, the NDJSON has ${summary.drained - 1} lines`,
      );
      expect(summary.differences.join('\n')).toMatch(/file\.ndjson(\.\d+)?:1: not JSON/);
      expect(demo.output.stderr).toContain(summary.differences[0]);
    },
    RUN_TIMEOUT_MS,
  );

  it(
    'runs without /proc, ends cleanly on Ctrl-C, and leaves nothing behind',
    async () => {
      const demo = start('--proc', join(temp, 'no-proc'));
      const url = await eventually('samples drained', () =>
        / drained [1-9]/.test(demo.output.stderr)
          ? /daemon at (http:\S+)/.exec(demo.output.stderr)?.[1]
          : undefined,
      );
      demo.child.kill('SIGINT');
      expect(await demo.exitCode, demo.output.stderr).toBe(0);
      const summary = summaryOf(demo);
      expect(summary).toMatchObject({ ok: true, source: 'node:os', data_dir: null });
      expect(summary.producers.every(({ acknowledged }) => acknowledged > 0)).toBe(true);
      expect(demo.output.stderr).toMatch(/this host has no .*no-proc.stat/);
      expect(readdirSync(temp)).toEqual([]);
      await expect(fetch(url)).rejects.toThrow();
    },
    RUN_TIMEOUT_MS,
  );

  it('prints its options with --help', async () => {
    const demo = start('--help');
    expect(await demo.exitCode).toBe(0);
    for (const option of ['--seconds', '--keep', '--proc', '--help'])
      expect(demo.output.stdout).toContain(option);
  });

  it.each([
    [['--second', '3'], /Unknown option '--second'/],
    [['3'], /3/],
    [['--seconds', 'soon'], /--seconds takes a number .* not "soon"/],
    [['--seconds', '0'], /--seconds takes a number/],
    [['--seconds'], /--seconds/],
  ])('refuses %j with exit code 2 and starts nothing', async (argv, message) => {
    const demo = start(...argv);
    expect(await demo.exitCode).toBe(2);
    expect(demo.output.stderr).toMatch(message);
    expect(demo.output.stdout).toBe('');
    expect(readdirSync(temp)).toEqual([]);
  });
});

/** Overwrites the first line feed: the daemon only appends, so nobody else writes there. */
function joinFirstTwoLines(path: string): void {
  const file = openSync(path, 'r+');
  try {
    const start = Buffer.alloc(8192);
    readSync(file, start, 0, start.length, 0);
    writeSync(file, ' ', start.indexOf('\n'));
  } finally {
    closeSync(file);
  }
}

describe('the check of sequence numbers', () => {
  it.each([
    ['a gap', ['a 1 0 x', 'a 3 0 x'], ['2: a 2 missing']],
    ['a wider gap', ['a 1 0 x', 'a 9 0 x'], ['2: a 2-8 missing']],
    ['a gap at the beginning', ['a 2 0 x'], ['1: a 1 missing']],
    ['a duplicate', ['a 1 0 x', 'a 1 0 x', 'a 2 0 x'], ['2: a 1 came again or too late, after 1']],
    ['wrong order', ['a 2 0 x', 'a 1 0 x'], ['1: a 1 missing', '2: a 1 came again or too late, after 2']],
    ['a foreign sample', ['hello'], ['1: not a sample of the demo']],
    ['nothing when two sources mix', ['a 1 0 x', 'b 1 0 x', 'b 2 0 x', 'a 2 0 x'], []],
  ])('finds %s', (_what, samples, faults) => {
    const check = new SequenceCheck();
    samples.forEach((sample, index) => check.sample(sample, String(index + 1)));
    expect(check.faults).toEqual(faults);
  });
});

describe('the comparison of the books', () => {
  const good = {
    acknowledged: new Map([['a', 10]]),
    daemon: { accepted: 10, drained: 7, discarded: 0 },
    inFiles: new Map([['a', 7]]),
    lines: 7,
    inRing: new Map([['a', 3]]),
    buffered: 3,
  };

  it('has nothing to say when they agree', () => {
    expect(differences(good)).toEqual([]);
  });

  it.each([
    ['an acknowledged sample that the daemon does not know', { acknowledged: new Map([['a', 11]]) }],
    ['a stored sample that nobody was told of', { daemon: { accepted: 11, drained: 8, discarded: 0 } }],
    [
      'a drained sample without a line',
      { daemon: { accepted: 11, drained: 8, discarded: 0 }, acknowledged: new Map([['a', 11]]) },
    ],
    ['a sample missing in the ring', { buffered: 2, inRing: new Map([['a', 2]]) }],
    [
      'one source in place of another',
      {
        inFiles: new Map([
          ['a', 6],
          ['b', 1],
        ]),
      },
    ],
  ])('names %s', (_what, change) => {
    expect(differences({ ...good, ...change })).not.toEqual([]);
  });
});

describe('the table', () => {
  it('draws the fill to an eighth of a cell', () => {
    expect(fillBar(0, 4)).toBe('');
    expect(fillBar(1, 4)).toBe('████');
    expect(fillBar(0.5 + 1 / 32, 4)).toBe('██▏');
  });

  it('clips a line by what is seen of it, and ends its colour', () => {
    expect(clip('\x1b[32mabc\x1b[39mdef', 6)).toBe('\x1b[32mabc\x1b[39mdef');
    expect(clip('\x1b[32mabcdef', 2)).toBe('\x1b[32mab\x1b[0m');
  });
});
