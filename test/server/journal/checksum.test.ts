import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecordChecksum } from '../../../src/server/journal/checksum.js';

describe('the checksum of a record', () => {
  const salt = Int32Array.of(11, 22, 33, 44);
  const payload = Int32Array.from({ length: 64 }, (_, index) => Math.imul(index, 0x01234567));
  const of = (low: number, high: number, header: number, words: Int32Array, by = salt): number => {
    const checksum = new RecordChecksum(by);
    checksum.begin(low, high, header);
    checksum.payload(words, 0, words.length);
    return checksum.end();
  };

  const other = (words: Int32Array<ArrayBuffer>, word: number): Int32Array<ArrayBuffer> =>
    words.map((value, at) => value + Number(at === word));

  it('depends on salt, position, header and every word', () => {
    const plain = of(8, 0, 256, payload);
    expect(of(16, 0, 256, payload)).not.toBe(plain);
    expect(of(8, 1, 256, payload)).not.toBe(plain);
    expect(of(8, 0, 248, payload)).not.toBe(plain);
    for (let lane = 0; lane < 4; lane++) expect(of(8, 0, 256, payload, other(salt, lane))).not.toBe(plain);
    for (let word = 0; word < payload.length; word++) {
      expect(of(8, 0, 256, other(payload, word))).not.toBe(plain);
    }
    expect(of(8, 0, 256, payload.slice().reverse())).not.toBe(plain);
  });

  it('sees two flipped top bits, which a plain multiplication would let cancel each other', () => {
    const plain = of(8, 0, 256, payload);
    for (let distance = 2; distance < 40; distance += 2) {
      const flipped = payload.slice();
      flipped[3]! ^= 1 << 31;
      flipped[3 + distance]! ^= 1 << 31;
      expect(of(8, 0, 256, flipped)).not.toBe(plain);
    }
  });

  it('may be fed in pieces', () => {
    const whole = of(8, 0, 256, payload);
    const checksum = new RecordChecksum(salt);
    checksum.begin(8, 0, 256);
    for (const [from, to] of [
      [0, 10],
      [10, 10],
      [10, 12],
      [12, 14],
      [14, 22],
      [22, 64],
    ] as const)
      checksum.payload(payload, from, to);
    expect(checksum.end()).toBe(whole);
  });

  it('is told apart by the other lanes where a payload cancels the position in one', () => {
    const mix = (lane: number, word: number, prime: number): number => {
      const product = Math.imul(lane ^ word, prime);
      return (product << 13) | (product >>> 19);
    };
    const primes = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f];
    const lanesBehind = (low: number, high: number, header: number): number[] => {
      return [low, header, high, low].map((word, lane) => mix(salt[lane]!, word, primes[lane]!));
    };
    const at = lanesBehind(8, 0, 256);
    const moved = lanesBehind(24, 0, 256);
    for (const lane of [0, 3]) {
      const adapted = payload.slice();
      adapted[lane]! ^= at[lane]! ^ moved[lane]!;
      expect(of(24, 0, 256, adapted)).not.toBe(of(8, 0, 256, payload));
    }
  });

  it('sees a change of one word for certain, a flipped bit above all', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer(), { minLength: 4, maxLength: 4 }),
        fc.array(fc.tuple(fc.integer(), fc.integer()), { minLength: 1, maxLength: 20 }),
        fc.integer().filter((change) => change !== 0),
        (salts, pairs, change) => {
          const by = Int32Array.from(salts);
          const words = Int32Array.from(pairs.flat());
          const sum = (): number => of(8, 0, 4 * words.length, words, by);
          const plain = sum();
          for (let word = 0; word < words.length; word++)
            for (const flipped of [change, 1 << (change & 31)]) {
              words[word]! ^= flipped;
              expect(sum()).not.toBe(plain);
              words[word]! ^= flipped;
            }
        },
      ),
    );
  });
});
