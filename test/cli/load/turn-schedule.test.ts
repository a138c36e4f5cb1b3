import { describe, expect, it } from 'vitest';
import { TurnSchedule } from '../../../src/cli/load/turn-schedule.js';

describe('an open model', () => {
  it('has its due times fixed before the run, whatever happens meanwhile', () => {
    const schedule = new TurnSchedule(1000, 1050, 10);
    const due: (number | undefined)[] = [];
    // Every look comes 30 ms late: the due times do not move.
    for (let turn = 0; turn < 6; turn++) {
      due.push(schedule.nextDueMs(1000 + turn * 30));
      schedule.taken();
    }
    expect(due).toEqual([1000, 1010, 1020, 1030, 1040, undefined]);
  });

  it('tells of the turns that were due and not taken, and of each once', () => {
    const schedule = new TurnSchedule(0, 100, 10);
    schedule.taken();
    expect([...schedule.missed(35)]).toEqual([10, 20, 30]);
    expect([...schedule.missed(35)]).toEqual([]);
    expect([...schedule.missed(1e9)]).toEqual([40, 50, 60, 70, 80, 90]);
  });
});

describe('as fast as acknowledged', () => {
  it('is due at any time until the end, and misses nothing', () => {
    const schedule = new TurnSchedule(0, 100, undefined);
    expect(schedule.nextDueMs(42)).toBe(42);
    schedule.taken();
    expect(schedule.nextDueMs(42)).toBe(42);
    expect(schedule.nextDueMs(100)).toBeUndefined();
    expect([...schedule.missed(1000)]).toEqual([]);
  });
});
