import { beforeEach, describe, expect, it } from 'vitest';
import type { SampleRun } from '../../src/ring/index.js';
import { records } from '../../src/ring/index.js';
import type { BatchVerdict } from '../../src/server/handlers/handler.js';
import type { HostedMap } from '../../src/server/hosted-map.js';
import { completeOnError, type OnErrorInput } from '../../src/server/on-error.js';
import { hostMaps, store, type HostedMaps } from './hosted.js';

let hosted: HostedMaps;
let map: HostedMap;
let dlq: HostedMap;
let poison: Set<string>;
/** Samples of each run that the handler was given. */
let runs: string[][];
let taken: string[];

beforeEach(() => {
  hosted = hostMaps();
  map = hosted.maps.create('m', { maxEntries: 65_536 }).map;
  dlq = hosted.maps.create('dlq', { maxEntries: 65_536 }).map;
  poison = new Set();
  runs = [];
  taken = [];
});

/** A handler that takes a run as a whole, or fails on it without saying why. */
async function put(onError: OnErrorInput): Promise<void> {
  const trigger = { mode: 'manual' } as const;
  const { registered } = await map.putHandler('h', {
    kind: 'count',
    config: {},
    trigger,
    onError: completeOnError(onError),
  });
  Object.assign(registered.handler, {
    shape: 'batch',
    maxRunBytes: 65_536,
    async onRun(run: SampleRun): Promise<BatchVerdict> {
      const texts: string[] = [];
      run.forEach((sample) => texts.push(new TextDecoder().decode(sample.copy())));
      runs.push(texts);
      if (texts.some((text) => poison.has(text))) throw new Error('a batch failed');
      taken.push(...texts);
      return { consumed: texts.length, stop: false };
    },
  });
}

/** Drains until the ring is empty; returns how many drains that took. */
async function drainAll(): Promise<number> {
  for (let drains = 1; ; drains++) {
    await map.drain('h', 0, {});
    if (map.ring.used === 0) return drains;
    if (drains > 1000) throw new Error('the ring never runs empty');
  }
}

const letters = (): string[] =>
  [...records(dlq.ring)].map(
    (record) => (JSON.parse(new TextDecoder().decode(record.payload())) as { sample: string }).sample,
  );
const numbered = (n: number): string[] => Array.from({ length: n }, (_, i) => `s${i}`);
const policy = { policy: 'dead_letter', map: 'dlq', max_attempts: 3 } as const;

describe('a batch that fails as a whole', () => {
  it('is tried max_attempts times, then halved down to the one sample that is to blame', async () => {
    await put(policy);
    poison.add('s5');
    store(map, ...numbered(8));
    await drainAll();
    expect(runs.map((run) => run.length)).toEqual([8, 8, 8, 4, 4, 2, 1, 1, 1, 1, 2]);
    expect(letters()).toEqual(['s5']);
    expect(taken).toEqual(['s0', 's1', 's2', 's3', 's4', 's6', 's7']);
  });

  it.each([0, 1, 49, 50, 98, 99])('finds sample %i of 100 in a bounded number of drains', async (index) => {
    await put(policy);
    poison.add(`s${index}`);
    store(map, ...numbered(100));
    // max_attempts for the whole, at most one for each halving, max_attempts for the sample alone, one for the rest.
    expect(await drainAll()).toBeLessThanOrEqual(3 + Math.ceil(Math.log2(100)) + 3 + 1);
    expect(letters()).toEqual([`s${index}`]);
    expect(taken).toEqual(numbered(100).filter((text) => !poison.has(text)));
  });

  it('with several bad samples loses none of the good ones, and keeps their order', async () => {
    await put(policy);
    for (const index of [0, 3, 4, 5, 31, 63]) poison.add(`s${index}`);
    store(map, ...numbered(64));
    await drainAll();
    expect(letters()).toEqual(['s0', 's3', 's4', 's5', 's31', 's63']);
    expect(taken).toEqual(numbered(64).filter((text) => !poison.has(text)));
    expect(map.counters).toMatchObject({ drainedSamples: 58, deadLetteredSamples: 6, bufferedSamples: 0 });
  });

  it('is given whole again once what made it fail is gone', async () => {
    await put(policy);
    poison.add('s0');
    store(map, ...numbered(16));
    await drainAll();
    runs = [];
    for (let i = 0; i < 12; i++) {
      store(map, ...numbered(16).map((text) => `${text}.`));
      await drainAll();
    }
    expect(runs.at(-1)).toHaveLength(16);
    expect(map.handlers.get('h').health.batchLimit).toBe(Infinity);
  });

  it('that recovers in the middle of the search makes no dead letter', async () => {
    await put(policy);
    poison.add('s5');
    store(map, ...numbered(8));
    for (let i = 0; i < 5; i++) await map.drain('h', 0, {});
    poison.clear();
    await drainAll();
    expect(letters()).toEqual([]);
    expect(taken).toEqual(numbered(8));
  });

  it('is not cut by retry: it gives up on the handler, not on a sample', async () => {
    await put({ policy: 'retry', max_attempts: 4 });
    poison.add('s2');
    store(map, ...numbered(8));
    for (let i = 0; i < 4; i++) await map.drain('h', 0, {});
    expect(runs.map((run) => run.length)).toEqual([8, 8, 8, 8]);
    expect(map.handlers.get('h').health.faulted).toBe(true);
  });

  it('is halved from where it failed, when it says so', async () => {
    await put(policy);
    const { handler } = map.handlers.get('h');
    // Takes what comes before the bad sample, then fails.
    Object.assign(handler, {
      async onRun(run: SampleRun): Promise<BatchVerdict> {
        const texts: string[] = [];
        run.forEach((sample) => texts.push(new TextDecoder().decode(sample.copy())));
        runs.push(texts);
        const bad = texts.findIndex((text) => poison.has(text));
        const consumed = bad < 0 ? texts.length : bad;
        taken.push(...texts.slice(0, consumed));
        return { consumed, stop: false, ...(bad >= 0 && { error: new Error('this one') }) };
      },
    });
    poison.add('s3');
    store(map, ...numbered(8));
    await drainAll();
    expect(letters()).toEqual(['s3']);
    expect(taken).toEqual(['s0', 's1', 's2', 's4', 's5', 's6', 's7']);
  });
});
