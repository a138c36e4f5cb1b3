import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SampleRun } from '../../src/ring/index.js';
import { rawRing, type RawRing } from './raw.js';
import { BASES } from './scenario-arbitraries.js';
import { expectSame } from './scenario.js';
import { HOSTILE_SEEDS } from './seeds.js';
import { SlowRing } from './slow-ring.js';

const SIZE = 4096;

type Attack =
  | { op: 'header'; ahead: number; bits: number; length: number }
  | { op: 'bytes'; offset: number; bytes: Uint8Array }
  /** The producer position is stored `delta` away from the consumer position. */
  | { op: 'position'; delta: bigint }
  | { op: 'drain'; flags: number; stopAt: number; maxTurns: number };

const length = fc.oneof(
  { weight: 5, arbitrary: fc.nat(64) },
  { weight: 2, arbitrary: fc.nat(SIZE + 32) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(4080, 4081, 4088, 4089, 0xffffff, 0x1000000, 0x3ffffff8, 0x3fffffff),
  },
);

const delta = fc.oneof(
  { weight: 6, arbitrary: fc.nat(SIZE / 8).map((words) => BigInt(8 * words)) },
  { weight: 1, arbitrary: fc.nat(2 * SIZE).map(BigInt) },
  { weight: 1, arbitrary: fc.constantFrom(-8n, -1n, 4n, 4096n, 4104n, 8192n) },
  // The same low half, or nearly, in another lap of 2^32: only full u64 arithmetic tells.
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(1n, -1n, 2n, 2n ** 31n), fc.constantFrom(-16n, -8n, 0n, 8n, 16n, 64n))
      .map(([laps, bytes]) => laps * 2n ** 32n + bytes),
  },
);

const attack: fc.Arbitrary<Attack> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('header' as const),
      ahead: fc.oneof(
        { weight: 3, arbitrary: fc.constant(0) },
        fc.nat(30).map((words) => 8 * words),
      ),
      bits: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        fc.constantFrom(0x80000000, 0x40000000, 0xc0000000),
      ),
      length,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('bytes' as const),
      offset: fc.nat(SIZE),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 200, size: 'max' }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('position' as const), delta }) },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('drain' as const),
      flags: fc.nat(3),
      stopAt: fc.nat(3),
      // A position 2^32 ahead makes a drain go round and round: the bound keeps it short.
      maxTurns: fc.oneof(fc.constant(40), fc.nat(4)),
    }),
  },
);

const attacks = fc.record({
  base: fc.constantFrom(...BASES),
  behind: fc.nat(600).map((words) => 8 * words),
  shared: fc.boolean(),
  attacks: fc.array(attack, { maxLength: 60, size: 'max' }),
});

/** Drains with the batch calls: begin, peekRun and releaseRun until nothing comes, end. */
function drainInRuns(raw: RawRing, flags: number, maxTurns: number): { ret: number; samples: number[][] } {
  const samples: number[][] = [];
  const run = new SampleRun(raw.ring, 3);
  let ret = raw.consumer.begin(flags);
  while (ret >= 0) {
    ret = raw.consumer.peekRun(run, 100, maxTurns);
    if (ret <= 0) break;
    run.forEach((sample) => samples.push([...sample.copy()]));
    raw.consumer.releaseRun(run, ret);
  }
  raw.consumer.end(flags);
  return { ret: ret < 0 ? ret : samples.length, samples };
}

describe('a direct ring under attack', () => {
  const property = fc.property(attacks, ({ base, behind, shared, attacks: steps }) => {
    const start = BigInt.asUintN(64, base - BigInt(behind));
    const raw = rawRing(SIZE, { shared, consumer: start, producer: start });
    const twin = rawRing(SIZE, { shared });
    const slow = new SlowRing(SIZE, start, start);
    const write = (offset: number, bytes: Uint8Array) => {
      expect(raw.producer.write(offset, bytes)).toBe(0);
      slow.write(offset, bytes);
    };
    for (const step of steps) {
      switch (step.op) {
        case 'header': {
          const header = new Uint8Array(8);
          new DataView(header.buffer).setUint32(0, step.length + step.bits, true);
          write(Number((slow.consumer + BigInt(step.ahead)) % BigInt(SIZE)), header);
          break;
        }
        case 'bytes':
          write(step.offset, step.bytes);
          break;
        case 'position':
          slow.producer = BigInt.asUintN(64, slow.consumer + step.delta);
          raw.ring.producerPosition = slow.producer;
          break;
        case 'drain': {
          twin.bytes.set(raw.bytes);
          const samples: number[][] = [];
          const ret = raw.consumer.drain(
            (sample) => (samples.push([...sample.copy()]) === step.stopAt ? 1 : 0),
            undefined,
            step.flags,
            step.maxTurns,
          );
          const { drained, discarded, wakeup } = raw.consumer.report;
          const expected = slow.drain(step.flags, step.stopAt, step.maxTurns);
          expect({ ret, samples, discarded, wakeup }).toEqual(expected);
          expect(drained).toBe(samples.length);
          if (step.stopAt === 0) {
            expect(drainInRuns(twin, step.flags, step.maxTurns)).toEqual({ ret, samples });
            expect(twin.consumer.report).toEqual(raw.consumer.report);
            expect(Buffer.compare(twin.bytes, raw.bytes)).toBe(0);
          }
          break;
        }
      }
      const used = BigInt.asUintN(64, slow.producer - slow.consumer);
      const writable = used < BigInt(SIZE);
      expectSame(
        [raw.ring.consumerPosition, raw.ring.producerPosition, raw.ring.writable, raw.ring.free],
        [slow.consumer, slow.producer, writable, writable ? SIZE - Number(used) : 0],
      );
    }
    expect(Buffer.compare(raw.bytes.subarray(0x2000), Uint8Array.from(slow.data))).toBe(0);
  });

  it.each(HOSTILE_SEEDS)('answers as the slow reference does, in one drain and in runs (seed %i)', (seed) => {
    fc.assert(property, { seed, numRuns: 120 });
  });

  it('answers as the slow reference does for a fresh seed', () => {
    fc.assert(property, { numRuns: 120 });
  });
});
