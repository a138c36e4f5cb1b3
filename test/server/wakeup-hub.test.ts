import { beforeEach, describe, expect, it } from 'vitest';
import { Consumer, createUserRing, Producer, type UserRing } from '../../src/ring/index.js';
import { MapCounters } from '../../src/server/map-counters.js';
import { WakeupHub, type Watcher } from '../../src/server/wakeup-hub.js';
import type { WakeupFrame } from '../../src/wire/index.js';
import { ManualClock } from '../support/manual-clock.js';

const RING = 65536;

interface TestWatcher extends Watcher {
  woken: WakeupFrame[];
  merges: boolean;
}

describe('the wakeup hub', () => {
  let clock: ManualClock;
  let ring: UserRing;
  let counters: MapCounters;
  let hub: WakeupHub;
  /** Names of watchers in the order in which they were woken. */
  let order: number[];

  beforeEach(() => {
    clock = new ManualClock();
    ring = createUserRing({ maxEntries: RING });
    counters = new MapCounters();
    hub = new WakeupHub(ring, () => ring.free, counters, clock);
    order = [];
  });

  const newWatcher = (name = 0): TestWatcher => {
    const watcher: TestWatcher = {
      woken: [],
      merges: false,
      wakeup(encoded) {
        watcher.woken.push(encoded.frame);
        order.push(name);
        return watcher.merges;
      },
    };
    return watcher;
  };
  /** Watchers that wait for more than there is now, so that none is woken at once. */
  const watchers = (count: number, minFree: number): TestWatcher[] =>
    Array.from({ length: count }, (_, name) => {
      const watcher = newWatcher(name);
      hub.watch(watcher, minFree, 0);
      return watcher;
    });
  const fill = (free: number): void => {
    const run = new Uint8Array(ring.free - free);
    new DataView(run.buffer).setUint32(0, run.length - 8, true);
    new Producer(ring).outputRun(run);
  };
  const drain = (): void => void new Consumer(ring).drain(() => 0, null);
  const woken = (list: readonly TestWatcher[]): number => list.filter((w) => w.woken.length > 0).length;

  it('wakes at once when min_free is met at the WATCH, saying that it was not a drain', () => {
    const watcher = newWatcher();
    hub.watch(watcher, RING, 7);
    expect(watcher.woken).toEqual([
      expect.objectContaining({ atOnce: true, forced: false, writable: true, drained: 0, seq: 7n }),
    ]);
    expect([counters.wakeupsSent, hub.size]).toEqual([1, 1]);
  });

  it('does not wake at once when less is free, but at min_free 0 it always does', () => {
    fill(0);
    const [picky, any] = [newWatcher(), newWatcher()];
    hub.watch(picky, 8, 0);
    hub.watch(any, 0, 0);
    expect(picky.woken).toEqual([]);
    expect(any.woken).toEqual([expect.objectContaining({ atOnce: true, writable: false })]);
  });

  it('wakes whose min_free is met and leaves the others asleep', () => {
    fill(0);
    const [small, large] = [newWatcher(), newWatcher()];
    hub.watch(small, 1024, 0);
    hub.watch(large, 2048, 0);
    drain();
    fill(1024);
    expect(hub.wake(false, 5, 3)).toBeUndefined();
    expect(small.woken).toEqual([
      {
        op: 0x84,
        forced: false,
        writable: true,
        atOnce: false,
        drained: 5,
        seq: 3n,
        producerPos: ring.producerPosition,
        consumerPos: ring.consumerPosition,
      },
    ]);
    expect(large.woken).toEqual([]);
    expect([counters.wakeupsSent, counters.wakeupsUnmet]).toEqual([1, 1]);
  });

  it('wakes all when forced, whatever is free', () => {
    fill(0);
    const all = watchers(3, RING);
    void hub.wake(true, 0, 1);
    expect(all.map(({ woken: [frame] }) => [frame?.forced, frame?.writable])).toEqual(
      all.map(() => [true, false]),
    );
    expect(counters.wakeupsForced).toBe(1);
  });

  it('wakes one of a thousand when one wants so little, and no other', () => {
    fill(0);
    const crowd = watchers(1000, 4096);
    const modest = newWatcher();
    hub.watch(modest, 8, 0);
    drain();
    fill(8);
    void hub.wake(false, 1, 1);
    clock.runAllSoon();
    expect([woken(crowd), modest.woken.length]).toEqual([0, 1]);
    expect([counters.wakeupsSent, counters.wakeupsUnmet]).toEqual([1, 1000]);
  });

  it('looks at the room that is left: after the first of a thousand took it, the later slices sleep on', () => {
    fill(0);
    const crowd = watchers(1000, 4096);
    drain();
    fill(4096);
    const queued = hub.wake(false, 1, 1);
    expect(queued).toBeInstanceOf(Promise);
    expect(woken(crowd)).toBe(128);
    // The first one that was woken takes the room before the event loop comes to the next slice.
    fill(0);
    clock.runAllSoon();
    expect(woken(crowd)).toBe(128);
  });

  it('yields to the event loop between slices, and its promise ends with the last one', async () => {
    fill(0);
    const crowd = watchers(300, 8);
    drain();
    let queued = false;
    const done = hub.wake(false, 1, 1)?.then(() => (queued = true));
    const seen = [woken(crowd)];
    while (clock.pendingSoon > 0) {
      await Promise.resolve();
      expect(queued).toBe(false);
      clock.runSoon();
      seen.push(woken(crowd));
    }
    expect(seen).toEqual([128, 256, 300]);
    await done;
    expect(queued).toBe(true);
  });

  it('starts each pass after the watcher served last', () => {
    fill(0);
    watchers(3, 8);
    drain();
    const small = new WakeupHub(ring, () => ring.free, counters, clock, 2);
    const names = [0, 1, 2].map((name) => newWatcher(name));
    for (const watcher of names) small.watch(watcher, 0, 0);
    order = [];
    small.unwatch(names[0]!);
    small.watch(names[0]!, 0, 0);
    order = [];
    void small.wake(false, 1, 1);
    clock.runAllSoon();
    expect(order).toEqual([1, 2, 0]);
    small.unwatch(names[2]!);
    const late = newWatcher(3);
    small.watch(late, 0, 1);
    order = [];
    // 1 and 0 are left, both served; the cursor stands behind 0, where 3 is now.
    void small.wake(false, 1, 2);
    clock.runAllSoon();
    expect(order).toEqual([3, 1, 0]);
  });

  it('merges wakes that come during a pass into one more pass, in which nothing is lost', async () => {
    fill(0);
    const crowd = watchers(200, 8);
    drain();
    const first = hub.wake(false, 1, 1);
    const second = hub.wake(false, 10, 2);
    const third = hub.wake(true, 100, 3);
    expect(second).toBe(third);
    clock.runAllSoon();
    await Promise.all([first, second]);
    for (const { woken: frames } of crowd)
      expect(frames.map(({ drained, seq, forced }) => [drained, seq, forced])).toEqual([
        [1, 1n, false],
        [110, 3n, true],
      ]);
  });

  it('begins the merged pass only after the event loop had its turn', () => {
    fill(0);
    const crowd = watchers(129, 8);
    drain();
    void hub.wake(false, 1, 1);
    void hub.wake(false, 1, 2);
    clock.runSoon();
    expect(crowd.map(({ woken: frames }) => frames.length)).toEqual(crowd.map(() => 1));
    clock.runSoon();
    expect(crowd.filter(({ woken: frames }) => frames.length === 2).length).toBe(128);
  });

  it('misses nobody when watchers join and leave between the slices of a pass', () => {
    fill(0);
    hub = new WakeupHub(ring, () => ring.free, counters, clock, 4);
    const crowd = watchers(10, 8);
    drain();
    // So that the pass below starts in the middle and has to wrap.
    void hub.wake(false, 1, 1);
    clock.runSoon();
    hub.unwatch(crowd[0]!);
    clock.runAllSoon();
    for (const watcher of crowd) watcher.woken = [];

    void hub.wake(false, 1, 2);
    fill(0);
    const late = newWatcher(99);
    hub.watch(late, 8, 2);
    drain();
    clock.runAllSoon();
    expect(crowd.map(({ woken: frames }) => frames.length)).toEqual([0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
  });

  it('serves nobody twice in one pass when watchers leave during it', () => {
    fill(0);
    hub = new WakeupHub(ring, () => ring.free, counters, clock, 4);
    const crowd = watchers(10, 8);
    drain();
    void hub.wake(false, 1, 1);
    for (const gone of crowd.slice(6)) hub.unwatch(gone);
    clock.runAllSoon();
    expect(crowd.map(({ woken: frames }) => frames.length)).toEqual([1, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
  });

  it('goes on when a watcher is closed by its own wakeup, as a slow one is', () => {
    fill(0);
    const crowd = watchers(5, 8);
    const slow = crowd[2]!;
    slow.wakeup = () => {
      hub.unwatch(slow);
      return false;
    };
    drain();
    void hub.wake(false, 1, 1);
    expect(crowd.map(({ woken: frames }) => frames.length)).toEqual([1, 1, 0, 1, 1]);
    expect(hub.size).toBe(4);
  });

  it('ends a pass whose watchers have all gone', async () => {
    fill(0);
    const crowd = watchers(200, 8);
    drain();
    const queued = hub.wake(false, 1, 1);
    for (const watcher of crowd) hub.unwatch(watcher);
    clock.runAllSoon();
    await queued;
    expect(hub.wake(false, 1, 2)).toBeUndefined();
  });

  it('counts merged wakeups apart from those that were queued', () => {
    const [fast, slow] = [newWatcher(), newWatcher()];
    slow.merges = true;
    hub.watch(fast, 0, 0);
    hub.watch(slow, 0, 0);
    void hub.wake(false, 1, 1);
    expect([counters.wakeupsSent, counters.wakeupsCoalesced]).toEqual([2, 2]);
  });

  it('encodes a frame once for all, per dialect', () => {
    const frames = new Set<unknown>();
    for (let i = 0; i < 3; i++) hub.watch({ wakeup: (encoded) => (frames.add(encoded.binary), false) }, 0, 0);
    frames.clear();
    void hub.wake(false, 1, 1);
    expect(frames.size).toBe(1);
  });
});
