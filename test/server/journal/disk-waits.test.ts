import { describe, expect, it } from 'vitest';
import { DiskWaits } from '../../../src/server/journal/disk-waits.js';
import { ManualClock } from '../../support/manual-clock.js';

const MIB = 2 ** 20;

function newDisk(maxWaitMs = 100) {
  const clock = new ManualClock();
  const rests: number[] = [];
  const waits = new DiskWaits({ maxWaitMs, clock, onRest: (restMs) => rests.push(restMs) });
  return {
    clock,
    rests,
    waits,
    /** Writes `bytes`, which takes `ms`. */
    write: (ms: number, bytes = 0): void => {
      const from = clock.nowMs();
      clock.advance(ms);
      waits.wrote(bytes, from, clock.nowMs());
    },
  };
}

describe('a disk that takes what the event loop writes', () => {
  it('may be written to for ever, at the speed of memory', () => {
    const { waits, write, rests } = newDisk();
    for (let number = 0; number < 10_000; number++) write(1.9, MIB);
    expect(waits.mayWrite).toBe(true);
    expect(rests).toEqual([]);
  });

  it('may make it wait now and then, less than the limit in a second', () => {
    const { waits, write, clock } = newDisk();
    for (let number = 0; number < 1000; number++) {
      write(9);
      clock.advance(91);
    }
    expect(waits.mayWrite).toBe(true);
  });

  it('is never written to by the event loop where the limit is 0', () => {
    expect(newDisk(0).waits.mayWrite).toBe(false);
  });
});

describe('a disk that makes the event loop wait', () => {
  it('is left alone after one wait that is over the limit', () => {
    const { waits, write, clock, rests } = newDisk();
    write(90);
    expect(waits.mayWrite).toBe(true);
    clock.advance(2000);
    write(101);
    expect(waits.mayWrite).toBe(false);
    expect(rests).toEqual([10_000]);
    clock.advance(9_999);
    expect(waits.mayWrite).toBe(false);
    clock.advance(1);
    expect(waits.mayWrite).toBe(true);
  });

  it('is left alone after many small ones that are', () => {
    const { waits, write, clock } = newDisk();
    let waited = 0;
    for (; waits.mayWrite && waited < 1000; waited++) {
      write(2, 0);
      clock.advance(8);
    }
    // 200 ms in a second, of which 100 count: it is over after about one.
    expect(waited).toBeGreaterThan(70);
    expect(waited).toBeLessThan(130);
  });

  it('is left alone twice as long when it is no better afterwards, up to ten minutes', () => {
    const { write, clock, rests } = newDisk();
    for (let number = 0; number < 8; number++) {
      write(200);
      clock.advance(rests.at(-1)! + 1);
    }
    expect(rests.map((ms) => ms / 1000)).toEqual([10, 20, 40, 80, 160, 320, 600, 600]);
  });

  it('is not blamed again for the other writes of a commit that had begun', () => {
    const { write, clock, rests, waits } = newDisk();
    for (let number = 0; number < 4; number++) write(200);
    expect(rests).toEqual([10_000]);
    clock.advance(10_000 - 3 * 200);
    expect(waits.mayWrite).toBe(true);
  });

  it('is forgiven once it was good for as long as it had rested', () => {
    const { write, clock, rests } = newDisk();
    write(200);
    clock.advance(10_000);
    write(200);
    clock.advance(20_000);
    for (let second = 0; second <= 20; second++) {
      write(0.01, 64);
      clock.advance(1000);
    }
    write(200);
    expect(rests).toEqual([10_000, 20_000, 10_000]);
  });
});
