import { beforeEach, describe, expect, it } from 'vitest';
import type { Verdict } from '../../src/ring/index.js';
import type { DrainScheduler } from '../../src/server/drain-scheduler.js';
import type { HostedMap } from '../../src/server/hosted-map.js';
import type { Watcher } from '../../src/server/wakeup-hub.js';
import type { ManualClock } from '../support/manual-clock.js';
import { hostMaps, putHandler, store, type HostedMaps } from './hosted.js';

let hosted: HostedMaps;
let clock: ManualClock;
let scheduler: DrainScheduler;
let map: HostedMap;
let calls: number;

beforeEach(() => {
  hosted = hostMaps();
  ({ clock, scheduler } = hosted);
  map = hosted.maps.create('m', { maxEntries: 65536 }).map;
  calls = 0;
});

const counting = (): Verdict => {
  calls++;
  return 0;
};
const drains = (): number => map.drainNumber;
const state = (): string | undefined => scheduler.stateOf(map)?.state;
const holder = { openReservations: 0 };

describe('an auto trigger', () => {
  it('drains on output, after the I/O of this turn and not inside of it', async () => {
    await putHandler(map, counting);
    store(map, 'a');
    store(map, 'b');
    expect([calls, state()]).toEqual([0, 'queued']);
    clock.runAllSoon();
    expect([calls, drains(), state()]).toEqual([2, 1, 'parked']);
  });

  it('drains what is there when it is registered', async () => {
    store(map, 'a');
    await putHandler(map, counting);
    clock.runAllSoon();
    expect(calls).toBe(1);
  });

  it('does nothing while nothing happens', async () => {
    await putHandler(map, counting);
    expect([clock.timers, clock.pendingSoon]).toEqual([0, 0]);
    store(map, 'a');
    clock.runAllSoon();
    expect([clock.timers, clock.pendingSoon]).toEqual([0, 0]);
    clock.advance(3_600_000);
    expect(drains()).toBe(1);
  });

  it('waits for min_bytes', async () => {
    await putHandler(map, counting, { min_bytes: 48 });
    store(map, 'a');
    store(map, 'b');
    clock.advance(3_600_000);
    expect([clock.runAllSoon(), calls, state()]).toEqual([0, 0, 'parked']);
    store(map, 'c');
    clock.runAllSoon();
    expect(calls).toBe(3);
  });

  it('waits no longer than max_delay_ms for them, counted from the oldest sample', async () => {
    await putHandler(map, counting, { min_bytes: 4096, max_delay_ms: 50 });
    store(map, 'a');
    expect(state()).toBe('waiting_for_age');
    clock.advance(30);
    store(map, 'b');
    clock.advance(19);
    expect([clock.runAllSoon(), calls]).toEqual([0, 0]);
    clock.advance(1);
    clock.runAllSoon();
    expect([calls, state()]).toEqual([2, 'parked']);
    // Anew for the next one.
    store(map, 'c');
    clock.advance(49);
    clock.runAllSoon();
    expect(calls).toBe(2);
    clock.advance(1);
    clock.runAllSoon();
    expect(calls).toBe(3);
  });

  it('counts max_delay_ms from the sample that waits already when the trigger is registered', async () => {
    store(map, 'a');
    clock.advance(40);
    await putHandler(map, counting, { min_bytes: 4096, max_delay_ms: 50 });
    clock.advance(10);
    clock.runAllSoon();
    expect(calls).toBe(1);
    store(map, 'b');
    clock.advance(1000);
    clock.runAllSoon();
    store(map, 'c');
    await putHandler(map, counting, { min_bytes: 4096, max_delay_ms: 50 });
    clock.advance(50);
    clock.runAllSoon();
    expect(calls).toBe(3);
  });

  it('lets the timer go when min_bytes come first', async () => {
    await putHandler(map, counting, { min_bytes: 32, max_delay_ms: 50 });
    store(map, 'a');
    store(map, 'b');
    clock.runAllSoon();
    expect([calls, clock.timers]).toEqual([2, 0]);
    clock.advance(50);
    expect(drains()).toBe(1);
  });

  it('parks after a drain that released nothing, until something changes', async () => {
    await putHandler(map, counting);
    const position = map.intake.reserve(holder, 8);
    store(map, 'behind');
    clock.runAllSoon();
    expect([drains(), calls, state()]).toEqual([1, 0, 'parked']);
    expect(clock.pendingSoon).toBe(0);
    map.intake.submit(holder, position, new Uint8Array(8));
    clock.runAllSoon();
    expect([drains(), calls]).toEqual([2, 2]);
  });

  it('goes on when a lease runs out that it was stuck behind', async () => {
    await putHandler(map, counting);
    map.intake.reserve(holder, 8);
    store(map, 'behind');
    clock.runAllSoon();
    expect(calls).toBe(0);
    clock.advance(30_000);
    clock.runAllSoon();
    expect(calls).toBe(1);
    expect(map.counters.discardedSamples).toBe(1);
  });

  it('parks after verdict 1, with samples left, until something changes', async () => {
    await putHandler(map, () => {
      calls++;
      return 1;
    });
    store(map, 'a', 'b', 'c');
    clock.runAllSoon();
    expect([drains(), calls, state(), map.ring.used]).toEqual([1, 1, 'parked', 32]);
    clock.advance(3_600_000);
    expect([clock.pendingSoon, drains()]).toEqual([0, 1]);
    store(map, 'd');
    clock.runAllSoon();
    expect([drains(), calls]).toEqual([2, 2]);
  });

  it('wakes a parked one also for a discard and for a new handler', async () => {
    await putHandler(map, () => 1);
    const position = map.intake.reserve(holder, 8);
    store(map, 'a', 'b');
    clock.runAllSoon();
    expect(drains()).toBe(1);
    map.intake.discard(holder, position);
    clock.runAllSoon();
    expect([drains(), map.ring.used]).toEqual([2, 16]);
    await putHandler(map, counting, { name: 'other', manual: true });
    clock.runAllSoon();
    expect([drains(), map.ring.used]).toEqual([3, 0]);
  });
});

