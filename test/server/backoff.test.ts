import { describe, expect, it } from 'vitest';
import { backoffDelay } from '../../src/server/backoff.js';

const settings = { backoffMinMs: 100, backoffMaxMs: 1500 };

describe('the pause between attempts', () => {
  it('doubles up to the maximum, of which jitter takes at most one half', () => {
    const lowest = [1, 2, 3, 4, 5, 6, 1000].map((failures) => backoffDelay(failures, settings, 0));
    expect(lowest).toEqual([50, 100, 200, 400, 750, 750, 750]);
    const middle = [1, 2, 3, 4, 5].map((failures) => backoffDelay(failures, settings, 0.5));
    expect(middle).toEqual([75, 150, 300, 600, 1125]);
    expect(backoffDelay(1, settings, 0.999)).toBeLessThan(100);
  });
});
