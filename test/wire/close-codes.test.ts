import { describe, expect, it } from 'vitest';
import { CloseCode, mayReconnect } from '../../src/wire/index.js';

describe('the close codes', () => {
  it('have the numbers of the protocol', () => {
    expect(CloseCode).toEqual({
      SLOW_CLIENT: 4408,
      DRAINING: 4412,
      TOO_MANY: 4429,
      UNAUTHENTICATED: 4501,
      FORBIDDEN: 4503,
      NO_MAP: 4504,
      PROTOCOL_ERROR: 4505,
      REPLACED: 4506,
      DISCONNECTED: 4507,
      DIRECT_TAKEN: 4509,
    });
  });

  it('lie in the two ranges of the daemon, each once', () => {
    const codes = Object.values(CloseCode);
    expect(new Set(codes).size).toBe(codes.length);
    for (const code of codes) {
      expect(code).toBeGreaterThanOrEqual(4000);
      expect(code).toBeLessThanOrEqual(4999);
    }
  });

  it.each([4000, 4408, 4412, 4429, 4499])('allow a reconnect after %i', (code) => {
    expect(mayReconnect(code)).toBe(true);
  });

  it.each([4500, 4501, 4503, 4504, 4505, 4506, 4507, 4509, 4999])('allow none after %i', (code) => {
    expect(mayReconnect(code)).toBe(false);
  });

  it.each([
    [1000, 'normal closure', false],
    [1001, 'going away', true],
    [1002, 'protocol error', false],
    [1003, 'unsupported data', false],
    [1005, 'no code', true],
    [1006, 'connection lost', true],
    [1007, 'not UTF-8', false],
    [1008, 'policy', false],
    [1009, 'too big', false],
    [1010, 'extension wanted', false],
    [1011, 'internal error', true],
    [1012, 'restart', true],
    [1013, 'try again later', true],
    [1015, 'TLS', true],
  ])('after RFC 6455 code %i (%s): %s', (code, _name, expected) => {
    expect(mayReconnect(code)).toBe(expected);
  });
});
