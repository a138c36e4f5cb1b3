import { describe, expect, it } from 'vitest';
import type { Dynptr, Verdict } from '../../src/ring/index.js';
import { drainAll, pattern, pokeHeader, pokeProducer, rawRing, type RawRing } from './raw.js';

function ringWith(...payloads: Uint8Array[]): RawRing {
  const raw = rawRing(4096, { mode: 'managed' });
  for (const payload of payloads) raw.producer.output(payload);
  return raw;
}

const three = () => ringWith(pattern(8, 1), pattern(8, 2), pattern(8, 3));

describe('a drain', () => {
  it('hands every sample to the callback in order, with the ctx it was given, and counts them', () => {
    const raw = three();
    const ctx = { seen: [] as Uint8Array[] };
    const ret = raw.consumer.drain((sample, given: typeof ctx) => {
      given.seen.push(sample.copy());
      return 0;
    }, ctx);
    expect(ret).toBe(3);
    expect(ctx.seen).toEqual([pattern(8, 1), pattern(8, 2), pattern(8, 3)]);
    expect(raw.ring.consumerPosition).toBe(48n);
    expect(raw.consumer.report).toEqual({
      drained: 3,
      discarded: 0,
      discardedBytes: 0,
      stopped: false,
      wakeup: true,
      error: undefined,
    });
  });

  it('releases each sample right after its callback, so that the next one already has the room', () => {
    const raw = three();
    const positions: bigint[] = [];
    raw.consumer.drain(() => {
      positions.push(raw.ring.consumerPosition);
      return 0;
    }, undefined);
    expect(positions).toEqual([0n, 16n, 32n]);
  });

  it('stops after the sample that was answered with 1; that sample is released and counts', () => {
    const raw = three();
    let calls = 0;
    expect(raw.consumer.drain(() => (++calls === 2 ? 1 : 0), undefined)).toBe(2);
    expect(raw.ring.consumerPosition).toBe(32n);
    expect(raw.consumer.report).toMatchObject({ drained: 2, stopped: true, wakeup: true });
    expect(drainAll(raw).samples).toEqual([pattern(8, 3)]);
    expect(raw.consumer.report.stopped).toBe(false);
  });

  it('steps over discards before, between and after samples without handing them out', () => {
    const raw = rawRing(4096);
    const discard = (size: number) => raw.producer.discard(raw.producer.reserve(size));
    discard(3);
    raw.producer.output(pattern(5));
    discard(0);
    discard(100);
    raw.producer.output(pattern(6));
    discard(9);
    expect(drainAll(raw).samples).toEqual([pattern(5), pattern(6)]);
    expect(raw.consumer.report).toMatchObject({ drained: 2, discarded: 4 });
    expect(raw.ring.used).toBe(0);
  });

  it('returns 0 when all that it met were discards', () => {
    const raw = rawRing(4096);
    raw.producer.discard(raw.producer.reserve(8));
    expect(drainAll(raw)).toEqual({ ret: 0, samples: [] });
  });

  it('waits at a reservation, though samples behind it are ready', () => {
    const raw = three();
    const reservation = raw.producer.reserve(8);
    raw.producer.output(pattern(8, 5));
    expect(drainAll(raw).ret).toBe(3);
    expect(raw.ring.consumerPosition).toBe(48n);
    expect(drainAll(raw).ret).toBe(0);
    raw.producer.submit(reservation);
    expect(drainAll(raw).ret).toBe(2);
  });

  it('sees in the same drain what its callback puts into the ring', () => {
    const raw = ringWith(Uint8Array.of(4));
    const seen: number[] = [];
    const ret = raw.consumer.drain((sample) => {
      const left = sample.readUint8(0);
      seen.push(left);
      if (left > 0) expect(raw.producer.output(Uint8Array.of(left - 1))).toBe(0);
      return 0;
    }, undefined);
    expect(ret).toBe(5);
    expect(seen).toEqual([4, 3, 2, 1, 0]);
  });

  it('still counts the sample in hand as used while its callback runs', () => {
    const raw = ringWith(pattern(4088));
    let inside = 0;
    raw.consumer.drain(() => {
      inside = raw.producer.output(new Uint8Array(0));
      return 0;
    }, undefined);
    expect(inside).toBe(-28);
    expect(raw.producer.output(new Uint8Array(0))).toBe(0);
  });

  it.each([0, 1, 2, 3, 4, 5])('takes at most %i turns when told so, a discard costing one', (maxTurns) => {
    const raw = rawRing(4096);
    raw.producer.output(pattern(8, 1));
    raw.producer.discard(raw.producer.reserve(8));
    raw.producer.output(pattern(8, 2));
    raw.producer.output(pattern(8, 3));
    const ret = raw.consumer.drain(() => 0, undefined, 0, maxTurns);
    expect(ret).toBe([0, 1, 1, 2, 3, 3][maxTurns]);
    expect(raw.ring.consumerPosition).toBe(BigInt(16 * Math.min(maxTurns, 4)));
    expect(raw.consumer.report.wakeup).toBe(maxTurns > 0);
  });
});

