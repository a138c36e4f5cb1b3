import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64, encodeBase64 } from '../../src/wire/index.js';

describe('base64', () => {
  it.each([
    // RFC 4648 §10
    ['', ''],
    ['f', 'Zg=='],
    ['fo', 'Zm8='],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg=='],
    ['fooba', 'Zm9vYmE='],
    ['foobar', 'Zm9vYmFy'],
  ])('of "%s" is "%s"', (text, encoded) => {
    const bytes = new TextEncoder().encode(text);
    expect(encodeBase64(bytes)).toBe(encoded);
    expect(decodeBase64(encoded)).toEqual(bytes);
    expect(decodeBase64(encoded.replaceAll('=', ''))).toEqual(bytes);
  });

  it('has + and / for 62 and 63', () => {
    expect(encodeBase64(Uint8Array.of(0xfb, 0xef, 0xbe, 0xff, 0xff, 0xff))).toBe('++++////');
    expect(decodeBase64('++++////')).toEqual(Uint8Array.of(0xfb, 0xef, 0xbe, 0xff, 0xff, 0xff));
  });

  it('gives any bytes back, and agrees with another implementation', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300, size: 'max' }), fc.nat(5), (bytes, from) => {
        const part = bytes.subarray(from);
        const encoded = encodeBase64(part);
        expect(encoded).toBe(Buffer.from(part).toString('base64'));
        expect(decodeBase64(encoded)).toEqual(Uint8Array.from(part));
      }),
    );
  });

  it.each([0x7fff, 0x8000, 0x8001, 3 * 0x8000 + 1, 100_000])(
    'of %i bytes, more than a chunk or not',
    (length) => {
      const bytes = new Uint8Array(length).map((_, i) => i * 7);
      const encoded = encodeBase64(bytes);
      expect(encoded === Buffer.from(bytes).toString('base64')).toBe(true);
      expect(Buffer.compare(decodeBase64(encoded)!, bytes)).toBe(0);
    },
  );

  it.each([
    'A',
    'AAAAA',
    '=',
    '==',
    'A===',
    'AA=',
    'AAAA==',
    'AAA==',
    'AA=A',
    'A A=',
    'AAAA\n',
    ' AAAA',
    'AA-_',
    'AAÄ=',
    '\u0000AAA',
  ])('is not %j', (text) => {
    expect(decodeBase64(text)).toBeUndefined();
  });

  it('of any text is bytes or undefined, never an exception, and never more bytes than text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'AZaz09+/=') })), (text) => {
        const bytes = decodeBase64(text);
        if (bytes !== undefined) expect(bytes.length).toBeLessThanOrEqual((text.length * 3) / 4);
      }),
      { numRuns: 300 },
    );
  });
});
