import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { SampleHandler } from '../../src/server/handlers/index.js';
import type { BatchVerdict } from '../../src/server/handlers/handler.js';
import type { HostedMap } from '../../src/server/hosted-map.js';
import type { DrainResult } from '../../src/server/drain-call.js';
import { shadowQueueBytes, type ShadowReport } from '../../src/server/shadow.js';
import type { ManualClock } from '../support/manual-clock.js';
import { hostMaps, putHandler, store } from './hosted.js';

let clock: ManualClock;
let map: HostedMap;
let seen: string[];

beforeEach(() => {
  const hosted = hostMaps();
  clock = hosted.clock;
  map = hosted.maps.create('m', { maxEntries: 65_536 }).map;
  seen = [];
});

type OnSample = SampleHandler['onSample'];
const drain = (maxTurns?: number): DrainResult => map.drain('h', 0, {}, { maxTurns }) as DrainResult;
const textOf = (sample: Parameters<OnSample>[0]): string => Buffer.from(sample.copy()).toString();
const watching =
  (verdict: (text: string) => unknown = () => 0): OnSample =>
  (sample) => {
    const text = textOf(sample);
    seen.push(text);
    return verdict(text) as 0 | 1;
  };

async function putShadow(onSample: OnSample, name = 's', enabled = true): Promise<void> {
  const spec = { kind: 'count', config: {}, trigger: { mode: 'manual' }, shadow: true, enabled } as const;
  const { registered } = await map.putHandler(name, spec);
  Object.assign(registered.handler, { onSample });
}
const report = (name = 's'): ShadowReport => map.shadowReport(map.handlers.get(name))!;
/** Runs shadows until nothing is left to do, pauses included. */
function settle(): void {
  for (let turn = 0; turn < 1000 && (clock.pendingSoon > 0 || clock.timers > 0); turn++) {
    clock.runAllSoon();
    clock.advance(1000);
  }
}

