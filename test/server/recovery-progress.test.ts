import { describe, expect, it } from 'vitest';
import { RecoveryProgress } from '../../src/server/recovery-progress.js';
import { ManualClock } from '../support/manual-clock.js';

describe('the progress of a recovery', () => {
  it('is said every two seconds, and not at all by a short one', () => {
    const clock = new ManualClock();
    const lines: unknown[] = [];
    const progress = new RecoveryProgress(clock, { info: (line: unknown) => void lines.push(line) });
    progress.report('small', 'reading', 10, 10);
    clock.advance(1900);
    progress.report('small', 'verifying', 10, 10);
    progress.report('large', 'reading', 1, 100);
    clock.advance(1999);
    progress.report('large', 'reading', 2, 100);
    expect(lines).toEqual([]);
    clock.advance(1);
    progress.report('large', 'reading', 50, 100);
    progress.report('large', 'reading', 51, 100);
    clock.advance(2000);
    progress.report('large', 'verifying', 7, 100);
    expect(lines).toEqual([
      { map: 'large', phase: 'reading', done_bytes: 50, total_bytes: 100 },
      { map: 'large', phase: 'verifying', done_bytes: 7, total_bytes: 100 },
    ]);
  });
});
