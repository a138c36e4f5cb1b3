import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostedMap } from '../../src/server/hosted-map.js';
import { TimeShare } from '../../src/server/time-share.js';
import type { ManualClock } from '../support/manual-clock.js';
import { hostMaps, putHandler, store } from './hosted.js';

const GRANT_MS = 5;
/** What a map may be ahead of another one, beside one drain: a grant, and what it may have saved (MAX_SAVED_GRANTS). */
const AHEAD_MS = GRANT_MS + 16 * GRANT_MS;

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

/** From microseconds, as `count` takes them, to a log line on a slow disk. */
const costs = fc.array(fc.double({ min: 0.02, max: 3, noNaN: true }), { minLength: 1, maxLength: 4 });

describe('auto triggers that always have something to drain', () => {
  it('get the same time each, whatever their samples cost, within a bound that does not grow', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(costs, { minLength: 2, maxLength: 5 }), async (mix) => {
        const hosted = hostMaps();
        const hot: HotMap[] = [];
        for (const [index, each] of mix.entries()) hot.push(await hotMap(hosted, `m${index}`, each));
        const end = hosted.clock.nowMs() + 600 * mix.length;
        while (hosted.clock.nowMs() < end) {
          hosted.clock.runSoon();
          const taken = hot.map(({ takenMs }) => takenMs);
          const longest = Math.max(...hot.map(({ longestMs }) => longestMs));
          expect(Math.max(...taken) - Math.min(...taken)).toBeLessThanOrEqual(AHEAD_MS + longest);
        }
      }),
      { numRuns: 15 },
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
    // Its first turn, of 256 samples that nobody has timed yet, takes 256 ms.
    const dear = await hotMap(hosted, 'dear', [1]);
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