describe('after an errno', () => {
  const failing = (): never => {
    calls++;
    throw new Error('broken');
  };

  it('leaves a moment between two drains to whoever found the map busy, however much arrives', async () => {
    await putHandler(map, counting);
    scheduler.hold(map);
    store(map, 'a');
    clock.advance(999);
    clock.runAllSoon();
    store(map, 'b');
    clock.runAllSoon();
    expect(calls).toBe(0);
    clock.advance(1);
    clock.runAllSoon();
    expect(calls).toBe(2);
  });

  it('ends at once when the handler could take now what it had to refuse', async () => {
    await putHandler(map, failing);
    store(map, 'a');
    clock.runAllSoon();
    const before = calls;
    scheduler.ready(map, 'another');
    expect(state()).toBe('backing_off');
    scheduler.ready(map, map.handlers.auto!.name);
    clock.runAllSoon();
    expect(calls).toBe(before + 1);
    expect(scheduler.stateOf(map)!.backoff_ms).toBe(100);
  });

  it('backs off 100 ms, doubling to 30 s, however much arrives meanwhile', async () => {
    await putHandler(map, failing);
    store(map, 'a');
    clock.runAllSoon();
    const pauses: number[] = [];
    for (let i = 0; i < 12; i++) {
      const { state: now, backoff_ms } = scheduler.stateOf(map)!;
      expect(now).toBe('backing_off');
      pauses.push(backoff_ms);
      store(map, 'more');
      clock.advance(backoff_ms - 1);
      expect(clock.runAllSoon()).toBe(0);
      clock.advance(1);
      clock.runAllSoon();
      expect(calls).toBe(i + 2);
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000]);
  });

  it('starts over once a drain has released something', async () => {
    let broken = true;
    await putHandler(map, () => {
      if (broken) throw new Error('broken');
      calls++;
      return 0;
    });
    store(map, 'a');
    clock.runAllSoon();
    clock.advance(100);
    clock.runAllSoon();
    expect(scheduler.stateOf(map)).toEqual({ state: 'backing_off', backoff_ms: 200 });
    broken = false;
    clock.advance(200);
    clock.runAllSoon();
    expect([calls, scheduler.stateOf(map)]).toEqual([1, { state: 'parked', backoff_ms: 0 }]);
    broken = true;
    store(map, 'b');
    clock.runAllSoon();
    expect(scheduler.stateOf(map)).toEqual({ state: 'backing_off', backoff_ms: 100 });
  });

  it('a drain that released something before it failed counts as progress', async () => {
    let n = 0;
    await putHandler(map, () => {
      if (++n % 2 === 0) throw new Error('every second one');
      return 0;
    });
    store(map, 'a', 'b', 'c', 'd');
    clock.runAllSoon();
    expect(scheduler.stateOf(map)!.backoff_ms).toBe(100);
    clock.advance(100);
    clock.runAllSoon();
    expect([scheduler.stateOf(map)!.backoff_ms, map.ring.used]).toEqual([100, 32]);
  });

  it('a new handler is tried at once', async () => {
    await putHandler(map, failing);
    store(map, 'a');
    clock.runAllSoon();
    await putHandler(map, counting);
    expect(clock.timers).toBe(0);
    clock.runAllSoon();
    expect(map.ring.used).toBe(0);
  });

  it('another handler of the map changes nothing', async () => {
    await putHandler(map, failing);
    store(map, 'a');
    clock.runAllSoon();
    await putHandler(map, counting, { name: 'other', manual: true });
    await map.deleteHandler('other');
    expect(scheduler.stateOf(map)).toEqual({ state: 'backing_off', backoff_ms: 100 });
  });
});

