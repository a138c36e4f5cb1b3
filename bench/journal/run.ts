/**
 * `npm run bench:journal [-- --dir DIR]`: what the journal costs. The checksum of each record against others, commits of
 * 64 KiB frames of 64-byte samples into a real file, what one sync takes, and what creating a file takes. The table in
 * docs/DURABILITY.md is its output.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createUserRing, Producer } from '../../src/ring/index.js';
import { systemClock } from '../../src/server/clock.js';
import { FileStore } from '../../src/server/journal/file-store.js';
import { Staging, type Slice } from '../../src/server/journal/staging.js';
import { momentOf } from '../../test/support/journal-rig.js';
import { thisMachine } from '../measure/machine.js';
import { checksumContenders, RECORD_WORDS, RECORDS } from './checksums.js';

const { values } = parseArgs({ options: { dir: { type: 'string', default: 'coverage' } } });
const RING_BYTES = 16 * 1024 * 1024;
const TRIES = 7;
const ROUNDS = 1000;

console.log(JSON.stringify(thisMachine()));
benchChecksums();
await benchCommits();

function benchChecksums(): void {
  const frame = new Uint8Array(4 * RECORD_WORDS * RECORDS);
  const frameWords = new Int32Array(frame.buffer);
  for (let word = 0; word < frameWords.length; word++)
    frameWords[word] = word % RECORD_WORDS === 0 ? 64 : Math.imul(word, 0x9e3779b1);
  const room = new Staging();
  const slice = room.acquire() as Slice;
  const staging = slice.bytes.subarray(0, frame.length);
  const words = slice.words.subarray(0, frameWords.length);
  for (const { name, pass } of checksumContenders(room.code)) {
    const once = (): void => {
      staging.set(frame);
      pass(words, staging);
    };
    for (let warm = 0; warm < 2000; warm++) once();
    const micros = tries(() => {
      const started = cpuMicros();
      for (let round = 0; round < ROUNDS; round++) once();
      return (cpuMicros() - started) / ROUNDS;
    });
    report(name, micros, 'µs of CPU per 64 KiB');
  }
}

async function benchCommits(): Promise<void> {
  mkdirSync(values.dir, { recursive: true });
  const directory = mkdtempSync(join(values.dir, 'bench-journal-'));
  const store = await FileStore.open({
    directory,
    clock: systemClock,
    maxProducers: 64,
    maxQuarantineBytes: 0,
    maxDiskWaitMs: 100,
  });
  try {
    for (const durability of ['written', 'synced'] as const)
      for (const frames of [1, 16]) await benchCommit(store, durability, frames);
    const times: number[] = [];
    for (let index = 0; index < 3; index++) {
      const started = performance.now();
      const made = await store.open(`made-${index}`, {
        maxEntries: 4 * RING_BYTES,
        durability: 'synced',
        incarnation: 'bench',
      });
      times.push(performance.now() - started);
      await made.close();
    }
    report('creating a file of 64 MiB, synced', times, 'ms');
  } finally {
    await store.close();
    rmSync(directory, { recursive: true });
  }
}

/** Commits of `frames` frames each, one after the other, drained at once. */
async function benchCommit(
  store: FileStore,
  durability: 'written' | 'synced',
  frames: number,
): Promise<void> {
  const journal = await store.open(`${durability}-${frames}`, {
    maxEntries: RING_BYTES,
    durability,
    incarnation: 'bench',
  });
  const ring = createUserRing({ maxEntries: RING_BYTES }, { mode: 'managed', shared: true });
  const producer = new Producer(ring);
  journal.attach({
    ring,
    snapshot: () => momentOf(ring),
    durable: (snapshot) => {
      ring.consumerPosition = snapshot.producerPos;
    },
    failed: (errno, error) => {
      throw new Error(errno, { cause: error });
    },
  });
  const run = new Uint8Array(4 * RECORD_WORDS * RECORDS);
  new Int32Array(run.buffer).forEach((_, word, words) => (words[word] = word % RECORD_WORDS === 0 ? 64 : 0));
  const commits = durability === 'written' ? 200 : 20;
  const times: number[] = [];
  const cpu: number[] = [];
  for (let attempt = 0; attempt <= TRIES; attempt++) {
    const started = performance.now();
    const cpuStarted = cpuMicros();
    for (let commit = 0; commit < commits; commit++) {
      for (let frame = 0; frame < frames; frame++) producer.outputRun(run);
      journal.changed();
      await journal.settled();
    }
    // The first warms up.
    if (attempt === 0) continue;
    times.push(((performance.now() - started) * 1000) / (commits * frames));
    cpu.push((cpuMicros() - cpuStarted) / (commits * frames));
  }
  const name = `${durability}, commits of ${frames} ${frames === 1 ? 'frame' : 'frames'}`;
  report(name, times, 'µs per 64 KiB frame');
  report(name, cpu, 'µs of CPU per 64 KiB frame, all threads');
  await journal.close();
}

/** CPU time of this process: other processes on the machine do not count. */
function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function tries(measure: () => number): number[] {
  return Array.from({ length: TRIES }, measure);
}

function report(name: string, values: readonly number[], unit: string): void {
  const sorted = [...values].sort((a, b) => a - b);
  const [median, least, most] = [sorted[sorted.length >> 1]!, sorted[0]!, sorted[sorted.length - 1]!];
  console.log(`${name.padEnd(56)} ${median.toFixed(1)} ${unit} (${least.toFixed(1)} to ${most.toFixed(1)})`);
}
