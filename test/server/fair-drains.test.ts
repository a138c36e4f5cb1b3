import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SampleRun } from '../../src/ring/index.js';
import type { BatchVerdict, DrainContext } from '../../src/server/handlers/handler.js';
import type { HostedMap } from '../../src/server/hosted-map.js';
import { waiting } from '../../src/server/loop-time.js';
import { TimeShare } from '../../src/server/time-share.js';
import type { ManualClock } from '../support/manual-clock.js';
import { hostMaps, putHandler, store } from './hosted.js';

const GRANT_MS = 5;
/** What may go by between two looks at the clock, where a sample takes less. */
const STRETCH_MS = 0.05;

interface HotMap {
  map: HostedMap;
  /** Milliseconds that its drains have taken. */
  takenMs: number;
  longestMs: number;
}

/** A map that never runs empty: each sample that is drained is followed by another one. `costs` in ms, one after the other. */
async function hotMap(
  hosted: { clock: ManualClock; maps: ReturnType<typeof hostMaps>['maps'] },
  name: string,
  costs: readonly number[],
): Promise<HotMap> {
  const map = hosted.maps.create(name, { maxEntries: 65_536 }).map;
  const hot: HotMap = { map, takenMs: 0, longestMs: 0 };
  let calls = 0;
  let drain = 0;
  let drainMs = 0;
  await putHandler(map, () => {
    const cost = costs[Math.floor(calls++ / 50) % costs.length]!;
    if (drain !== map.drainNumber) [drain, drainMs] = [map.drainNumber, 0];
    drainMs += cost;
    hot.takenMs += cost;
    hot.longestMs = Math.max(hot.longestMs, drainMs);
    hosted.clock.advance(cost);
    if (map.ring.free >= 16) store(map, 'x');
    return 0;
  });
  while (map.ring.free >= 16) store(map, 'x');
  return hot;
}

/** A map that never runs empty, with a handler that is awaited: it has the loop for each of `stretches`, in ms, and waits between. */
async function awaitedMap(
  hosted: { clock: ManualClock; maps: ReturnType<typeof hostMaps>['maps'] },
  name: string,
  stretches: readonly number[],
): Promise<HotMap> {
  const map = hosted.maps.create(name, { maxEntries: 4096 }).map;
  const hot: HotMap = { map, takenMs: 0, longestMs: 0 };
  await putHandler(map);
  Object.assign(map.handlers.get('h').handler, {
    shape: 'batch',
    maxRunBytes: 64,
    async onRun(run: SampleRun, { loop }: DrainContext): Promise<BatchVerdict> {
      for (const [index, ms] of stretches.entries()) {
        if (index > 0) await waiting(loop, new Promise((resolve) => setImmediate(resolve)));
        hosted.clock.advance(ms);
        hot.takenMs += ms;
      }
      return { consumed: run.samples, stop: false };
    },
  });
  const fill = (): void => {
    store(map, ...Array.from({ length: map.ring.free / 16 }, () => 'x'));
  };
  map.waiting.serve = fill;
  fill();
  return hot;
}

/** From microseconds, as `count` takes them, to a log line on a slow disk. */
const cost = fc.double({ min: 0.02, max: 12, noNaN: true });
const costs = fc.array(fc.double({ min: 0.02, max: 3, noNaN: true }), { minLength: 1, maxLength: 4 });

