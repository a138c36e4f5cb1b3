import { describe, expect, it } from 'vitest';
import { SampleRun, type Dynptr } from '../../src/ring/index.js';
import { drainAll, pattern, pokeHeader, pokeProducer, rawRing, type RawRing } from './raw.js';

/** s = a sample of 8 bytes, d = a discard, b = an open reservation: each a record of 16 bytes. */
function ringOf(records: string): RawRing {
  const raw = rawRing(4096);
  [...records].forEach((record, i) => {
    const reservation = raw.producer.reserve(8);
    raw.producer.fill(reservation, pattern(8, i));
    if (record === 's') raw.producer.submit(reservation);
    if (record === 'd') raw.producer.discard(reservation);
  });
  return raw;
}

function visits(run: SampleRun): { payload: Uint8Array; index: number; distance: number }[] {
  const list: { payload: Uint8Array; index: number; distance: number }[] = [];
  run.forEach((sample, index, distance) => list.push({ payload: sample.copy(), index, distance }));
  return list;
}

describe('a run of ready samples', () => {
  it('is collected without being released, and visited with number and distance', () => {
    const raw = ringOf('sdsb');
    const run = new SampleRun(raw.ring);
    expect(raw.consumer.begin(0)).toBe(0);
    expect(raw.consumer.peekRun(run, 1 << 20)).toBe(2);
    expect([run.records, run.samples, run.full]).toEqual([3, 2, false]);
    expect(raw.ring.consumerPosition).toBe(0n);
    expect(visits(run)).toEqual([
      { payload: pattern(8, 0), index: 0, distance: 0 },
      { payload: pattern(8, 2), index: 1, distance: 32 },
    ]);
    expect([0, 1, 2].map((record) => [run.isSample(record), run.lengthOf(record)])).toEqual([
      [true, 8],
      [false, 8],
      [true, 8],
    ]);
  });

  it('can be visited again, and anew after the next peek', () => {
    const raw = ringOf('ss');
    const run = new SampleRun(raw.ring);
    raw.consumer.begin(0);
    raw.consumer.peekRun(run, 1 << 20);
    expect(visits(run)).toEqual(visits(run));
    raw.consumer.releaseRun(run, 1);
    expect(raw.consumer.peekRun(run, 1 << 20)).toBe(1);
    expect(visits(run)).toEqual([{ payload: pattern(8, 1), index: 0, distance: 0 }]);
  });

  it('skips the discards at its head at once, as a drain does', () => {
    const raw = ringOf('dds');
    const run = new SampleRun(raw.ring);
    raw.consumer.begin(0);
    expect(raw.consumer.peekRun(run, 1 << 20)).toBe(1);
    expect(raw.ring.consumerPosition).toBe(32n);
    expect(raw.consumer.report.discarded).toBe(2);
  });

  it('releases the discards between samples with the sample behind them, and not before', () => {
    const raw = ringOf('sddsds');
    const run = new SampleRun(raw.ring);
    raw.consumer.begin(0);
    expect(raw.consumer.peekRun(run, 1 << 20)).toBe(3);
    raw.consumer.releaseRun(run, 1);
    expect(raw.ring.consumerPosition).toBe(16n);
    expect(raw.consumer.peekRun(run, 1 << 20)).toBe(2);
    expect(raw.ring.consumerPosition).toBe(48n);
    raw.consumer.releaseRun(run, 2);
    expect(raw.ring.consumerPosition).toBe(96n);
    raw.consumer.end(0);
    expect(raw.consumer.report).toMatchObject({ drained: 3, discarded: 3, wakeup: true });
  });

  it('releases nothing when told 0, and all of it when told more than it has', () => {
    const raw = ringOf('sds');
    const run = new SampleRun(raw.ring);
    raw.consumer.begin(0);
    raw.consumer.peekRun(run, 1 << 20);
    raw.consumer.releaseRun(run, 0);
    expect(raw.ring.consumerPosition).toBe(0n);
    raw.consumer.releaseRun(run, 99);
    expect(raw.ring.consumerPosition).toBe(48n);
    expect(raw.consumer.report.drained).toBe(2);
  });

  it('holds at most its capacity, discards included', () => {
    const raw = ringOf('sdsss');
    const run = new SampleRun(raw.ring, 3);
    raw.consumer.begin(0);
    expect(raw.consumer.peekRun(run, 1 << 20)).toBe(2);
    expect([run.records, run.full]).toEqual([3, true]);
  });

  it.each([
    [0, 1],
    [7, 1],
    [8, 1],
    [15, 1],
    [16, 2],
    [23, 2],
    [24, 3],
  ])('of at most %i payload bytes holds %i samples: the first always fits', (maxBytes, samples) => {
    const raw = ringOf('ssss');
    raw.consumer.begin(0);
    expect(raw.consumer.peekRun(new SampleRun(raw.ring), maxBytes)).toBe(samples);
  });

  it('is bounded in turns over all runs of one drain', () => {
    const raw = ringOf('sdssss');
    const run = new SampleRun(raw.ring, 2);
    raw.consumer.begin(0);
    const counts: number[] = [];
    for (let samples = 1; samples > 0;) {
      samples = raw.consumer.peekRun(run, 1 << 20, 4);
      counts.push(samples);
      raw.consumer.releaseRun(run, samples);
    }
    expect(counts).toEqual([1, 2, 0]);
    expect(raw.ring.consumerPosition).toBe(64n);
    raw.consumer.end(0);
    // A new drain has its turns anew.
    raw.consumer.begin(0);
    expect(raw.consumer.peekRun(run, 1 << 20, 4)).toBe(2);
  });

  it('is empty when nothing is ready', () => {
    for (const raw of [ringOf(''), ringOf('b'), ringOf('db')]) {
      const run = new SampleRun(raw.ring);
      raw.consumer.begin(0);
      expect(raw.consumer.peekRun(run, 1 << 20)).toBe(0);
      expect([run.records, run.samples]).toEqual([0, 0]);
    }
  });

  it('ends before a bad record, which is an error once it is at the head', () => {
    const raw = ringOf('ss');
    pokeHeader(raw, 32, 64);
    pokeProducer(raw, 48n);
    const run = new SampleRun(raw.ring);
    raw.consumer.begin(0);
    expect(raw.consumer.peekRun(run, 1 << 20)).toBe(2);
    raw.consumer.releaseRun(run, 2);
    expect(raw.consumer.peekRun(run, 1 << 20)).toBe(-22);
    expect([run.records, run.samples]).toEqual([0, 0]);
    raw.consumer.end(0);
    expect(raw.consumer.report).toMatchObject({ drained: 2, wakeup: true });
    expect(raw.ring.consumerPosition).toBe(32n);
  });

  it('is released by the lengths that were peeked, whatever the headers say by then', () => {
    const raw = ringOf('sds');
    const run = new SampleRun(raw.ring);
    raw.consumer.begin(0);
    raw.consumer.peekRun(run, 1 << 20);
    for (const offset of [0, 16, 32]) pokeHeader(raw, offset, 0xc0000fff);
    expect(visits(run).map((visit) => visit.payload)).toEqual([pattern(8, 0), pattern(8, 2)]);
    raw.consumer.releaseRun(run, 2);
    expect(raw.ring.consumerPosition).toBe(48n);
    expect(raw.consumer.report).toMatchObject({ drained: 2, discarded: 1 });
  });

  it('leaves a dead dynptr behind, also when the visitor throws', () => {
    const raw = ringOf('s');
    const run = new SampleRun(raw.ring);
    raw.consumer.begin(0);
    raw.consumer.peekRun(run, 1 << 20);
    let kept: Dynptr | undefined;
    run.forEach((sample) => (kept = sample));
    expect(() => kept!.size).toThrow(/released/);
    expect(() =>
      run.forEach((sample) => {
        kept = sample;
        throw new Error('visitor');
      }),
    ).toThrow('visitor');
    expect(() => kept!.readUint8(0)).toThrow(/released/);
  });
});

