import { describe, expect, it } from 'vitest';
import { MAX_RUNS } from '../../../src/server/journal/layout.js';
import { RunLog } from '../../../src/server/ledger/run-log.js';

describe('the log of runs', () => {
  it('has one entry for what a producer stored without another one in between', () => {
    const log = new RunLog(800n);
    log.accepted(1, 16);
    log.accepted(1, 24);
    log.accepted(2, 8);
    log.accepted(1, 16);
    expect(log.from(800n)).toEqual([
      { handle: 1, bytes: 40 },
      { handle: 2, bytes: 8 },
      { handle: 1, bytes: 16 },
    ]);
  });

  it('forgets what lies before a checkpoint, also in the middle of an entry', () => {
    const log = new RunLog(0n, [
      { handle: 1, bytes: 40 },
      { handle: 2, bytes: 24 },
      { handle: 3, bytes: 8 },
    ]);
    expect(log.from(56n)).toEqual([
      { handle: 2, bytes: 8 },
      { handle: 3, bytes: 8 },
    ]);
    expect(log.from(56n)).toHaveLength(2);
    expect(log.from(72n)).toEqual([]);
    log.accepted(4, 16);
    expect(log.from(72n)).toEqual([{ handle: 4, bytes: 16 }]);
  });

  it('is never longer than a commit has room for, and loses no byte', () => {
    const log = new RunLog(0n);
    for (let index = 0; index < 1000; index++) log.accepted(1 + (index % 3), 8);
    const runs = log.from(0n);
    expect(runs.length).toBeLessThanOrEqual(MAX_RUNS);
    expect(runs[0]!.handle).toBe(0);
    expect(runs.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(8000);
    expect(runs.slice(-3).map(({ handle }) => handle)).toEqual([2, 3, 1]);
  });
});
