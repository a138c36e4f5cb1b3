import { describe, expect, it } from 'vitest';
import { unmask } from '../../src/server/unmask.js';

describe('taking the mask off', () => {
  it('gives back the payload for every length and key, by native code and without', () => {
    for (const length of [0, 1, 2, 3, 4, 5, 63, 64, 100, 511, 512, 513, 1000, 4099])
      for (const key of [
        [0, 0, 0, 0],
        [1, 2, 3, 4],
        [0xff, 0x80, 0, 0x7f],
      ]) {
        const buffer = new ArrayBuffer(4104);
        const bytes = new Uint8Array(buffer, 0, length).map((_, index) => (index * 31) & 255);
        const masked = new Uint8Array(buffer, 0, length);
        masked.set(bytes.map((byte, index) => byte ^ key[index & 3]!));
        unmask(new Int32Array(buffer), masked, key[0]! | (key[1]! << 8) | (key[2]! << 16) | (key[3]! << 24));
        expect(masked).toEqual(bytes);
      }
  });
});
