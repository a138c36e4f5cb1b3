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

  it('depends on salt, position, header and every word', () => {
    const plain = of(8, 0, 256, payload);
    expect(of(16, 0, 256, payload)).not.toBe(plain);
    expect(of(8, 1, 256, payload)).not.toBe(plain);
    expect(of(8, 0, 248, payload)).not.toBe(plain);
    expect(of(8, 0, 256, payload, Int32Array.of(12, 22, 33, 44))).not.toBe(plain);
    expect(of(8, 0, 256, payload, Int32Array.of(11, 23, 33, 44))).not.toBe(plain);
    for (let word = 0; word < payload.length; word++) {
      const other = payload.slice();
      other[word]! += 1;
      expect(of(8, 0, 256, other)).not.toBe(plain);
    }
    expect(of(8, 0, 256, payload.slice().reverse())).not.toBe(plain);
  });

  it('sees two flipped top bits, which a plain multiplication would let cancel each other', () => {
    const plain = of(8, 0, 256, payload);
    for (let distance = 2; distance < 40; distance += 2) {
      const other = payload.slice();
      other[3]! ^= 1 << 31;
      other[3 + distance]! ^= 1 << 31;
      expect(of(8, 0, 256, other)).not.toBe(plain);
    }
  });

  it('may be fed in pieces', () => {
    const whole = of(8, 0, 256, payload);
    const checksum = new RecordChecksum(salt);
    checksum.begin(8, 0, 256);
    checksum.payload(payload, 0, 10);
    checksum.payload(payload, 10, 10);
    checksum.payload(payload, 10, 64);
    expect(checksum.end()).toBe(whole);
  });

  it('is told apart by the other lane where a payload cancels the position in one', () => {
    // In lane B the second word meets the position as it is: both may change so that nothing is to be seen there.
    const moved = payload.slice();
    moved[1]! ^= 8 ^ 56;
    expect(of(56, 0, 256, moved)).not.toBe(of(8, 0, 256, payload));
    // In lane A the first word meets a mixture of salt, position and header.
    const laneA = (low: number): number => {
      const mixed = Math.imul(salt[0]! ^ low, 0x9e3779b1 | 0);
      const next = Math.imul(((mixed << 13) | (mixed >>> 19)) ^ 256, 0x85ebca77 | 0);
      return (next << 13) | (next >>> 19);
    };
    const other = payload.slice();
    other[0]! ^= laneA(8) ^ laneA(24);
    expect(of(24, 0, 256, other)).not.toBe(of(8, 0, 256, payload));
  });

  it('holds the parity of the header in bit 1 and that of the payload in bit 0', () => {
    const parity = (words: Int32Array): number =>
      words.reduce((sum, word) => sum + (word >>> 0).toString(2).replaceAll('0', '').length, 0) % 2;
    for (let round = 0; round < 50; round++) {
      const header = Math.imul(round, 0x00a3_1f35) & 0xff_ffff;
      const words = payload.map((word) => Math.imul(word ^ round, 0x2c1b_3c6d));
      expect(of(8 * round, 0, header, words) & 3).toBe(2 * parity(Int32Array.of(header)) + parity(words));
    }
  });
});
