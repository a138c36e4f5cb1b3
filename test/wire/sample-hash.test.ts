import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashPayload, SampleHash } from '../../src/wire/index.js';

const utf8 = new TextEncoder();

/** One payload as record `number` of its producer. */
function digestOf(text: string, number: number): string {
  const hash = new SampleHash();
  for (let skipped = 0; skipped < number; skipped++) hash.skip();
  hash.add(utf8.encode(text));
  return hash.digest();
}

describe('the hash of samples', () => {
  // Published test vectors of MurmurHash3_x86_32: text, seed, hash.
  it.each([
    ['', 0, '000000000000'],
    ['', 1, '0000514e28b7'],
    ['test', 0, '0000ba6bd213'],
    ['Hello, world!', 0, '0000c0363e43'],
  ])('of %j with the seed %d is %s', (text, seed, expected) => {
    expect(digestOf(text, seed)).toBe(expected);
  });

  it('is the same wherever the payload lies in a ring, whatever stands behind it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(63), fc.nat(), (payload, start, seed) => {
        const flat = new Int32Array(64);
        new Uint8Array(flat.buffer).set(payload);
        const ring = new Int32Array(64).fill(-1);
        const bytes = new Uint8Array(ring.buffer);
        payload.forEach((byte, index) => (bytes[(4 * start + index) % 256] = byte));
        expect(hashPayload(ring, start, 63, payload.length, seed)).toBe(
          hashPayload(flat, 0, -1, payload.length, seed),
        );
      }),
    );
  });

  it('adds up beyond 32 bits', () => {
    const hash = new SampleHash();
    for (let number = 0; number < 100; number++) hash.add(utf8.encode(`sample ${number}`));
    expect(hash.records).toBe(100);
    expect(Number.parseInt(hash.digest(), 16)).toBeGreaterThan(2 ** 32);
    expect(hash.digest()).toHaveLength(12);
  });

  it('takes payloads of any size', () => {
    const big = new SampleHash();
    big.add(new Uint8Array(100_000).fill(7));
    const bigger = new SampleHash();
    bigger.add(new Uint8Array(100_001).fill(7));
    expect(big.digest()).not.toBe(bigger.digest());
  });
});
