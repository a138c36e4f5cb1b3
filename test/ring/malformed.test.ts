/**
 * Rings whose bytes were written by somebody who does not follow the rules: raw bytes in, exact errno out. Every number
 * here is written out by hand.
 */
import { describe, expect, it } from 'vitest';
import { drainAll, pokeHeader, pokeProducer, rawRing, type RawRing } from './raw.js';

const EINVAL = -22;
const E2BIG = -7;

interface Poke {
  header: number;
  pad?: number;
  consumer?: bigint;
  producer: bigint;
}

/** One header at the consumer position, and a producer position. */
function poked({ header, pad = 0, consumer = 0n, producer }: Poke, shared = false): RawRing {
  const raw = rawRing(4096, { shared, consumer, producer });
  pokeHeader(raw, Number(consumer % 4096n), header, pad);
  return raw;
}

/** The drain answers `ret`, calls nothing, and moves nothing. */
function expectStuck(raw: RawRing, ret: number): void {
  const before = raw.ring.query();
  for (const flags of [0, 1, 2, 3]) {
    expect(drainAll(raw, flags)).toEqual({ ret, samples: [] });
    expect(raw.consumer.report).toMatchObject({ drained: 0, discarded: 0, wakeup: flags >= 2 });
  }
  expect(raw.ring.query()).toEqual(before);
  expect(raw.consumer.busy).toBe(false);
}

describe.each([false, true])('a drain (SharedArrayBuffer: %s)', (shared) => {
  it.each([1n, 2n, 3n, 4n, 5n, 6n, 7n, 0x2fn, 0xffffffff_fffffffcn])(
    'of a producer position of %d, not a multiple of 8, says EINVAL',
    (producer) => {
      expectStuck(poked({ header: 0, producer }, shared), EINVAL);
    },
  );

  it('says EINVAL for a misaligned producer position before it sees that the ring is empty', () => {
    expectStuck(rawRing(4096, { shared, consumer: 64n, producer: 60n }), EINVAL);
    expectStuck(rawRing(4096, { shared, consumer: 64n, producer: 1n }), EINVAL);
  });

  it.each([
    ['equal', 0x40n, 0x40n],
    ['8 behind', 0x40n, 0x38n],
    ['2^32 behind, low halves as if ahead', 0x1_00000040n, 0x80n],
    ['in the upper half of u64, consumer ahead', 0xffffffff_fffffff8n, 0x8n],
    ['2^63 apart', 0x80000000_00000008n, 0x7fffffff_fffffff8n],
  ])('of a producer position that is not ahead (%s) sees an empty ring', (_how, consumer, producer) => {
    expectStuck(poked({ header: 8, consumer, producer }, shared), 0);
  });

  it.each([
    [0x1, 0x08n],
    [0x8, 0x08n],
    [0x9, 0x10n],
    [0x11, 0x18n],
    [0xff8, 0xff8n],
    [0x3fffffff, 0x1000n],
    [0x3fffffff, 0x40000000n],
  ])('of a length 0x%x that ends behind the producer position 0x%x says EINVAL', (header, producer) => {
    expectStuck(poked({ header, producer }, shared), EINVAL);
    expectStuck(poked({ header: header + 0x80000000, producer }, shared), EINVAL);
    expectStuck(poked({ header: header + 0x40000000, producer }, shared), EINVAL);
    expectStuck(poked({ header: header + 0xc0000000, producer }, shared), EINVAL);
  });

  it.each([
    [0xff9, 0x1008n],
    [0x1000, 0x1008n],
    [0x1000, 0x1_00000000n],
    [0xffffff, 0x2000000n],
    [0x1000000, 0x2000000n],
    [0x3ffffff8, 0x40000000n],
    [0x3fffffff, 0x40000008n],
    [0x3fffffff, 0xffffffff_fffffff8n],
  ])(
    'of a length 0x%x that is more than the ring, with the producer at 0x%x, says E2BIG',
    (header, producer) => {
      expectStuck(poked({ header, producer }, shared), E2BIG);
      // Too big is found out before DISCARD and BUSY are looked at.
      expectStuck(poked({ header: header + 0x40000000, producer }, shared), E2BIG);
      expectStuck(poked({ header: header + 0x80000000, producer }, shared), E2BIG);
    },
  );

  it('takes the whole distance of a u64 for what it is', () => {
    // The low halves say 0 bytes, the full positions say 2^32: the record is there.
    const far = poked({ header: 8, producer: 0x1_00000000n }, shared);
    expect(far.consumer.drain(() => 1, undefined)).toBe(1);
    expect(far.ring.consumerPosition).toBe(16n);
    // The low halves say 0xfffffff8 bytes back, the full ones 8 on.
    const near = poked({ header: 0, consumer: 0xffffffffn - 7n, producer: 0x1_00000000n }, shared);
    expect(drainAll(near).ret).toBe(1);
    expect(near.ring.consumerPosition).toBe(0x1_00000000n);
  });

  it('skips a record with DISCARD and BUSY both set: DISCARD is tested first', () => {
    const raw = poked({ header: 0xc0000008, producer: 0x10n }, shared);
    expect(drainAll(raw)).toEqual({ ret: 0, samples: [] });
    expect(raw.consumer.report).toMatchObject({ discarded: 1, wakeup: true });
    expect(raw.ring.consumerPosition).toBe(0x10n);
  });

  it('waits at BUSY without an error', () => {
    expectStuck(poked({ header: 0x80000008, producer: 0x10n }, shared), 0);
  });

  it('does not look at the pad word, as the kernel does not', () => {
    const raw = poked({ header: 8, pad: 0xdeadbeef, producer: 0x10n }, shared);
    expect(drainAll(raw).ret).toBe(1);
  });

  it('accepts a record of exactly what the producer position allows', () => {
    expect(drainAll(poked({ header: 0xff8, producer: 0x1000n }, shared)).samples[0]).toHaveLength(0xff8);
    expect(drainAll(poked({ header: 0, producer: 0x8n }, shared)).samples).toEqual([new Uint8Array(0)]);
    expect(drainAll(poked({ header: 1, producer: 0x10n }, shared)).samples).toEqual([new Uint8Array(1)]);
  });

  it('keeps what it released before the bad record, and stays at the bad record', () => {
    const raw = rawRing(4096, { shared });
    pokeHeader(raw, 0, 8);
    pokeHeader(raw, 16, 0x40000008);
    pokeHeader(raw, 32, 0x1000);
    pokeProducer(raw, 0x2000n);
    expect(drainAll(raw).ret).toBe(E2BIG);
    expect(raw.consumer.report).toMatchObject({ drained: 1, discarded: 1, wakeup: true });
    expect(raw.ring.consumerPosition).toBe(32n);
    expectStuck(raw, E2BIG);
  });

  it('goes on when the bad record was made good', () => {
    const raw = poked({ header: 0x1000, producer: 0x10n }, shared);
    expectStuck(raw, EINVAL);
    pokeHeader(raw, 0, 5);
    expect(drainAll(raw).ret).toBe(1);
  });

  it('never reads outside the data area, wherever a wrapped record ends', () => {
    const raw = rawRing(4096, { shared, consumer: 0xff0n, producer: 0x1ff0n });
    raw.bytes.fill(0xa5, 0x2000);
    pokeHeader(raw, 0xff0, 0xff8);
    const sample = drainAll(raw).samples[0]!;
    expect(sample).toHaveLength(0xff8);
    expect(sample.every((byte) => byte === 0xa5)).toBe(true);
  });
});
