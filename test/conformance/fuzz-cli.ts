/**
 * `npm run conformance:fuzz`: random op scripts, recorded on this machine's kernel and replayed on `src/ring`. What it
 * does, apart from being a process (fuzz.ts).
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE, type Output } from './cli.js';
import { minimise } from './minimise.js';
import { describeDifference, type Difference } from './outcome.js';
import { Progress } from './progress.js';
import { generateScripts } from './recorder/generate.js';
import { recorderAvailability, recordScripts, type RecorderAvailability } from './recorder/recorder.js';
import { replayOnRing } from './ring-replay.js';
import type { Trace } from './trace.js';

/** This machine cannot record. */
export const EXIT_UNAVAILABLE = 3;
/** Scripts recorded at a time: few enough to keep in memory, enough to keep two recorders busy. */
const BATCH = 1000;
/** A wakeup that the recorder missed is not a difference: it must be missing every time. */
const WAKEUP_RECORDINGS = 3;

interface FuzzOptions {
  seed: number;
  count: number;
  first: number;
  folder: string;
}

interface Finding {
  trace: Trace;
  difference: Difference;
}

/** What a script's trace differs in, after recording it again where only a wakeup is in doubt. */
async function judge(script: readonly string[], trace: Trace): Promise<Finding | undefined> {
  for (let recordings = 1; ; recordings++) {
    const { difference } = replayOnRing(trace);
    if (!difference) return undefined;
    const wakeupsOnly = replayOnRing(trace, { ignoreWakeups: true }).difference === undefined;
    if (!wakeupsOnly || recordings === WAKEUP_RECORDINGS) return { trace, difference };
    for await (const again of recordScripts([script])) trace = again;
  }
}

async function findDiffering(scripts: string[][]): Promise<{ index: number; finding: Finding } | undefined> {
  let index = 0;
  for await (const trace of recordScripts(scripts)) {
    const finding = await judge(scripts[index]!, trace);
    if (finding) return { index, finding };
    index++;
  }
  return undefined;
}

/** Shortens the script, and writes it and its trace into a folder. */
async function report(
  script: readonly string[],
  finding: Finding,
  folder: string,
  out: Output['out'],
): Promise<void> {
  const minimal = await minimise(script, finding, findDiffering);
  const file = join(folder, `${finding.trace.name}.jsonl`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, `${JSON.stringify(minimal.finding.trace)}\n`);
  writeFileSync(join(folder, `${finding.trace.name}.script`), `${minimal.script.join('\n')}\n`);
  out(describeDifference(minimal.finding.difference));
  out(`  shortened to ${minimal.script.length - 1} ops: ${file}`);
}

async function fuzz({ seed, count, first, folder }: FuzzOptions, out: Output['out']): Promise<number> {
  const progress = new Progress('scripts', count);
  let operations = 0;
  let failed = 0;
  for (let done = 0; done < count; done += BATCH) {
    const scripts = generateScripts(seed, Math.min(BATCH, count - done), first + done);
    let index = 0;
    for await (const trace of recordScripts(scripts)) {
      const script = scripts[index++]!;
      const finding = await judge(script, trace);
      operations += trace.ops.length;
      progress.step();
      if (!finding) continue;
      failed++;
      progress.end();
      await report(script, finding, folder, out);
    }
  }
  progress.end();
  out(`${operations} operations recorded, seed ${seed}, scripts ${first} to ${first + count - 1}`);
  out(`${count - failed} passed, ${failed} failed`);
  return failed === 0 ? EXIT_OK : EXIT_FAILED;
}

function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
    throw new TypeError(`--${name} takes a whole number from ${least} on, not ${text}`);
  return value;
}

const USAGE = `usage: conformance:fuzz -- [--seed S] [--count N] [--first I] [--out FOLDER]
  Makes N scripts from seed S (default 1), from the I-th on (default 0; N 1000), records them and replays them on src/ring.
  Scripts that differ are shortened and written to FOLDER (default conformance-findings).`;

function readOptions(args: string[]): FuzzOptions {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string', default: '1' },
      count: { type: 'string', default: '1000' },
      first: { type: 'string', default: '0' },
      out: { type: 'string', default: 'conformance-findings' },
    },
  });
  return {
    seed: wholeNumber('seed', values.seed, 0),
    count: wholeNumber('count', values.count, 1),
    first: wholeNumber('first', values.first, 0),
    folder: values.out,
  };
}

/**
 * @param availability says whether this machine can record; another one for tests
 * @returns the exit status
 */
export async function runFuzz(
  args: string[],
  { out, error }: Output,
  availability: () => RecorderAvailability = recorderAvailability,
): Promise<number> {
  let options: FuzzOptions;
  try {
    options = readOptions(args);
  } catch (complaint) {
    error((complaint as Error).message);
    error(USAGE);
    return EXIT_USAGE;
  }
  const recorder = availability();
  if (!recorder.available) {
    error(`not run: ${recorder.reason}`);
    return EXIT_UNAVAILABLE;
  }
  return fuzz(options, out);
}
