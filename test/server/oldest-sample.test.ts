import { describe, expect, it } from 'vitest';
import { OldestSample } from '../../src/server/oldest-sample.js';

describe('the age of the oldest sample', () => {
  it('is 0 for an empty ring', () => {
    const oldest = new OldestSample();
    expect(oldest.ageMs(1000)).toBe(0);
    oldest.note(0, 1000);
    oldest.clear();
    expect(oldest.ageMs(5000)).toBe(0);
  });

  it('grows with time and falls when what is old was drained', () => {
    const oldest = new OldestSample();
    oldest.note(0, 100);
    oldest.note(16, 200);
    oldest.note(32, 300);
    expect(oldest.ageMs(1000)).toBe(900);
    oldest.trim(16);
    expect(oldest.ageMs(1000)).toBe(800);
    oldest.trim(24);
    expect(oldest.ageMs(1000)).toBe(800);
    oldest.trim(32);
    expect(oldest.ageMs(1000)).toBe(700);
  });

  it('is exact where the low halves of positions wrap', () => {
    const oldest = new OldestSample();
    oldest.note(0x7ffffff8 | 0, 100);
    oldest.note(0x80000008 | 0, 200);
    oldest.trim(0x80000000 | 0);
    expect(oldest.ageMs(1000)).toBe(900);
    oldest.trim(0x80000008 | 0);
    expect(oldest.ageMs(1000)).toBe(800);
    oldest.note(-8, 300);
    oldest.note(8, 400);
    oldest.trim(8);
    expect(oldest.ageMs(1000)).toBe(600);
  });

  it('keeps the very oldest mark however many samples come, and stays near the truth while draining', () => {
    const oldest = new OldestSample();
    const stored = Array.from({ length: 5000 }, (_, i) => ({ pos: i * 16, ms: i * 10 }));
    for (const { pos, ms } of stored) oldest.note(pos, ms);
    const now = 60_000;
    expect(oldest.ageMs(now)).toBe(now);
    for (let drained = 0; drained < stored.length; drained += 97) {
      oldest.trim(stored[drained]!.pos);
      const truth = now - stored[drained]!.ms;
      const shown = oldest.ageMs(now);
      // Never younger than the truth, and older by no more than marks are apart.
      expect(shown).toBeGreaterThanOrEqual(truth);
      expect(shown - truth).toBeLessThanOrEqual(50_000 / 16);
    }
  });

  it('is as near to the truth when samples come seldom', () => {
    const oldest = new OldestSample();
    for (let i = 0; i < 1000; i++) oldest.note(i * 16, i * 1000);
    oldest.trim(100 * 16);
    expect(1_000_000 - oldest.ageMs(1_000_000)).toBeGreaterThanOrEqual(100_000 - 1_000_000 / 16);
  });

  it('is exact again once a long backlog was drained, though the ring was never empty', () => {
    const oldest = new OldestSample();
    for (let i = 0; i < 1000; i++) oldest.note(i * 16, i * 1000);
    oldest.trim(999 * 16);
    expect(oldest.ageMs(1_000_000)).toBeLessThanOrEqual(1_000_000 / 16);
    oldest.note(1000 * 16, 1_000_000);
    oldest.note(1001 * 16, 1_000_010);
    oldest.trim(1000 * 16);
    oldest.note(1002 * 16, 1_000_020);
    oldest.note(1003 * 16, 1_000_030);
    oldest.trim(1003 * 16);
    expect(oldest.ageMs(1_000_040)).toBe(10);
  });
});
