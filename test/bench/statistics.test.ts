import { describe, expect, it } from 'vitest';
import { median, ratioOf, spread } from '../../bench/measure/statistics.js';

describe('a median', () => {
  it('is the middle value, or the mean of the two in the middle', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 100])).toBe(3.5);
  });

  it('leaves its values in their order', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  it('of nothing is an error', () => {
    expect(() => median([])).toThrow(RangeError);
  });
});

describe('a spread', () => {
  it('is half the range, as a share of the median', () => {
    expect(spread([90, 100, 110])).toBeCloseTo(0.1);
    expect(spread([5, 5, 5])).toBe(0);
  });
});

describe('a ratio', () => {
  it('is taken try by try, so that a try that was disturbed as a whole does not count twice', () => {
    expect(ratioOf([10, 1, 10], [5, 0.5, 5])).toBe(2);
  });

  it('wants as many tries on both sides', () => {
    expect(() => ratioOf([1, 2], [1])).toThrow('2 tries against 1');
  });
});