describe('a shadow', () => {
  it('gets the samples that a drain has released, after it, and consumes nothing', async () => {
    await putHandler(map, () => 0, { manual: true });
    await putShadow(watching());
    store(map, 'a', 'b', 'c');
    expect(drain()).toMatchObject({ ret: 3, wakeup: true });
    expect(seen).toEqual([]);
    settle();
    expect(seen).toEqual(['a', 'b', 'c']);
    expect(report()).toMatchObject({ calls: 3, differed: 0, skipped: 0, failed: 0, queued_bytes: 0 });
    expect(map.counters).toMatchObject({ drainedSamples: 3, drains: 1, shadowCalls: 3 });
  });

  it('does not get what a drain did not release: what failed, and what comes behind a verdict 1', async () => {
    const failing = (text: string): never => {
      throw new Error(text);
    };
    await putHandler(map, (sample) => (textOf(sample) === 'b' ? failing('b') : 0), { manual: true });
    await putShadow(watching());
    store(map, 'a', 'b', 'c');
    drain();
    settle();
    expect(seen).toEqual(['a']);
    await putHandler(map, () => 1, { manual: true });
    drain();
    settle();
    expect(seen).toEqual(['a', 'b']);
  });

  it('tells how often its verdict was another one than the real one, each way', async () => {
    await putHandler(map, (sample) => (['b', 'd'].includes(textOf(sample)) ? 1 : 0), { manual: true });
    await putShadow(watching((text) => (['d', 'e'].includes(text) ? 1 : 0)));
    store(map, 'a', 'b', 'c', 'd', 'e', 'f');
    for (let round = 0; round < 3; round++) drain();
    settle();
    // b: 1 against 0; d: both 1; e: 0 against 1.
    expect(report()).toMatchObject({ calls: 6, differed: 2 });
    expect(map.counters.shadowDiffered).toBe(2);
  });

  it('is called with the ctx that its samples were drained with, once for each drain that has one', async () => {
    await putHandler(map, () => 0, { manual: true });
    await putShadow(watching());
    const { handler } = map.handlers.get('s');
    Object.assign(handler, { begin: (ctx: unknown) => void seen.push(JSON.stringify(ctx)) });
    store(map, 'a');
    await map.drain('h', 0, { a: 1 });
    store(map, 'b', ...Array.from({ length: 150 }, () => '.'));
    await map.drain('h', 0, { a: 1 });
    store(map, 'c');
    await map.drain('h', 0, {});
    store(map, 'd');
    await map.drain('h', 0, 'text');
    settle();
    expect(seen.filter((text) => text !== '.')).toEqual([
      ...['{"a":1}', 'a', '{"a":1}', 'b'],
      ...['{}', 'c', '"text"', 'd'],
    ]);
    expect(report()).toMatchObject({ calls: 154, skipped: 0 });
  });

  it('fails on the samples of a drain whose ctx it does not take, and goes on behind them', async () => {
    await putHandler(map, () => 0, { manual: true });
    await map.putHandler('s', { kind: 'capture', config: {}, trigger: { mode: 'manual' }, shadow: true });
    store(map, 'a', 'b');
    await map.drain('h', 0, { stop_after: 'never' });
    store(map, 'c', 'd');
    await map.drain('h', 0, { stop_after: 2 });
    settle();
    expect(report()).toMatchObject({ calls: 2, failed: 2, errors: { EINVAL: 1 }, differed: 1, skipped: 0 });
  });

  it('keeps no more of ctx in memory than of samples: the rest is skipped', async () => {
    await putHandler(map, () => 0, { manual: true });
    await putShadow(watching());
    const ctx = { text: 'x'.repeat(1500) };
    for (const text of ['a', 'b', 'c']) {
      store(map, text);
      await map.drain('h', 0, ctx);
    }
    settle();
    expect([seen, report().skipped]).toEqual([['a', 'b'], 1]);
  });

  it('that is disabled is not called: what waits for it is skipped, and what is drained meanwhile is not counted', async () => {
    await putHandler(map, () => 0, { manual: true });
    await putShadow(watching());
    store(map, 'a', 'b');
    drain();
    map.enableHandler('s', false);
    settle();
    store(map, 'c');
    drain();
    settle();
    expect(seen).toEqual([]);
    expect(report()).toMatchObject({ calls: 0, skipped: 2, queued_bytes: 0 });
    map.enableHandler('s', true);
    store(map, 'd');
    drain();
    settle();
    expect(seen).toEqual(['d']);
    expect(report()).toMatchObject({ calls: 1, skipped: 2 });
  });

  it('that is registered as disabled waits until it is enabled', async () => {
    await putHandler(map, () => 0, { manual: true });
    await putShadow(watching(), 's', false);
    store(map, 'a');
    drain();
    settle();
    expect([seen, report().skipped]).toEqual([[], 0]);
    map.enableHandler('s', true);
    store(map, 'b');
    drain();
    settle();
    expect(seen).toEqual(['b']);
  });

  it('that is disabled during a run of its own ends behind it', async () => {
    await putHandler(map, () => 0, { manual: true });
    let finish = (): void => undefined;
    await putShadow(() => 0);
    Object.assign(map.handlers.get('s').handler, {
      shape: 'batch',
      maxRunBytes: 2,
      async onRun(run: { samples: number }): Promise<BatchVerdict> {
        seen.push(`run of ${run.samples}`);
        await new Promise<void>((done) => (finish = done));
        return { consumed: run.samples, stop: false };
      },
    });
    store(map, 'a', 'b', 'c', 'd');
    drain();
    clock.runAllSoon();
    map.enableHandler('s', false);
    finish();
    await expect.poll(() => report().queued_bytes).toBe(0);
    expect([seen, report()]).toMatchObject([['run of 2'], { calls: 2, skipped: 2 }]);
  });

  it('reports what it costs, and takes a fifth of the loop at most', async () => {
    await putHandler(map, () => 0, { manual: true });
    await putShadow(
      watching(() => {
        clock.advance(1);
        return 0;
      }),
    );
    store(map, ...Array.from({ length: 200 }, () => 'x'));
    drain();
    clock.runAllSoon();
    expect(report()).toMatchObject({ calls: 128, cost_ms: 128 });
    clock.advance(4 * 128 - 1);
    clock.runAllSoon();
    expect(report().calls).toBe(128);
    clock.advance(1);
    clock.runAllSoon();
    expect(report()).toMatchObject({ calls: 200, cost_ms: 200 });
  });

  it('counts its errors by errno, goes on behind what it failed on, and costs the drain nothing', async () => {
    await putHandler(map, () => 0, { manual: true });
    await putShadow(
      watching((text) => {
        if (text === 'b') throw new Error('by intent');
        return text === 'c' ? 7 : 0;
      }),
    );
    store(map, 'a', 'b', 'c', 'd');
    expect(drain()).toMatchObject({ ret: 4 });
    settle();
    expect(seen).toEqual(['a', 'b', 'c', 'd']);
    expect(report()).toMatchObject({ calls: 2, failed: 2, errors: { EIO: 1, EINVAL: 1 } });
    expect(map.handlers.get('h').health.lastError).toBeNull();
  });

  it('skips what its queue has no room for, and begins anew once it has caught up', async () => {
    await putHandler(map, () => 0, { manual: true });
    await putShadow(watching());
    // 16 bytes each: 256 of them fill the queue.
    store(map, ...Array.from({ length: 300 }, (_, index) => `${index}`));
    drain();
    store(map, 'late');
    drain();
    expect(report()).toMatchObject({ skipped: 45, queued_bytes: 4096 });
    settle();
    store(map, 'new');
    drain();
    settle();
    expect([seen.length, seen.at(-1)]).toEqual([257, 'new']);
    expect(map.counters).toMatchObject({ shadowSkipped: 45, shadowCalls: 257, drainedSamples: 302 });
  });

  it('keeps nobody waiting when it never comes back: an awaited one only fills its own queue', async () => {
    await putHandler(map, () => 0, { manual: true });
    await putShadow(() => 0);
    const runs: number[] = [];
    let answer: (verdict: BatchVerdict) => void = () => undefined;
    Object.assign(map.handlers.get('s').handler, {
      shape: 'batch',
      maxRunBytes: 4096,
      onRun: (run: { samples: number }) => {
        runs.push(run.samples);
        return new Promise<BatchVerdict>((resolve) => (answer = resolve));
      },
    });
    store(map, 'a');
    drain();
    clock.runAllSoon();
    for (let round = 0; round < 1000; round++) {
      store(map, 'b');
      expect(drain()).toMatchObject({ ret: 1 });
    }
    expect(runs).toEqual([1]);
    expect(report().queued_bytes).toBe(4096);
    answer({ consumed: 1, stop: true });
    await expect.poll(() => report().calls).toBe(1);
    expect(report().differed).toBe(1);
  });

  it('sees samples at the positions that they had in the map', async () => {
    const positions: bigint[] = [];
    await putHandler(map, () => 0, { manual: true });
    store(map, 'before');
    drain();
    await putShadow(() => 0);
    map.handlers.get('s').handler.begin = (_ctx, { headPosition }) => void positions.push(headPosition);
    store(map, 'a');
    drain();
    settle();
    store(map, 'b');
    drain();
    settle();
    expect(positions).toEqual([16n, 32n]);
  });

  it('is not drained through, has no trigger, and wants a managed map', async () => {
    await putShadow(() => 0);
    expect(() => map.drain('s', 0, {})).toThrow('"s" is a shadow');
    const auto = { mode: 'auto', flags: [], min_bytes: 1, max_delay_ms: 0 } as const;
    await expect(
      map.putHandler('t', { kind: 'count', config: {}, trigger: auto, shadow: true }),
    ).rejects.toThrow('a shadow follows the drains');
    const direct = hostMaps().maps.create('d', { maxEntries: 4096, mode: 'direct' }).map;
    await expect(
      direct.putHandler('t', { kind: 'count', config: {}, trigger: { mode: 'manual' }, shadow: true }),
    ).rejects.toThrow('map "d" is direct');
  });

  it('is gone when it is removed, and becomes real when it is registered as such', async () => {
    await putHandler(map, () => 0, { manual: true });
    await putShadow(watching());
    store(map, 'a');
    drain();
    await map.deleteHandler('s');
    settle();
    expect(seen).toEqual([]);
    await putShadow(watching());
    await map.putHandler('s', { kind: 'count', config: {}, trigger: { mode: 'manual' } });
    store(map, 'b');
    expect(map.drain('s', 0, {})).toMatchObject({ ret: 1 });
    expect(map.shadowReport(map.handlers.get('s'))).toBeUndefined();
  });

  it('never changes what a drain does, and misses nothing without counting it, over any mix', async () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ store: fc.array(fc.integer({ min: 0, max: 600 }), { minLength: 1, maxLength: 12 }) }),
        fc.record({ drain: fc.integer({ min: 1, max: 20 }) }),
        fc.constant({ run: true }),
        fc.constant({ discard: true }),
      ),
      { maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (mix) => {
        const play = async (withShadow: boolean): Promise<[unknown[], HostedMap]> => {
          const hosted = hostMaps();
          ({ clock } = hosted);
          map = hosted.maps.create('m', { maxEntries: 16_384 }).map;
          await putHandler(map, (sample) => (sample.size % 7 === 3 ? 1 : 0), { manual: true });
          if (withShadow) await putShadow((sample) => (sample.size % 5 === 3 ? 1 : 0));
          const results: unknown[] = [];
          const holder = { openReservations: 0 };
          for (const step of mix) {
            if ('store' in step) {
              const samples = step.store.map((size) => new Uint8Array(size));
              if (samples.reduce((sum, { length }) => sum + length + 16, 0) <= map.ring.free)
                store(map, ...samples);
            } else if ('drain' in step) results.push(drain(step.drain));
            else if ('run' in step) clock.runAllSoon();
            else if (map.ring.free >= 64) map.intake.discard(holder, map.intake.reserve(holder, 40));
          }
          return [results, map];
        };
        const [plain] = await play(false);
        const [shadowed, played] = await play(true);
        expect(shadowed).toEqual(plain);
        settle();
        expect(report()).toMatchObject({ failed: 0, queued_bytes: 0 });
        const { drainedSamples, shadowCalls, shadowSkipped } = played.counters;
        expect(shadowCalls + shadowSkipped).toBe(drainedSamples);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the size of a queue', () => {
  it('is a power of two within reason', () => {
    expect([1, 4096, 4097, 2 ** 18, 2 ** 40].map(shadowQueueBytes)).toEqual([
      4096,
      4096,
      8192,
      2 ** 18,
      2 ** 24,
    ]);
  });
});
