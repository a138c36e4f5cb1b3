import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatMs,
  formatShare,
  parseBytes,
  parseDurationMs,
} from '../../../src/cli/load/measures.js';

describe('a duration', () => {
  it.each([
    ['10', 10_000],
    ['10s', 10_000],
    ['500ms', 500],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['1h', 3_600_000],
  ])('%j is %i ms', (text, ms) => expect(parseDurationMs(text)).toBe(ms));

  it.each(['', 's', '-1s', '10 parsecs', '1s2', 'NaN'])('%j is none', (text) =>
    expect(parseDurationMs(text)).toBeUndefined(),
  );
});

describe('a size', () => {
  it.each([
    ['4096', 4096],
    ['64k', 65_536],
    ['1M', 1_048_576],
    ['1 MiB', 1_048_576],
    ['2GB', 2_147_483_648],
    ['0', 0],
  ])('%j is %i bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  it.each(['', 'k', '1.5k', '-1', '1T'])('%j is none', (text) => expect(parseBytes(text)).toBeUndefined());
});

describe('numbers in a table', () => {
  it('have three digits that count, and a unit', () => {
    expect([0.0001, 0.25, 1.234, 12.34, 999.4, 1234].map(formatMs)).toEqual([
      '0 µs',
      '250 µs',
      '1.23 ms',
      '12.3 ms',
      '999 ms',
      '1.23 s',
    ]);
    expect([0, 1023, 1536, 1048576, 5e9].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '1 MiB',
      '4.66 GiB',
    ]);
    expect([0, 0.005, 0.125, 1].map(formatShare)).toEqual(['0 %', '0.5 %', '13 %', '100 %']);
    expect(formatCount(1234567)).toBe('1,234,567');
  });
});
