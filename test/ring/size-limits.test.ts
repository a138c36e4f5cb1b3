import { describe, expect, it } from 'vitest';
import { SampleRun, checkAttributes, checkRun, createUserRing } from '../../src/ring/index.js';
import { attach, drainAll, pokeHeader, pokeProducer, rawRing, runOf, type RawRing } from './raw.js';

const MIB = 2 ** 20;

/** `count` records without payload: samples, or discards. */
function emptyRecords(raw: RawRing, count: number, discarded: boolean): void {
  if (!discarded) {
    expect(raw.producer.outputRun(new Uint8Array(8 * count))).toBe(0);
    return;
  }
  for (let i = 0; i < count; i++) raw.producer.discard(raw.producer.reserve(0));
}

describe('max_entries', () => {
  it('is a power of two and a multiple of 4096, up to 2^30', () => {
    for (let exponent = 0; exponent <= 52; exponent++) {
      const expected = exponent < 12 ? -22 : exponent <= 30 ? 0 : -7;
      expect([exponent, checkAttributes({ maxEntries: 2 ** exponent })]).toEqual([exponent, expected]);
      expect([exponent, checkAttributes({ maxEntries: 2 ** exponent + 4096 })]).toEqual([
        exponent,
        // 2^12 + 4096 is a power of two as well.
        exponent === 12 ? 0 : -22,
      ]);
    }
  });

  it.each([
    0,
    1,
    4095,
    4097,
    6144,
    12288,
    2 ** 30 + 1,
    -4096,
    4096.5,
    2 ** 53,
    2 ** 60,
    Infinity,
    -Infinity,
    NaN,
    Number('x'),
  ])('%d is refused with EINVAL', (maxEntries) => {
    expect(checkAttributes({ maxEntries })).toBe(-22);
  });

  it.each([2 ** 31, 2 ** 32, 2 ** 40])(
    '%d, a valid size in the kernel, is refused with E2BIG',
    (maxEntries) => {
      expect(checkAttributes({ maxEntries })).toBe(-7);
      expect(() => createUserRing({ maxEntries })).toThrow(RangeError);
    },
  );

  it('of 2^30 makes a ring that works up to its last byte, near the wrap of the low half too', () => {
    const ring = createUserRing({ maxEntries: 2 ** 30 }, { mode: 'managed' });
    expect(ring.size).toBe(1073741824);
    const big = attach(ring);
    ring.consumerPosition = 2n ** 32n - 16n;
    ring.producerPosition = 2n ** 32n - 16n;
    expect(big.producer.reserve(2 ** 30 - 7)).toBe(-7);
    const whole = big.producer.reserve(2 ** 30 - 8);
    expect(whole).toBe(2 ** 30 - 16);
    expect([ring.used, ring.free, ring.writable]).toEqual([2 ** 30, 0, false]);
    expect(ring.producerPosition).toBe(2n ** 32n + 2n ** 30n - 16n);
    expect(big.producer.reserve(0)).toBe(-28);
    big.producer.discard(whole);
    // Longer than a dynptr: it could be reserved, it can never be drained, not even as a discard.
    expect(drainAll(big).ret).toBe(-7);
    pokeHeader(big, 2 ** 30 - 16, 8);
    expect(big.consumer.drain(() => 1, undefined)).toBe(1);
    expect(ring.used).toBe(2 ** 30 - 16);
  });
});

describe('the turn limit', () => {
  it('ends a drain after 131072 samples; the next drain goes on', () => {
    const raw = rawRing(2 * MIB);
    emptyRecords(raw, 131072 + 3, false);
    expect(raw.consumer.drain(() => 0, undefined)).toBe(131072);
    expect(raw.ring.used).toBe(24);
    expect(raw.consumer.report).toMatchObject({ drained: 131072, stopped: false, wakeup: true });
    expect(raw.consumer.drain(() => 0, undefined)).toBe(3);
  });

  it('is not reached by exactly 131072 samples in an exactly full ring', () => {
    const raw = rawRing(MIB);
    emptyRecords(raw, 131072, false);
    expect([raw.ring.used, raw.ring.writable]).toEqual([MIB, false]);
    expect(raw.consumer.drain(() => 0, undefined)).toBe(131072);
    expect([raw.ring.used, raw.ring.writable]).toEqual([0, true]);
  });

  it('counts discards: 131072 of them use a drain up, and the sample behind them waits', () => {
    const raw = rawRing(2 * MIB);
    emptyRecords(raw, 131072, true);
    raw.producer.output(Uint8Array.of(1));
    expect(drainAll(raw)).toEqual({ ret: 0, samples: [] });
    expect(raw.consumer.report).toMatchObject({ drained: 0, discarded: 131072, wakeup: true });
    expect(drainAll(raw)).toEqual({ ret: 1, samples: [Uint8Array.of(1)] });
  });

  it('counts discards and samples together', () => {
    const raw = rawRing(2 * MIB);
    emptyRecords(raw, 131070, true);
    emptyRecords(raw, 5, false);
    expect(raw.consumer.drain(() => 0, undefined)).toBe(2);
    expect(raw.consumer.report).toMatchObject({ drained: 2, discarded: 131070 });
  });

  it('cannot be raised by the caller, in one drain or in runs', () => {
    const raw = rawRing(2 * MIB);
    emptyRecords(raw, 131072 + 3, false);
    expect(raw.consumer.drain(() => 0, undefined, 0, 1e9)).toBe(131072);
    emptyRecords(raw, 131072, false);
    const run = new SampleRun(raw.ring);
    raw.consumer.begin(0);
    for (let peeked = 1; peeked > 0;) {
      peeked = raw.consumer.peekRun(run, MIB, 1e9);
      raw.consumer.releaseRun(run, peeked);
    }
    raw.consumer.end(0);
    expect(raw.consumer.report.drained).toBe(131072);
    expect(raw.ring.used).toBe(24);
  });

  it('bounds a drain whose callback puts a new sample in for each one it gets', () => {
    const raw = rawRing(4096);
    raw.producer.output(new Uint8Array(0));
    const ret = raw.consumer.drain(() => {
      raw.producer.output(new Uint8Array(0));
      return 0;
    }, undefined);
    expect(ret).toBe(131072);
    expect(raw.ring.used).toBe(8);
  });

  it('bounds a drain of a hostile ring that claims to hold 2^64 bytes', () => {
    const raw = rawRing(4096, { producer: 2n ** 64n - 8n });
    expect(raw.consumer.drain(() => 0, undefined)).toBe(131072);
    expect(raw.ring.consumerPosition).toBe(1048576n);
  });
});

