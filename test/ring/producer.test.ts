import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createUserRing, DATA_OFFSET, MESSAGE_HEAD_BYTES, Producer } from '../../src/ring/index.js';
import { FRAME_HEADER_SIZE } from '../../src/wire/index.js';
import { BUSY, DISCARD, drainAll, pattern, pokeConsumer, pokeProducer, rawRing, runOf } from './raw.js';

describe('reserve', () => {
  it('writes len|BUSY and a zero pad word, and moves the producer position on', () => {
    const raw = rawRing(4096);
    raw.bytes.fill(0xff, 0x2000);
    expect(raw.producer.reserve(13)).toBe(0);
    expect(raw.view.getUint32(0x2000, true)).toBe(BUSY + 13);
    expect(raw.view.getUint32(0x2004, true)).toBe(0);
    expect(raw.view.getBigUint64(0x1000, true)).toBe(24n);
    expect(raw.producer.reserve(0)).toBe(24);
    expect(raw.producer.sizeOf(0)).toBe(13);
  });

  it.each([
    [2 ** 30 - 1, -7],
    [2 ** 30, -7],
    [2 ** 30 + 1, -7],
    [2 ** 31, -7],
    [2 ** 32 - 1, -7],
    [2 ** 40, -7],
    [4089, -7],
    [4096, -7],
    [-1, -22],
    [0.5, -22],
    [NaN, -22],
    [-Infinity, -22],
    [Infinity, -22],
  ])('of %d bytes in a ring of 4096 is refused with %i, and nothing is written', (size, errno) => {
    const raw = rawRing(4096);
    expect(raw.producer.reserve(size)).toBe(errno);
    expect(raw.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('says E2BIG and not ENOSPC for what could never fit, also when the ring is full', () => {
    const raw = rawRing(4096);
    expect(raw.producer.reserve(4088)).toBe(0);
    expect(raw.producer.reserve(4089)).toBe(-7);
    expect(raw.producer.reserve(4088)).toBe(-28);
    expect(raw.producer.reserve(0)).toBe(-28);
  });

  it('fits to the last byte and not beyond', () => {
    const raw = rawRing(4096);
    raw.producer.output(new Uint8Array(4064));
    expect(raw.producer.reserve(17)).toBe(-28);
    expect(raw.producer.reserve(16)).toBe(4072);
    expect(raw.ring.used).toBe(4096);
  });

  it('computes the room in 32 bits as libbpf does, whatever the high halves say', () => {
    const raw = rawRing(4096, { consumer: 0n, producer: 2n ** 32n });
    expect(raw.producer.reserve(8)).toBe(0);
    expect(raw.ring.producerPosition).toBe(2n ** 32n + 16n);
    pokeProducer(raw, 2n ** 32n + 4096n);
    expect(raw.producer.reserve(8)).toBe(-28);
    // The producer is behind the consumer: more room than the ring has.
    pokeProducer(raw, 0n);
    pokeConsumer(raw, 64n);
    expect(raw.producer.reserve(4088)).toBe(0);
  });
});

describe('submit and discard', () => {
  it('clear BUSY; discard sets DISCARD', () => {
    const raw = rawRing(4096);
    const [first, second] = [raw.producer.reserve(5), raw.producer.reserve(6)];
    raw.producer.discard(second);
    raw.producer.submit(first);
    expect(raw.view.getUint32(0x2000, true)).toBe(5);
    expect(raw.view.getUint32(0x2010, true)).toBe(DISCARD + 6);
  });

  it('may come in any order; a drain waits for the oldest', () => {
    const raw = rawRing(4096);
    const [first, second, third] = [1, 2, 3].map((size) => raw.producer.reserve(size));
    raw.producer.submit(third!);
    raw.producer.submit(second!);
    expect(drainAll(raw).ret).toBe(0);
    raw.producer.discard(first!);
    expect(drainAll(raw).samples.map((sample) => sample.length)).toEqual([2, 3]);
  });
});

describe('fill and output', () => {
  it('carry any payload over the end of the ring', () => {
    fc.assert(
      fc.property(
        fc.nat(511).map((words) => 8 * words),
        fc.nat(4088).map((length) => pattern(length, length)),
        fc.nat(4088),
        fc.boolean(),
        (start, payload, split, shared) => {
          const position = BigInt(start);
          const raw = rawRing(4096, { shared, consumer: position, producer: position });
          const reservation = raw.producer.reserve(payload.length);
          raw.producer.fill(
            reservation,
            payload.subarray(Math.min(split, payload.length)),
            Math.min(split, payload.length),
          );
          raw.producer.fill(reservation, payload.subarray(0, split));
          raw.producer.submit(reservation);
          const { ret, samples } = drainAll(raw);
          expect(ret).toBe(1);
          expect(Buffer.compare(samples[0]!, payload)).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('says what reserve says', () => {
    const raw = rawRing(4096);
    expect(raw.producer.output(new Uint8Array(4089))).toBe(-7);
    expect(raw.producer.output(pattern(4088))).toBe(0);
    expect(raw.producer.output(new Uint8Array(0))).toBe(-28);
  });
});

describe('outputRun', () => {
  it('refuses a run larger than the ring when absurd positions make the room look larger', () => {
    const raw = rawRing(4096);
    pokeConsumer(raw, 8192n);
    expect(raw.producer.outputRun(new Uint8Array(4104))).toBe(-28);
    expect(raw.view.getBigUint64(0x1000, true)).toBe(0n);
  });

  it('stores exactly what single outputs store, wherever it lands', () => {
    fc.assert(
      fc.property(
        fc.nat(511).map((words) => 8 * words),
        fc.array(fc.uint8Array({ maxLength: 90, size: 'max' }), { maxLength: 30 }),
        (start, payloads) => {
          const options = { mode: 'managed' as const, consumer: BigInt(start), producer: BigInt(start) };
          const [single, run] = [rawRing(4096, options), rawRing(4096, options)];
          for (const payload of payloads) expect(single.producer.output(payload)).toBe(0);
          expect(run.producer.outputRun(runOf(payloads))).toBe(0);
          expect(Buffer.compare(run.bytes, single.bytes)).toBe(0);
        },
      ),
      { numRuns: 80 },
    );
  });

  it('may fill the ring exactly, and stores nothing of what is one record more', () => {
    const raw = rawRing(4096);
    expect(raw.producer.outputRun(runOf(Array.from({ length: 513 }, () => new Uint8Array(0))))).toBe(-28);
    expect(raw.bytes.every((byte) => byte === 0)).toBe(true);
    expect(raw.producer.outputRun(runOf(Array.from({ length: 512 }, () => new Uint8Array(0))))).toBe(0);
    expect(raw.ring.used).toBe(4096);
    expect(raw.producer.outputRun(runOf([new Uint8Array(0)]))).toBe(-28);
    expect(raw.producer.outputRun(new Uint8Array(0))).toBe(0);
  });
});

describe('outputMessage', () => {
  it('stores the record behind the head of a message as outputRun does, and leaves everything else as it was', () => {
    fc.assert(
      fc.property(
        // The start of the data area and its end, where a record is cut, as often as the middle.
        fc.oneof(
          fc.constantFrom(0, 8, 16, 24),
          fc.nat(511).map((words) => 8 * words),
        ),
        fc.array(fc.uint8Array({ maxLength: 200, size: 'max' }), { minLength: 1, maxLength: 12 }),
        fc.nat(7),
        fc.boolean(),
        (start, payloads, alignment, shared) => {
          const options = {
            mode: 'managed' as const,
            consumer: BigInt(start),
            producer: BigInt(start),
            shared,
          };
          const [message, run] = [rawRing(4096, options), rawRing(4096, options)];
          for (const { bytes } of [message, run])
            for (let index = 0x2000; index < bytes.length; index++) bytes[index] = index;
          for (const payload of payloads) {
            const record = runOf([payload]);
            const chunk = new Uint8Array(alignment + MESSAGE_HEAD_BYTES + record.length).fill(0xcc);
            chunk.set(record, alignment + MESSAGE_HEAD_BYTES);
            expect(message.producer.outputMessage(chunk.subarray(alignment))).toBe(0);
            expect(run.producer.outputRun(record)).toBe(0);
          }
          expect(Buffer.compare(message.bytes, run.bytes)).toBe(0);
        },
      ),
      { numRuns: 200 },
    );
  });

  it.each([{ shared: true }, { journalled: true }])(
    'writes nothing but the record where another thread may read, %o',
    (options) => {
      const ring = createUserRing({ maxEntries: 4096 }, { mode: 'managed', ...options });
      const producer = new Producer(ring);
      producer.output(new Uint8Array(24));
      ring.shownLow = ring.producerLow;
      const set = vi.spyOn(ring.bytes, 'set');
      producer.outputMessage(new Uint8Array(MESSAGE_HEAD_BYTES + 16));
      expect(set.mock.calls.map(([source, at]) => [source.length, at])).toEqual([[16, DATA_OFFSET + 32]]);
    },
  );

  it('keeps off what a journal was told to read, and off nothing else', () => {
    const ring = createUserRing({ maxEntries: 4096 }, { mode: 'managed', journalled: true });
    const producer = new Producer(ring);
    const set = vi.spyOn(ring.bytes, 'set');
    const wholeMessages = (shownBefore: number): boolean => {
      producer.output(new Uint8Array(24));
      ring.shownLow = ring.producerLow - shownBefore;
      set.mockClear();
      producer.outputMessage(new Uint8Array(MESSAGE_HEAD_BYTES + 16));
      return set.mock.calls[0]![0].length > 16;
    };
    expect([0, 8, 16, 24].map(wholeMessages)).toEqual([false, false, true, true]);
  });

  it('stores nothing when the record does not fit', () => {
    const raw = rawRing(4096, { mode: 'managed' });
    expect(raw.producer.outputRun(runOf([new Uint8Array(4072)]))).toBe(0);
    const before = raw.bytes.slice();
    expect(raw.producer.outputMessage(new Uint8Array(MESSAGE_HEAD_BYTES + 24))).toBe(-28);
    expect(Buffer.compare(raw.bytes, before)).toBe(0);
    expect(raw.producer.outputMessage(new Uint8Array(MESSAGE_HEAD_BYTES + 16))).toBe(0);
  });

  it('has the head that a frame has', () => {
    expect(MESSAGE_HEAD_BYTES).toBe(FRAME_HEADER_SIZE);
  });
});

describe('write', () => {
  it('maps the data area twice', () => {
    fc.assert(
      fc.property(fc.nat(8192), fc.uint8Array({ maxLength: 8192, size: 'max' }), (offset, bytes) => {
        const raw = rawRing(4096);
        const allowed = offset + bytes.length <= 8192;
        expect(raw.producer.write(offset, bytes)).toBe(allowed ? 0 : -22);
        const expected = new Uint8Array(4096);
        if (allowed) bytes.forEach((byte, i) => (expected[(offset + i) % 4096] = byte));
        expect(Buffer.compare(raw.bytes.subarray(0x2000), expected)).toBe(0);
        expect(raw.bytes.subarray(0, 0x2000).every((byte) => byte === 0)).toBe(true);
      }),
      { numRuns: 80 },
    );
  });

  it.each([-1, 0.5, NaN, Infinity, 8193, 2 ** 32, 2 ** 53])('refuses the offset %d with EINVAL', (offset) => {
    expect(rawRing(4096).producer.write(offset, new Uint8Array(0))).toBe(-22);
  });

  it('accepts the very end of the second mapping, and nothing over it', () => {
    const raw = rawRing(4096);
    expect(raw.producer.write(8192, new Uint8Array(0))).toBe(0);
    expect(raw.producer.write(8191, Uint8Array.of(7))).toBe(0);
    expect(raw.bytes[0x2fff]).toBe(7);
    expect(raw.producer.write(8191, Uint8Array.of(8, 8))).toBe(-22);
    expect(raw.producer.write(0, new Uint8Array(8193))).toBe(-22);
  });
});