describe('a drain inside a drain', () => {
  it('gets EBUSY at once, calls nothing, and changes nothing of the outer one', () => {
    const raw = three();
    const inner: number[] = [];
    const ret = raw.consumer.drain(() => {
      for (const flags of [0, 1, 2, 3])
        inner.push(
          raw.consumer.drain(
            () => {
              throw new Error('the inner callback ran');
            },
            undefined,
            flags,
          ),
        );
      return 0;
    }, undefined);
    expect(ret).toBe(3);
    expect(new Set(inner)).toEqual(new Set([-16]));
    expect(raw.consumer.report).toMatchObject({ drained: 3, error: undefined });
  });

  it('gets EINVAL for unknown flags before EBUSY', () => {
    const raw = ringWith(pattern(8));
    const inside: number[] = [];
    raw.consumer.drain(() => {
      inside.push(
        raw.consumer.drain(() => 0, undefined, 4),
        raw.consumer.begin(4),
        raw.consumer.begin(0),
      );
      return 0;
    }, undefined);
    expect(inside).toEqual([-22, -22, -16]);
  });

  it('is possible on another ring', () => {
    const [outer, other] = [three(), three()];
    const ret = outer.consumer.drain(() => (drainAll(other).ret >= 0 ? 0 : 1), undefined);
    expect(ret).toBe(3);
    expect(other.ring.used).toBe(0);
  });
});

describe('unknown flags', () => {
  it.each([4, 8, -1, 2 ** 31, 2 ** 32, 1.5, NaN])(
    '%d is refused with EINVAL before anything else',
    (flags) => {
      const raw = three();
      // Even the head being bad, or the producer position, would only be found out later.
      pokeProducer(raw, 47n);
      let calls = 0;
      expect(raw.consumer.drain(() => (calls++, 0), undefined, flags)).toBe(-22);
      expect(calls).toBe(0);
      expect(raw.consumer.busy).toBe(false);
      expect(raw.ring.consumerPosition).toBe(0n);
    },
  );
});

