import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advance, distance, isAhead, loadLow, loadPosition, storePosition } from '../../src/ring/position.js';

const U64 = 2n ** 64n;

/** u64 values, most of them close to where some representation changes. */
const u64 = fc.oneof(
  fc.bigInt({ min: 0n, max: U64 - 1n }),
  fc
    .tuple(
      fc.constantFrom(0n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n),
      fc.bigInt({ min: -64n, max: 64n }),
    )
    .map(([base, delta]) => BigInt.asUintN(64, base + delta)),
);

function wordsOf(a: bigint, b = 0n, shared = false): Int32Array {
  const words = new Int32Array(shared ? new SharedArrayBuffer(16) : new ArrayBuffer(16));
  const view = new DataView(words.buffer);
  view.setBigUint64(0, a, true);
  view.setBigUint64(8, b, true);
  return words;
}

describe('a position', () => {
  it('is stored as a little-endian u64 and read back', () => {
    fc.assert(
      fc.property(u64, (value) => {
        const words = wordsOf(0n, 0xdeadbeefn);
        storePosition(words, 0, value);
        expect([...new BigUint64Array(words.buffer)]).toEqual([value, 0xdeadbeefn]);
        expect(loadPosition(words, 0)).toBe(value);
      }),
    );
  });

  it('is taken modulo 2^64', () => {
    const words = wordsOf(0n);
    storePosition(words, 0, U64 + 5n);
    expect(loadPosition(words, 0)).toBe(5n);
    storePosition(words, 0, -8n);
    expect(loadPosition(words, 0)).toBe(U64 - 8n);
  });

  it.each([false, true])('moves on with its carry and wraps at 2^64 (shared: %s)', (shared) => {
    fc.assert(
      fc.property(u64, fc.nat(2 ** 31 - 1), (value, bytes) => {
        const words = wordsOf(7n, value, shared);
        advance(words, 2, bytes, shared);
        expect(loadPosition(words, 2)).toBe((value + BigInt(bytes)) % U64);
        expect(loadPosition(words, 0)).toBe(7n);
        expect(loadLow(words, 2, shared)).toBe(Number(BigInt.asIntN(32, value + BigInt(bytes))));
      }),
    );
  });

  it('writes its high half before its low half when it carries', () => {
    const order: string[] = [];
    const words = new Proxy(wordsOf(2n ** 32n - 8n), {
      get: (target, key) => Reflect.get(target, key) as unknown,
      set: (target, key, value) => {
        order.push(String(key));
        return Reflect.set(target, key, value);
      },
    });
    advance(words, 0, 16, false);
    expect(order).toEqual(['1', '0']);
  });
});

describe('the distance between two positions', () => {
  it('is a - b modulo 2^64, exact below 2^53', () => {
    fc.assert(
      fc.property(u64, fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }), (b, difference) => {
        const words = wordsOf((b + difference) % U64, b);
        expect(distance(words, 0, 2)).toBe(Number(difference));
      }),
    );
  });

  it('is never taken for a small one when it is 2^53 or more', () => {
    fc.assert(
      fc.property(u64, u64, (a, b) => {
        const exact = BigInt.asUintN(64, a - b);
        const result = distance(wordsOf(a, b), 0, 2);
        expect(result).toBe(Number(exact >> 32n) * 2 ** 32 + Number(exact & 0xffffffffn));
        if (exact >= 2n ** 53n) expect(result).toBeGreaterThanOrEqual(2 ** 53);
      }),
    );
  });
});

describe('which position is ahead', () => {
  it('is decided unsigned, over all 64 bits', () => {
    fc.assert(
      fc.property(u64, u64, (a, b) => {
        expect(isAhead(wordsOf(a, b), 0, 2)).toBe(a > b);
      }),
    );
  });

  it('is neither when they are equal', () => {
    fc.assert(
      fc.property(u64, (a) => {
        expect(isAhead(wordsOf(a, a), 0, 2)).toBe(false);
      }),
    );
  });
});
