import { describe, expect, it } from 'vitest';
import { Consumer, Producer, SampleRun, UserRing, createUserRing } from '../../src/ring/index.js';
import { rawRing } from './raw.js';

const START = 2n ** 32n - 24n;

describe('sharing a ring', () => {
  it('moves positions and records as they are into a SharedArrayBuffer of the same size', () => {
    const raw = rawRing(4096, { mode: 'managed', consumer: START, producer: START });
    for (const text of ['one', 'two', 'three']) raw.producer.output(Buffer.from(text));
    const before = raw.bytes.slice();

    const image = raw.ring.share();

    expect(image).toBeInstanceOf(SharedArrayBuffer);
    expect(new Uint8Array(image)).toEqual(before);
    expect([raw.ring.buffer, raw.ring.words.buffer, raw.ring.bytes.buffer]).toEqual([image, image, image]);
    expect([raw.ring.shared, raw.ring.size, raw.ring.mode]).toEqual([true, 4096, 'managed']);
    expect([raw.ring.consumerPosition, raw.ring.producerPosition]).toEqual([START, START + 48n]);
  });

  it('takes producers, consumers, runs and samples of the ring along, also those that worked on it before', () => {
    const ring = createUserRing({ maxEntries: 4096 }, { mode: 'managed' });
    const producer = new Producer(ring);
    const consumer = new Consumer(ring);
    const run = new SampleRun(ring);
    const open = producer.reserve(5);
    producer.output(Buffer.from('first'));
    expect(consumer.drain(() => 0, undefined)).toBe(0);

    const image = ring.share();
    producer.fill(open, Buffer.from('zeroth'.slice(0, 5)));
    producer.submit(open);
    producer.output(Buffer.from('second'));

    const other = new UserRing(image, 'managed');
    expect(other.producerPosition).toBe(48n);
    const texts: string[] = [];
    consumer.begin(0);
    expect(consumer.peekRun(run, 1000)).toBe(3);
    run.forEach((sample) => texts.push(Buffer.from(sample.copy()).toString()));
    consumer.releaseRun(run, 1);
    consumer.end(0);
    expect(other.consumerPosition).toBe(16n);
    expect(
      consumer.drain((sample) => (texts.push(String.fromCharCode(sample.readUint8(0))), 0), undefined),
    ).toBe(2);
    expect(texts).toEqual(['zerot', 'first', 'second', 'f', 's']);
    expect(other.consumerPosition).toBe(48n);
  });

  it('does nothing to a ring that is shared already, unless it is to be done anew', () => {
    const ring = createUserRing({ maxEntries: 4096 }, { shared: true });
    const { buffer, words } = ring;
    expect(ring.share()).toBe(buffer);
    expect(ring.words).toBe(words);
    new Producer(ring).output(Buffer.from('kept'));
    expect(ring.share(true)).not.toBe(buffer);
    expect([ring.producerPosition, Buffer.from(ring.bytes.subarray(8200, 8204)).toString()]).toEqual([
      16n,
      'kept',
    ]);
  });
});

it('leaves a journalled ring where it is, in memory that its journal reads, until a thread is to drain it', () => {
  const ring = createUserRing(
    { maxEntries: 4096 },
    { journalled: true, mode: 'managed', memory: (bytes) => new SharedArrayBuffer(bytes) },
  );
  const { buffer } = ring;
  expect(buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(ring.shared).toBe(false);
  expect(ring.share()).toBe(buffer);
  expect([ring.shared, ring.buffer]).toEqual([true, buffer]);
});

describe('a consumer position whose halves were torn', () => {
  // As advance leaves it when its thread ends between the stores: the high half carried, the low half not.
  const HEAD = 7n * 2n ** 32n - 8n;
  function torn(): UserRing {
    const { ring, producer } = rawRing(4096, {
      mode: 'managed',
      shared: true,
      consumer: HEAD,
      producer: HEAD,
    });
    producer.output(Buffer.from('across'));
    new DataView(ring.buffer).setUint32(4, 7, true);
    return ring;
  }

  it('is read whole: by its low half and the producer position', () => {
    const ring = torn();
    expect([ring.consumerPosition, ring.used, ring.free]).toEqual([HEAD, 16, 4080]);
    expect(ring.query()).toMatchObject({ consumerPos: HEAD, availData: 16n });
  });

  it('is mended in place', () => {
    const ring = torn();
    ring.mendConsumerPosition();
    expect(new DataView(ring.buffer).getBigUint64(0, true)).toBe(HEAD);
    expect(new Consumer(ring).drain(() => 0, undefined)).toBe(1);
    expect(new DataView(ring.buffer).getBigUint64(0, true)).toBe(HEAD + 16n);
  });
});

describe('a run', () => {
  it('may be released piece by piece, each release written into the ledger before it shows', () => {
    const { ring, producer } = rawRing(4096, { mode: 'managed', shared: true });
    const notes: number[][] = [];
    const consumer: Consumer = new Consumer(ring, {
      note: (low, { drained, discarded }) => void notes.push([ring.consumerLow, low, drained, discarded]),
    });
    producer.discard(producer.reserve(1));
    producer.output(Buffer.from('a'));
    producer.discard(producer.reserve(9));
    producer.output(Buffer.from('b'));
    producer.output(Buffer.from('c'));
    const run = new SampleRun(ring);
    consumer.begin(0);
    expect(consumer.peekRun(run, Infinity)).toBe(3);
    const texts: string[] = [];
    for (let record = 0; record < run.records; record++) {
      if (!run.isSample(record)) continue;
      texts.push(Buffer.from(run.sampleAt(record).copy()).toString());
      consumer.releaseRun(run, 1);
    }
    consumer.end(0);
    expect(texts).toEqual(['a', 'b', 'c']);
    expect(notes).toEqual([
      [0, 16, 0, 1],
      [16, 32, 1, 1],
      [32, 56, 1, 2],
      [56, 72, 2, 2],
      [72, 88, 3, 2],
    ]);
    expect(consumer.report).toMatchObject({ drained: 3, discarded: 2, wakeup: true });
  });
});