describe('a callback that fails', () => {
  const failsAtSecond = (fail: () => Verdict) => {
    let calls = 0;
    return (_sample: Dynptr): Verdict => (++calls === 2 ? fail() : 0);
  };

  it('by throwing ends the drain with EIO: its sample stays at the head and what it threw is in the report', () => {
    const raw = three();
    const thrown = new Error('disk on fire');
    const ret = raw.consumer.drain(
      failsAtSecond(() => {
        throw thrown;
      }),
      undefined,
    );
    expect(ret).toBe(-5);
    expect(raw.consumer.report).toMatchObject({ drained: 1, stopped: false, wakeup: true });
    expect(raw.consumer.report.error).toBe(thrown);
    expect(raw.ring.consumerPosition).toBe(16n);
    expect(raw.consumer.busy).toBe(false);
    expect(drainAll(raw).samples).toEqual([pattern(8, 2), pattern(8, 3)]);
    expect(raw.consumer.report.error).toBeUndefined();
  });

  it.each([
    ['2', 2],
    ['-1', -1],
    ['0.5', 0.5],
    ['NaN', NaN],
    ['undefined', undefined],
    ['null', null],
    ['true', true],
    ['false', false],
    ['"0"', '0'],
    ['1n', 1n],
    ['a promise', Promise.resolve(0)],
    ['an object that cannot be printed', Object.create(null) as object],
    ['a symbol', Symbol('one')],
  ])('by answering %s ends the drain with EINVAL: its sample stays at the head', (_name, answer) => {
    const raw = three();
    expect(
      raw.consumer.drain(
        failsAtSecond(() => answer as Verdict),
        undefined,
      ),
    ).toBe(-22);
    expect(raw.consumer.report).toMatchObject({ drained: 1, stopped: false, wakeup: true });
    expect(raw.consumer.report.error).toBeInstanceOf(TypeError);
    expect(raw.ring.consumerPosition).toBe(16n);
    expect(drainAll(raw).ret).toBe(2);
  });

  it.each([
    ['throws', -5],
    ['answers 2', -22],
  ])('at the first sample (%s) completes no turn and wakes nobody, unless forced', (how, errno) => {
    for (const [flags, wakeup] of [
      [0, false],
      [1, false],
      [2, true],
      [3, true],
    ] as const) {
      const raw = three();
      const ret = raw.consumer.drain(
        () => {
          if (how === 'throws') throw new Error(how);
          return 2 as Verdict;
        },
        undefined,
        flags,
      );
      expect(ret).toBe(errno);
      expect(raw.consumer.report).toMatchObject({ drained: 0, discarded: 0, wakeup });
      expect(raw.ring.consumerPosition).toBe(0n);
    }
  });

  it('after discards at the head wakes, since those turns were completed', () => {
    const raw = rawRing(4096);
    raw.producer.discard(raw.producer.reserve(8));
    raw.producer.output(pattern(8));
    const ret = raw.consumer.drain(() => {
      throw new Error('no');
    }, undefined);
    expect(ret).toBe(-5);
    expect(raw.consumer.report).toMatchObject({ drained: 0, discarded: 1, wakeup: true });
    expect(raw.ring.consumerPosition).toBe(16n);
  });

  it('by reading outside its sample fails as any throwing callback does', () => {
    const raw = three();
    expect(raw.consumer.drain((sample) => (sample.readInt32(8) === 0 ? 0 : 1), undefined)).toBe(-5);
    expect(raw.consumer.report.error).toBeInstanceOf(RangeError);
    expect(raw.ring.consumerPosition).toBe(0n);
  });

  it('keeps what it put into the ring before it failed', () => {
    const raw = ringWith(pattern(8, 1));
    const ret = raw.consumer.drain(() => {
      raw.producer.output(pattern(8, 2));
      throw new Error('after the output');
    }, undefined);
    expect(ret).toBe(-5);
    expect(drainAll(raw).samples).toEqual([pattern(8, 1), pattern(8, 2)]);
  });
});

describe('a producer position that is laps of 2^32 ahead', () => {
  it('is far ahead, though its low half is near', () => {
    const raw = rawRing(4096, { producer: 2n ** 32n + 8n });
    pokeHeader(raw, 0, 100);
    expect(raw.consumer.drain((sample) => (sample.size === 100 ? 1 : 0), undefined)).toBe(1);
    expect(raw.ring.consumerPosition).toBe(112n);
  });
});

describe('the length that peek read', () => {
  it.each([0, 8, 2000, 0x3fffffff, 0x40000000 + 8, 0x80000000 + 8, 0xffffffff])(
    'is the one released, though the callback rewrites the header to 0x%x',
    (header) => {
      const raw = rawRing(4096);
      raw.producer.output(pattern(20, 1));
      raw.producer.output(pattern(8, 2));
      const sizes: number[] = [];
      const ret = raw.consumer.drain((sample) => {
        if (sizes.length === 0) pokeHeader(raw, 0, header);
        sizes.push(sample.size);
        return 0;
      }, undefined);
      expect(ret).toBe(2);
      expect(sizes).toEqual([20, 8]);
      expect(raw.ring.consumerPosition).toBe(48n);
    },
  );

  it('is released even when the callback pulls the producer position back', () => {
    const raw = rawRing(4096);
    raw.producer.output(pattern(20));
    const ret = raw.consumer.drain(() => {
      pokeProducer(raw, 0n);
      return 0;
    }, undefined);
    expect(ret).toBe(1);
    expect([raw.ring.consumerPosition, raw.ring.producerPosition]).toEqual([32n, 0n]);
    expect(raw.ring.writable).toBe(false);
  });
});