describe('turns', () => {
  it('go on without waiting for min_bytes again after a drain that hit its bound, however the bound grows', async () => {
    await putHandler(map, counting, { min_bytes: 65536 });
    store(map, ...Array.from({ length: 4096 }, () => 'x'));
    clock.runAllSoon();
    expect([calls, map.ring.used]).toEqual([4096, 0]);
  });

  it('are bounded in time: a run is a series of drains, each with its own number, with the event loop between them', async () => {
    await putHandler(map, () => {
      calls++;
      clock.advance(1);
      return 0;
    });
    for (let i = 0; i < 1000; i++) store(map, 'x');
    const sizes: number[] = [];
    for (let before = 0; clock.runSoon() > 0; before = calls) sizes.push(calls - before);
    // At 1 ms a sample, five fit into the 5 ms of a turn; the first look at the clock is behind the first sample.
    expect(sizes).toEqual(Array.from({ length: 200 }, () => 5));
    expect(drains()).toBe(200);
  });

  it('end behind the sample that uses their time up, and never in the middle of one', async () => {
    const costs = [1, 1, 40, 1, 1, 1, 1, 1];
    await putHandler(map, () => {
      clock.advance(costs[calls++]!);
      return 0;
    });
    store(map, ...costs.map(() => 'x'));
    clock.runSoon();
    expect([calls, drains(), map.ring.used]).toEqual([3, 1, 5 * 16]);
    // It has overdrawn 37 ms; nobody else is there, and of the rounds that it owes one leaves it 3 ms.
    clock.runSoon();
    expect([calls, drains(), map.ring.used]).toEqual([6, 2, 2 * 16]);
    clock.runSoon();
    expect([calls, drains(), map.ring.used]).toEqual([8, 3, 0]);
  });

  it('cut by time are ordinary drains: each wakes, is booked, and shows as the last drain', async () => {
    await putHandler(map, () => {
      clock.advance(2);
      return 0;
    });
    const woken: [bigint, number][] = [];
    const wakeup: Watcher['wakeup'] = ({ frame }) => woken.push([frame.seq, frame.drained]) > 0;
    map.watchers.watch({ wakeup }, 0, 0);
    store(map, ...Array.from({ length: 7 }, () => 'x'));
    woken.length = 0;
    clock.runSoon();
    expect(map.counters).toMatchObject({ drains: 1, drainedSamples: 3, bufferedSamples: 4 });
    expect(map.handlers.get('h').health.lastDrain).toMatchObject({
      number: 1,
      ret: 3,
      durationMs: 6,
      stopped: false,
    });
    clock.runAllSoon();
    expect(woken).toEqual([
      [1n, 3],
      [2n, 2],
      [3n, 2],
    ]);
    expect(map.counters).toMatchObject({ drains: 3, drainedSamples: 7, bufferedSamples: 0 });
  });

  it('are bounded in records as well', async () => {
    hosted = hostMaps({ scheduler: { maxTurnSamples: 600 } });
    ({ clock, scheduler } = hosted);
    map = hosted.maps.create('m', { maxEntries: 65536 }).map;
    await putHandler(map, counting);
    for (let i = 0; i < 4000; i++) store(map, 'x');
    const sizes: number[] = [];
    for (let before = 0; clock.runSoon() > 0; before = calls) sizes.push(calls - before);
    expect(sizes).toEqual([600, 600, 600, 600, 600, 600, 400]);
  });

  it('are no matter of a drain that somebody asked for: it takes what the kernel would', async () => {
    await putHandler(
      map,
      () => {
        calls++;
        clock.advance(1);
        return 0;
      },
      { manual: true },
    );
    for (let i = 0; i < 1000; i++) store(map, 'x');
    expect(map.drain('h', 0, {})).toMatchObject({ ret: 1000, cut: false });
  });

  it('go round: a hot map, filled again and again, keeps no cold one waiting for more than a turn', async () => {
    const cold = hosted.maps.create('cold', { maxEntries: 4096 }).map;
    let coldCalls = 0;
    await putHandler(map, () => {
      clock.advance(0.05);
      return 0;
    });
    await putHandler(cold, () => {
      coldCalls++;
      return 0;
    });
    const refill = (): void => {
      while (map.ring.free >= 16) store(map, 'x');
    };
    refill();
    clock.runSoon();
    for (let i = 1; i <= 20; i++) {
      refill();
      store(cold, 'y');
      const before = clock.nowMs();
      // One turn of the hot map may be before it.
      for (let turns = 0; coldCalls < i && turns < 3; turns++) clock.runSoon();
      expect(coldCalls).toBe(i);
      expect(clock.nowMs() - before).toBeLessThan(40);
    }
    expect(map.drainNumber).toBeGreaterThan(10);
  });

  it('of one map at a time end with the time of a turn', async () => {
    const others = ['a', 'b', 'c'].map((name) => hosted.maps.create(name, { maxEntries: 4096 }).map);
    for (const other of others) {
      await putHandler(other, () => {
        clock.advance(6);
        return 0;
      });
      store(other, 'x');
    }
    clock.runSoon();
    expect(hosted.drained).toEqual(['a h']);
    clock.runSoon();
    expect(hosted.drained).toEqual(['a h', 'b h']);
  });
});