/** Turns of the event loop, with what promises wait for in between. */
async function run(clock: ManualClock, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    clock.runSoon();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('auto triggers that always have something to drain', () => {
  it('have had the same time each, whatever a sample of theirs costs, within one quantum and one sample', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(cost, { minLength: 2, maxLength: 6 }),
        fc.integer({ min: 1, max: 200 }),
        async (mix, turns) => {
          const hosted = hostMaps();
          const hot: HotMap[] = [];
          for (const [index, each] of mix.entries()) hot.push(await hotMap(hosted, `m${index}`, [each]));
          for (let turn = 0; turn < turns; turn++) hosted.clock.runSoon();
          const share = hot.reduce((sum, { takenMs }) => sum + takenMs, 0) / hot.length;
          for (const { takenMs } of hot)
            expect(Math.abs(takenMs - share)).toBeLessThanOrEqual(GRANT_MS + Math.max(...mix) + STRETCH_MS);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('have it also when the costs change all the time, within a quantum and the longest drain', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(costs, { minLength: 2, maxLength: 5 }), async (mix) => {
        const hosted = hostMaps();
        const hot: HotMap[] = [];
        for (const [index, each] of mix.entries()) hot.push(await hotMap(hosted, `m${index}`, each));
        const end = hosted.clock.nowMs() + 400 * mix.length;
        while (hosted.clock.nowMs() < end) {
          hosted.clock.runSoon();
          const taken = hot.map(({ takenMs }) => takenMs);
          const longest = Math.max(...hot.map(({ longestMs }) => longestMs));
          expect(Math.max(...taken) - Math.min(...taken)).toBeLessThanOrEqual(GRANT_MS + longest);
        }
      }),
      { numRuns: 15 },
    );
  });

  it('are charged with what they take of the loop between and behind their waits, too', async () => {
    const ms = fc.double({ min: 0, max: 25, noNaN: true });
    await fc.assert(
      fc.asyncProperty(fc.array(ms, { minLength: 2, maxLength: 4 }), cost, async (stretches, sampleMs) => {
        const hosted = hostMaps();
        const awaited = await awaitedMap(hosted, 'awaited', stretches);
        const hot = await hotMap(hosted, 'hot', [sampleMs]);
        await run(hosted.clock, 80);
        // A turn is cut between two runs, and it may begin while one of the other map is under way.
        const runMs = stretches.reduce((a, b) => a + b, 0);
        expect(awaited.takenMs - hot.takenMs).toBeLessThanOrEqual(2 * GRANT_MS + runMs);
      }),
      { numRuns: 20, examples: [[[0, 25], 0.02]] },
    );
  });

  it('keep a cold map waiting for one round at most: a turn of each of them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(costs, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 60 }),
        async (mix, turnsBefore) => {
          const hosted = hostMaps();
          const hot: HotMap[] = [];
          for (const [index, each] of mix.entries()) hot.push(await hotMap(hosted, `m${index}`, each));
          const cold = hosted.maps.create('cold', { maxEntries: 4096 }).map;
          let drainsAtCall: number[] | undefined;
          await putHandler(cold, () => {
            drainsAtCall = hot.map(({ map }) => map.drainNumber);
            return 0;
          });
          for (let turn = 0; turn < turnsBefore; turn++) hosted.clock.runSoon();
          const drainsBefore = hot.map(({ map }) => map.drainNumber);
          store(cold, 'x');
          for (let turn = 0; drainsAtCall === undefined && turn < 100; turn++) hosted.clock.runSoon();
          for (const [index, drains] of drainsAtCall!.entries())
            expect(drains - drainsBefore[index]!).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('let one that overdrew wait until the others have had as much', async () => {
    const hosted = hostMaps();
    const dear = await hotMap(hosted, 'dear', [250]);
    const cheap = await hotMap(hosted, 'cheap', [0.01]);
    hosted.clock.runSoon();
    expect(dear.map.drainNumber).toBe(1);
    while (dear.map.drainNumber === 1) hosted.clock.runSoon();
    expect(cheap.takenMs).toBeGreaterThan(240);
  });

  it('do not keep one waiting that is alone', async () => {
    const hosted = hostMaps();
    const dear = await hotMap(hosted, 'dear', [10]);
    hosted.clock.runSoon();
    hosted.clock.runSoon();
    expect(dear.map.drainNumber).toBe(2);
  });
});

describe('a share of the time', () => {
  it('lapses when there is nothing to drain; what was overdrawn does not, but is paid by time', () => {
    const share = new TimeShare(5);
    share.grant();
    share.leave(100);
    share.rejoin(100);
    expect(share.balanceMs).toBe(0);
    share.charge(30);
    share.leave(130);
    share.rejoin(140);
    expect([share.balanceMs, share.mayTurn, share.roundsToWait]).toEqual([-20, false, 4]);
    share.leave(140);
    share.leave(150);
    share.rejoin(1000);
    expect(share.balanceMs).toBe(0);
  });

  it('bounds what is saved, and what one turn may take of it', () => {
    const share = new TimeShare(5);
    share.grant(1000);
    expect([share.balanceMs, share.turnMs]).toEqual([80, 10]);
  });
});
