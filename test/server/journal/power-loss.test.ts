import { describe, expect, it } from 'vitest';
import { simulate } from '../../support/power-loss.js';

// `npm run power-loss` does the same at 10,000 cuts and more.
describe('a journal whose machine stops at any moment', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'keeps what was acknowledged as synced when the power fails (seed %i)',
    async (seed) => {
      const report = await simulate({
        seed,
        durability: 'synced',
        fault: 'power',
        steps: 20,
        restarts: 8,
        subsets: 4,
      });
      expect(report.recoveries).toBeGreaterThan(report.cuts);
      expect(report.ahead).toBeGreaterThan(0);
      expect(report.overlapping).toBeGreaterThan(0);
    },
  );

  it.each([
    ['written', 11],
    ['written', 12],
    ['synced', 13],
  ] as const)(
    'keeps what was acknowledged as %s when the process is killed (seed %i)',
    async (durability, seed) => {
      const report = await simulate({ seed, durability, fault: 'kill', steps: 80, restarts: 3, subsets: 0 });
      expect(report.cuts).toBeGreaterThan(100);
      expect(report.overlapping).toBeGreaterThan(0);
    },
  );

  it.each([14, 15])(
    'keeps what the event loop acknowledged as written when the process is killed (seed %i)',
    async (seed) => {
      const report = await simulate({
        seed,
        durability: 'written',
        fault: 'kill',
        isInLoop: true,
        steps: 80,
        restarts: 3,
        subsets: 0,
      });
      expect(report.cuts).toBeGreaterThan(100);
      expect(report.ahead).toBeGreaterThan(0);
    },
  );

  it.each([
    [21, false],
    [22, true],
  ])(
    'forges nothing where the power fails below a journal that is only written (seed %i, in the event loop: %s)',
    async (seed, isInLoop) => {
      const report = await simulate({
        seed,
        durability: 'written',
        fault: 'power',
        isInLoop,
        steps: 60,
        restarts: 0,
        subsets: 5,
      });
      expect(report.recoveries).toBeGreaterThan(report.cuts);
    },
  );
});