describe('the dynptr limit', () => {
  it('lets a sample of 2^24-1 bytes through, whole', () => {
    const raw = rawRing(32 * MIB);
    const reservation = raw.producer.reserve(0xffffff);
    expect(reservation).toBe(0);
    raw.bytes[0x2008 + 0xfffffe] = 0x77;
    raw.producer.submit(reservation);
    const ret = raw.consumer.drain((sample) => {
      expect(sample.size).toBe(16777215);
      expect(sample.readUint8(0xfffffe)).toBe(0x77);
      return 0;
    }, undefined);
    expect(ret).toBe(1);
  });

  it('lets one of 2^24 bytes be reserved and submitted, and never drained: E2BIG, also when discarded', () => {
    const raw = rawRing(32 * MIB);
    const reservation = raw.producer.reserve(0x1000000);
    raw.producer.submit(reservation);
    expect(drainAll(raw).ret).toBe(-7);
    raw.producer.discard(reservation);
    expect(drainAll(raw).ret).toBe(-7);
    expect(raw.ring.consumerPosition).toBe(0n);
  });

  it('is checked before BUSY', () => {
    const raw = rawRing(32 * MIB);
    raw.producer.reserve(0x1000000);
    expect(drainAll(raw).ret).toBe(-7);
  });

  it('is part of checkRun, which keeps such a sample out of a managed ring', () => {
    const view = (bytes: Uint8Array) => new DataView(bytes.buffer);
    expect(checkRun(view(runOf([new Uint8Array(0xffffff)])), 32 * MIB)).toBe(1);
    expect(checkRun(view(runOf([new Uint8Array(0x1000000)])), 32 * MIB)).toBe(-7);
  });
});

describe('an exactly full ring', () => {
  it.each([
    ['one record', [4088]],
    ['two records', [2040, 2040]],
    ['one record with padding', [4081]],
    ['512 empty records', Array.from({ length: 512 }, () => 0)],
  ])('of %s refuses one more byte, is not writable, and drains whole', (_what, sizes) => {
    const raw = rawRing(4096);
    for (const size of sizes) expect(raw.producer.output(new Uint8Array(size).fill(0x5a))).toBe(0);
    expect([raw.ring.used, raw.ring.free, raw.ring.writable]).toEqual([4096, 0, false]);
    expect(raw.producer.reserve(0)).toBe(-28);
    const { ret, samples } = drainAll(raw);
    expect(ret).toBe(sizes.length);
    expect(samples.map((sample) => sample.length)).toEqual(sizes);
    expect(samples.every((sample) => sample.every((byte) => byte === 0x5a))).toBe(true);
    expect([raw.ring.used, raw.ring.writable]).toEqual([0, true]);
  });

  it('is one, at every start in the ring', () => {
    for (let start = 0n; start < 4096n; start += 8n) {
      const raw = rawRing(4096, { mode: 'managed', consumer: start, producer: start });
      raw.producer.output(new Uint8Array(4088).fill(Number(start / 8n) & 0xff));
      expect(raw.ring.writable).toBe(false);
      expect(raw.producer.reserve(0)).toBe(-28);
      expect(
        raw.consumer.drain(
          (sample) => (sample.readUint8(4087) === (Number(start / 8n) & 0xff) ? 0 : 1),
          undefined,
        ),
      ).toBe(1);
      expect(raw.consumer.report.stopped).toBe(false);
    }
  });

  it('is full again at once when the producer position is poked one ring on', () => {
    const raw = rawRing(4096);
    pokeProducer(raw, 4096n);
    expect([raw.ring.writable, raw.ring.free]).toEqual([false, 0]);
    pokeProducer(raw, 4095n);
    expect([raw.ring.writable, raw.ring.free]).toEqual([true, 1]);
  });
});
