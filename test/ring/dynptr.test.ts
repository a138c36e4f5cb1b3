import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Dynptr, Verdict } from '../../src/ring/index.js';
import { pattern, rawRing } from './raw.js';

/** Puts one sample at `start` in a ring of 4096 bytes that is full of 0xee, and hands it to `use`. */
function withSample(payload: Uint8Array, start: number, use: (sample: Dynptr) => void, shared = false): void {
  const raw = rawRing(4096, { shared, consumer: BigInt(start), producer: BigInt(start) });
  raw.bytes.fill(0xee, 0x2000);
  raw.producer.output(payload);
  const verdict = (sample: Dynptr): Verdict => {
    use(sample);
    return 0;
  };
  const ret = raw.consumer.drain(verdict, undefined);
  const { error } = raw.consumer.report;
  if (error instanceof Error) throw error;
  expect(ret).toBe(1);
}

const starts = fc.nat(511).map((words) => 8 * words);

describe('a dynptr', () => {
  it('reads every byte, every int32 and every part of a sample that may wrap', () => {
    fc.assert(
      fc.property(
        fc.nat(4088).map((length) => pattern(length, length)),
        starts,
        fc.nat(4096),
        fc.nat(4096),
        fc.boolean(),
        (payload, start, a, b, shared) => {
          withSample(
            payload,
            start,
            (sample) => {
              expect(sample.size).toBe(payload.length);
              const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
              for (const offset of [0, 1, a, b, payload.length - 4, payload.length - 1]) {
                if (offset < 0 || offset >= payload.length) continue;
                expect(sample.readUint8(offset)).toBe(payload[offset]);
                if (offset + 4 <= payload.length)
                  expect(sample.readInt32(offset)).toBe(view.getInt32(offset, true));
              }
              const from = Math.min(a, payload.length);
              const length = Math.min(b, payload.length - from);
              const target = new Uint8Array(length + 5).fill(0x11);
              expect(sample.read(target, 2, from, length)).toBe(length);
              const expected = [0x11, 0x11, ...payload.subarray(from, from + length), 0x11, 0x11, 0x11];
              expect(Buffer.compare(target, Uint8Array.from(expected))).toBe(0);
              expect(Buffer.compare(sample.copy(a), payload.subarray(0, a))).toBe(0);
            },
            shared,
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])('reads int32 at offset %i over the end of the ring', (offset) => {
    const payload = pattern(16, 5);
    // The record starts 16 bytes before the end: its payload has 8 bytes there and 8 at the start.
    withSample(payload, 4080, (sample) => {
      const view = new DataView(payload.buffer);
      expect(sample.readInt32(offset)).toBe(view.getInt32(offset, true));
    });
  });

  it.each([
    ['readUint8(-1)', (s: Dynptr) => s.readUint8(-1)],
    ['readUint8(5)', (s: Dynptr) => s.readUint8(5)],
    ['readUint8(NaN)', (s: Dynptr) => s.readUint8(NaN)],
    ['readUint8(Infinity)', (s: Dynptr) => s.readUint8(Infinity)],
    ['readInt32(2)', (s: Dynptr) => s.readInt32(2)],
    ['readInt32(-4)', (s: Dynptr) => s.readInt32(-4)],
    ['readInt32(NaN)', (s: Dynptr) => s.readInt32(NaN)],
    ['read of one byte too many', (s: Dynptr) => s.read(new Uint8Array(9), 0, 0, 6)],
    ['read from behind the end', (s: Dynptr) => s.read(new Uint8Array(9), 0, 6)],
    ['read of a negative length', (s: Dynptr) => s.read(new Uint8Array(9), 0, 0, -1)],
    ['read from NaN', (s: Dynptr) => s.read(new Uint8Array(9), 0, NaN, 5)],
    ['read of NaN bytes', (s: Dynptr) => s.read(new Uint8Array(9), 0, 0, NaN)],
    ['read into a target too small', (s: Dynptr) => s.read(new Uint8Array(4))],
    ['read into a target too far', (s: Dynptr) => s.read(new Uint8Array(8), 4)],
    ['read before the target', (s: Dynptr) => s.read(new Uint8Array(8), -1)],
  ])('throws a RangeError at %s of a sample of 5 bytes', (_what, access) => {
    withSample(pattern(5), 64, (sample) => expect(() => access(sample)).toThrow(RangeError));
  });

  it('copies nothing of nothing: an empty sample, an empty rest', () => {
    withSample(new Uint8Array(0), 4088, (sample) => {
      expect(sample.size).toBe(0);
      expect(sample.copy()).toEqual(new Uint8Array(0));
      expect(sample.read(new Uint8Array(0))).toBe(0);
      expect(() => sample.readUint8(0)).toThrow(RangeError);
    });
    withSample(pattern(3), 0, (sample) => expect(sample.read(new Uint8Array(0), 0, 3)).toBe(0));
  });

  it('is dead once the drain is over, whatever is asked of it', () => {
    let kept: Dynptr | undefined;
    withSample(pattern(5), 0, (sample) => (kept = sample));
    const dead = kept!;
    for (const access of [
      () => dead.size,
      () => dead.readUint8(0),
      () => dead.readUint8(NaN),
      () => dead.readInt32(0),
      () => dead.read(new Uint8Array(8)),
      () => dead.read(new Uint8Array(8), 0, 0, 0),
      () => dead.copy(),
    ])
      expect(access).toThrow(/released/);
  });

  it('is dead after a callback that failed, too', () => {
    let kept: Dynptr | undefined;
    const raw = rawRing(4096);
    raw.producer.output(pattern(5));
    raw.consumer.drain((sample) => {
      kept = sample;
      throw new Error('no');
    }, undefined);
    expect(() => kept!.size).toThrow(/released/);
  });

  it('stays alive in its callback when a drain inside was refused', () => {
    const raw = rawRing(4096);
    raw.producer.output(pattern(5));
    const ret = raw.consumer.drain((sample) => {
      expect(raw.consumer.drain(() => 0, undefined)).toBe(-16);
      expect(sample.size).toBe(5);
      return 0;
    }, undefined);
    expect(ret).toBe(1);
  });

  it('copies into memory of its own', () => {
    const raw = rawRing(4096);
    raw.producer.output(pattern(5));
    let copy = new Uint8Array(0);
    raw.consumer.drain((sample) => ((copy = sample.copy() as Uint8Array<ArrayBuffer>), 0), undefined);
    raw.bytes.fill(0, 0x2000);
    expect(copy).toEqual(pattern(5));
  });
});