describe('a drain that spans several runs', () => {
  it('holds the busy flag from begin to end', () => {
    const raw = ringOf('s');
    expect(raw.consumer.busy).toBe(false);
    expect(raw.consumer.begin(1)).toBe(0);
    expect(raw.consumer.busy).toBe(true);
    expect(raw.consumer.begin(0)).toBe(-16);
    expect(drainAll(raw).ret).toBe(-16);
    raw.consumer.end(1);
    expect(raw.consumer.busy).toBe(false);
    expect(drainAll(raw).ret).toBe(1);
  });

  it.each([
    ['', 0, false],
    ['', 2, true],
    ['', 3, true],
    ['s', 0, true],
    ['s', 1, false],
    ['s', 3, true],
    ['d', 0, true],
    ['d', 1, false],
    ['b', 0, false],
  ])('of "%s" with flags %i decides about the wakeup at its end: %s', (records, flags, wakeup) => {
    const raw = ringOf(records);
    const run = new SampleRun(raw.ring);
    raw.consumer.begin(flags);
    raw.consumer.releaseRun(run, raw.consumer.peekRun(run, 1 << 20));
    expect(raw.consumer.report.wakeup).toBe(false);
    raw.consumer.end(flags);
    expect(raw.consumer.report.wakeup).toBe(wakeup);
  });

  it('notes that its handler asked to stop, and forgets it with the next begin', () => {
    const raw = ringOf('s');
    raw.consumer.begin(0);
    raw.consumer.markStopped();
    raw.consumer.end(0);
    expect(raw.consumer.report.stopped).toBe(true);
    raw.consumer.begin(0);
    expect(raw.consumer.report.stopped).toBe(false);
  });
});
