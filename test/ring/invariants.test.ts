/** The invariants that src/ring/index.ts opens with, each on random traffic. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Dynptr } from '../../src/ring/index.js';
import { rawRing, runOf, type RawRing } from './raw.js';
import { BASES } from './scenario-arbitraries.js';

type Traffic =
  | { op: 'output' | 'reserve'; size: number }
  | { op: 'submit' | 'discard' }
  | { op: 'outputRun'; sizes: number[] }
  | { op: 'drain'; maxTurns: number };

const traffic: fc.Arbitrary<Traffic> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constantFrom('output' as const, 'reserve' as const), size: fc.nat(700) }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constantFrom('submit' as const, 'discard' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('outputRun' as const),
      sizes: fc.array(fc.nat(90), { maxLength: 9 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('drain' as const), maxTurns: fc.integer({ min: 1, max: 9 }) }),
  },
);

const settings = fc.record({
  start: fc
    .tuple(fc.constantFrom(...BASES), fc.nat(1024))
    .map(([base, words]) => BigInt.asUintN(64, base - BigInt(8 * words))),
  shared: fc.boolean(),
  steps: fc.array(traffic, { maxLength: 60, size: 'max' }),
});

interface Books {
  /** Numbers of the samples submitted, and of those drained. */
  submitted: number[];
  drained: number[];
  discarded: number;
}

/** Plays traffic on a managed ring; every sample of 4 bytes or more starts with its number. */
function play(
  raw: RawRing,
  steps: readonly Traffic[],
  check: (who: 'producer' | 'consumer', act: () => void) => void,
): Books {
  const books: Books = { submitted: [], drained: [], discarded: 0 };
  const open: { offset: number; number: number }[] = [];
  let numbers = 0;
  const payloadOf = (size: number, number: number) => {
    const payload = new Uint8Array(4 + size);
    new DataView(payload.buffer).setUint32(0, number, true);
    return payload;
  };
  for (const step of steps) {
    if (step.op === 'drain') {
      check('consumer', () => {
        const callback = (sample: Dynptr) => {
          books.drained.push(sample.readInt32(0));
          return 0 as const;
        };
        raw.consumer.drain(callback, undefined, 0, step.maxTurns);
        books.discarded += raw.consumer.report.discarded;
      });
      continue;
    }
    check('producer', () => {
      switch (step.op) {
        case 'output':
          if (raw.producer.output(payloadOf(step.size, numbers)) === 0) books.submitted.push(numbers++);
          break;
        case 'outputRun': {
          const first = numbers;
          const payloads = step.sizes.map((size, i) => payloadOf(size, first + i));
          if (raw.producer.outputRun(runOf(payloads)) !== 0) break;
          for (const _ of payloads) books.submitted.push(numbers++);
          break;
        }
        case 'reserve': {
          const offset = raw.producer.reserve(4 + step.size);
          if (offset < 0) break;
          raw.producer.fill(offset, payloadOf(step.size, numbers));
          open.push({ offset, number: numbers });
          // Numbered where it stands in the ring, not when it is submitted.
          books.submitted.push(numbers++);
          break;
        }
        case 'submit':
        case 'discard': {
          const reservation = open.pop();
          if (reservation === undefined) break;
          raw.producer[step.op](reservation.offset);
          if (step.op === 'discard') books.submitted.splice(books.submitted.indexOf(reservation.number), 1);
          break;
        }
      }
    });
  }
  check('producer', () => open.forEach(({ offset }) => raw.producer.submit(offset)));
  return books;
}

const managed = ({ start, shared }: { start: bigint; shared: boolean }) =>
  rawRing(4096, { mode: 'managed', shared, consumer: start, producer: start });

const page = (raw: RawRing, from: number, to: number) =>
  Buffer.from(raw.bytes.slice(from, to)).toString('latin1');

describe('on a managed ring', () => {
  it('0 ≤ prod - cons ≤ size, and both positions are multiples of 8', () => {
    fc.assert(
      fc.property(settings, (setting) => {
        const raw = managed(setting);
        play(raw, setting.steps, (_who, act) => {
          act();
          const { producerPosition, consumerPosition } = raw.ring;
          expect(BigInt.asUintN(64, producerPosition - consumerPosition)).toBeLessThanOrEqual(4096n);
          expect([producerPosition % 8n, consumerPosition % 8n]).toEqual([0n, 0n]);
        });
      }),
    );
  });

  it('the producer moves its own position only, and the consumer changes nothing but its own position', () => {
    fc.assert(
      fc.property(settings, (setting) => {
        const raw = managed(setting);
        play(raw, setting.steps, (who, act) => {
          const kept: [number, number] = who === 'producer' ? [0x0000, 0x1000] : [0x1000, 0x3000];
          const position = who === 'producer' ? 'producerPosition' : 'consumerPosition';
          const before = { bytes: page(raw, ...kept), position: raw.ring[position] };
          act();
          expect(page(raw, ...kept)).toBe(before.bytes);
          // Positions only grow: by at most a ring (a drain of nine turns cannot do more either).
          expect(BigInt.asUintN(64, raw.ring[position] - before.position)).toBeLessThanOrEqual(4096n);
          // Behind each position its page stays zero.
          expect(/^\0*$/.test(page(raw, 0x0008, 0x1000) + page(raw, 0x1008, 0x2000))).toBe(true);
        });
      }),
    );
  });

  it('every submitted sample is drained exactly once, in the order of the reservations', () => {
    fc.assert(
      fc.property(settings, (setting) => {
        const raw = managed(setting);
        const books = play(raw, setting.steps, (_who, act) => act());
        const last: number[] = [];
        raw.consumer.drain((sample) => (last.push(sample.readInt32(0)), 0), undefined);
        expect([...books.drained, ...last]).toEqual(books.submitted);
        expect(raw.ring.used).toBe(0);
      }),
    );
  });
});
