import { describe, expect, it } from 'vitest';
import { isRetryableStatus, retryAfterMs } from '../../../src/server/handlers/webhook/retry.js';

const NOW = Date.UTC(1994, 10, 6, 8, 49, 7);

describe('Retry-After', () => {
  it.each([
    ['0', 0],
    ['30', 30_000],
    [' 7 ', 7000],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 30_000],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 30_000],
    ['Sun Nov  6 08:49:37 1994', 30_000],
    ['Sun, 06 Nov 1994 08:49:00 GMT', 0],
    [undefined, undefined],
    ['', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['99999999999', undefined],
    ['2026-01-01', undefined],
    ['Sun, nonsense', undefined],
  ])('"%s" means %s ms', (header, ms) => {
    expect(retryAfterMs(header, NOW)).toBe(ms);
  });
});

describe('a status', () => {
  it('is worth a retry when the server is slow, busy or broken, and only then', () => {
    const statuses = [200, 301, 400, 401, 404, 408, 409, 413, 422, 429, 499, 500, 502, 503, 504, 599, 600];
    expect(statuses.filter(isRetryableStatus)).toEqual([408, 429, 500, 502, 503, 504, 599]);
  });
});