describe('a direct map', () => {
  it('is drained only while no more lies between its positions than the ring holds', async () => {
    const direct = hosted.maps.create('d', { maxEntries: 4096, mode: 'direct' }).map;
    await putHandler(direct, counting);
    direct.intake.commit(4104n);
    clock.runAllSoon();
    expect(direct.drainNumber).toBe(0);
    direct.intake.commit(2n ** 64n - 8n);
    clock.runAllSoon();
    expect(direct.drainNumber).toBe(0);
    direct.intake.commit(4096n);
    clock.runAllSoon();
    // 512 records of length 0.
    expect([direct.drainNumber > 0, calls]).toEqual([true, 512]);
  });
});

describe('a trigger that goes', () => {
  it('takes its timers and its place in the queue with it', async () => {
    await putHandler(map, counting, { min_bytes: 4096, max_delay_ms: 50 });
    store(map, 'a');
    expect(clock.timers).toBe(1);
    await map.deleteHandler('h');
    expect([clock.timers, scheduler.stateOf(map)]).toEqual([0, null]);
    await putHandler(map, counting);
    expect(clock.pendingSoon).toBe(1);
    await map.deleteHandler('h');
    clock.runAllSoon();
    expect(drains()).toBe(0);
  });

  it('goes with its map, which nothing keeps alive then', async () => {
    await putHandler(map, () => {
      throw new Error('broken');
    });
    store(map, 'a');
    clock.runAllSoon();
    expect([scheduler.stateOf(map)?.state, clock.timers]).toEqual(['backing_off', 1]);
    await hosted.maps.delete('m');
    expect([scheduler.stateOf(map), clock.timers]).toEqual([null, 0]);
  });

  it('does not come back from an asynchronous drain', async () => {
    let finish = (): void => undefined;
    await putHandler(map, counting);
    Object.assign(map.handlers.get('h').handler, {
      shape: 'batch',
      maxRunBytes: 4096,
      onRun: async (run: { samples: number }) => {
        await new Promise<void>((done) => (finish = done));
        return { consumed: run.samples, stop: false };
      },
    });
    store(map, 'a');
    clock.runAllSoon();
    expect([scheduler.stateOf(map)?.state, scheduler.isBusy(map)]).toEqual(['draining', true]);
    store(map, 'b');
    scheduler.stop();
    await expect
      .poll(() => {
        finish();
        return map.draining;
      })
      .toBe(false);
    expect([clock.pendingSoon, scheduler.stateOf(map)]).toEqual([0, null]);
  });
});

describe('flush', () => {
  it('makes triggers wait for nothing: what is in the rings is drained, however little', async () => {
    await putHandler(map, counting, { min_bytes: 4096, max_delay_ms: 60_000 });
    store(map, 'a');
    scheduler.flush();
    expect(scheduler.isBusy(map)).toBe(true);
    clock.runAllSoon();
    expect([calls, scheduler.isBusy(map), clock.timers]).toEqual([1, false, 0]);
    store(map, 'late');
    clock.runAllSoon();
    expect(calls).toBe(2);
  });

  it('does not wait for what cannot be drained', async () => {
    await putHandler(map, counting, { min_bytes: 4096 });
    map.intake.reserve(holder, 8);
    scheduler.flush();
    clock.runAllSoon();
    expect([map.ring.used > 0, scheduler.isBusy(map)]).toEqual([true, false]);
  });
});
