import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Consumer, createUserRing, Producer, SampleRun } from '../../../src/ring/index.js';
import {
  toBatches,
  type Batch,
  type Batches,
  type BatchLimits,
  type BodyFormat,
} from '../../../src/server/handlers/webhook/request-body.js';

const FORMATS: BodyFormat[] = ['ndjson', 'json', 'records'];

interface Sample {
  payload: Uint8Array;
  discard: boolean;
}

/** Batches of a ring that was first moved on, so that samples wrap. */
function cut(samples: Sample[], format: BodyFormat, limits: BatchLimits): Batches {
  const ring = createUserRing({ maxEntries: 65536 });
  ring.consumerPosition = 65_000n;
  ring.producerPosition = 65_000n;
  const producer = new Producer(ring);
  for (const { payload, discard } of samples) {
    const reservation = producer.reserve(payload.length);
    if (reservation < 0) throw new Error('the samples are more than the ring');
    producer.fill(reservation, payload);
    if (discard) producer.discard(reservation);
    else producer.submit(reservation);
  }
  const consumer = new Consumer(ring);
  consumer.begin(0);
  const run = new SampleRun(ring);
  consumer.peekRun(run, 1 << 30);
  return toBatches(run, ring.consumerPosition, format, limits);
}

interface Entry {
  pos?: string;
  bytes: Buffer;
}

function entriesOf({ body }: Batch, format: BodyFormat): Entry[] {
  if (format === 'records') {
    const entries: Entry[] = [];
    for (let at = 0; at < body.length;) {
      const length = body.readUInt32LE(at);
      expect(body.readUInt32LE(at + 4)).toBe(0);
      const end = at + 8 + length;
      const next = Math.ceil(end / 8) * 8;
      expect(body.subarray(end, next).every((byte) => byte === 0)).toBe(true);
      expect(next).toBeLessThanOrEqual(body.length);
      entries.push({ bytes: body.subarray(at + 8, end) });
      at = next;
    }
    return entries;
  }
  const text = body.toString('utf8');
  const values =
    format === 'json'
      ? (JSON.parse(text) as unknown[])
      : text
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as unknown);
  return (values as { pos: string; sample: string | { b64: string } }[]).map(({ pos, sample }) => ({
    pos,
    bytes: typeof sample === 'string' ? Buffer.from(sample, 'utf8') : Buffer.from(sample.b64, 'base64'),
  }));
}

const samplesArbitrary = fc.array(
  fc.record({
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.string({ unit: 'grapheme', maxLength: 60 }).map((text) => Buffer.from(text, 'utf8')),
    ),
    discard: fc.boolean(),
  }),
  { maxLength: 60 },
);

describe('cutting a run into bodies', () => {
  it.each(FORMATS)('keeps every sample once and in order, and every body within the limits: %s', (format) => {
    fc.assert(
      fc.property(
        samplesArbitrary,
        fc.integer({ min: 500, max: 3000 }),
        fc.integer({ min: 1, max: 20 }),
        fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
        (samples, maxBytes, maxSamples, firstSamples) => {
          const { batches, tooBig } = cut(samples, format, { maxBytes, maxSamples, firstSamples });
          expect(tooBig).toBeUndefined();
          const kept = samples.filter(({ discard }) => !discard).map(({ payload }) => Buffer.from(payload));
          expect(batches.flatMap((batch) => entriesOf(batch, format)).map(({ bytes }) => bytes)).toEqual(
            kept,
          );
          batches.forEach((batch, index) => {
            expect(batch.body.length).toBeLessThanOrEqual(maxBytes);
            const limit = index === 0 ? (firstSamples ?? maxSamples) : maxSamples;
            expect(batch.samples).toBeLessThanOrEqual(limit);
            const entries = entriesOf(batch, format);
            expect(entries).toHaveLength(batch.samples);
            if (format !== 'records') expect(entries[0]!.pos).toBe(String(batch.position));
          });
        },
      ),
      { numRuns: 100 },
    );
  });

  const text = (value: string): Sample => ({ payload: Buffer.from(value), discard: false });
  const gap: Sample = { payload: new Uint8Array(3), discard: true };

  it('writes the very bytes that the format says', () => {
    const samples = [text('a"b'), gap, { payload: Uint8Array.of(0, 255), discard: false }];
    const limits = { maxBytes: 1000, maxSamples: 10 };
    const bodyOf = (format: BodyFormat) => cut(samples, format, limits).batches[0]!.body;
    const entries = ['{"pos":"65000","sample":"a\\"b"}', '{"pos":"65032","sample":{"b64":"AP8="}}'];
    expect(bodyOf('ndjson').toString()).toBe(`${entries[0]}\n${entries[1]}\n`);
    expect(bodyOf('json').toString()).toBe(`[${entries[0]},${entries[1]}]`);
    // Records say no position: each one's follows from the first one's, so a discarded record between two ends the body.
    const { batches } = cut(samples, 'records', limits);
    expect(batches.map(({ position, body }) => [position, body.toString('hex')])).toEqual([
      [65_000n, '0300000000000000' + '6122620000000000'],
      [65_032n, '0200000000000000' + '00ff000000000000'],
    ]);
  });

  it.each(FORMATS)('fills a body of %s to the last byte', (format) => {
    const counts = (maxBytes: number, ...texts: string[]) => {
      const { batches, tooBig } = cut(texts.map(text), format, { maxBytes, maxSamples: 9 });
      return { samples: batches.map(({ samples }) => samples), tooBig };
    };
    const sizeOf = (...texts: string[]) =>
      cut(texts.map(text), format, { maxBytes: 1000, maxSamples: 9 }).batches[0]!.body.length;
    const two = sizeOf('12345678', '1');
    expect(counts(two, '12345678', '1')).toEqual({ samples: [2], tooBig: undefined });
    expect(counts(two - 1, '12345678', '1')).toEqual({ samples: [1, 1], tooBig: undefined });
    const one = sizeOf('12345678');
    expect(counts(one, '12345678')).toEqual({ samples: [1], tooBig: undefined });
    expect(counts(one - 1, '12345678')).toEqual({ samples: [], tooBig: { position: 65_000n, size: 8 } });
  });

  it('names a sample that no body can hold, and keeps what lies before it', () => {
    const big = { payload: new Uint8Array(2000), discard: false };
    for (const format of FORMATS) {
      const { batches, tooBig } = cut([text('a'), big, text('b')], format, {
        maxBytes: 1024,
        maxSamples: 10,
      });
      expect(batches.map(({ samples }) => samples)).toEqual([1]);
      expect(tooBig).toEqual({ position: 65_016n, size: 2000 });
    }
  });

  it('makes the first batch as long as it was before', () => {
    const samples = ['a', 'b', 'c', 'd', 'e'].map(text);
    const { batches } = cut(samples, 'json', { maxBytes: 1000, maxSamples: 4, firstSamples: 2 });
    expect(batches.map((batch) => batch.samples)).toEqual([2, 3]);
  });
});
