import { describe, expect, it } from 'vitest';
import { isValidDrainFlags, shouldWake } from '../../src/ring/index.js';
import { drainAll, pokeHeader, pokeProducer, rawRing } from './raw.js';

describe('the wakeup rule', () => {
  it.each([
    // flags, turns, wake
    [0, 0, false],
    [0, 1, true],
    [0, 131072, true],
    [1, 0, false],
    [1, 1, false],
    [2, 0, true],
    [2, 1, true],
    [3, 0, true],
    [3, 1, true],
  ])('with flags %i and %i completed turns says %s', (flags, turns, wake) => {
    expect(shouldWake(flags, turns)).toBe(wake);
  });

  it.each([0, 1, 2, 3])('knows the flags %i', (flags) => {
    expect(isValidDrainFlags(flags)).toBe(true);
  });

  it.each([4, 5, 7, 8, -1, 0.5, 1.5, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53, Infinity, -Infinity, NaN])(
    'refuses the flags %d',
    (flags) => {
      expect(isValidDrainFlags(flags)).toBe(false);
    },
  );
});

describe('a drain wakes', () => {
  const withSamples = (records: number) => {
    const raw = rawRing(4096);
    for (let i = 0; i < records; i++) raw.producer.output(new Uint8Array(8));
    return raw;
  };

  it('nobody when the ring is empty', () => {
    const raw = withSamples(0);
    expect(drainAll(raw).ret).toBe(0);
    expect(raw.consumer.report.wakeup).toBe(false);
  });

  it('waiters of an empty ring when it is forced, even with NO_WAKEUP beside it', () => {
    const raw = withSamples(0);
    drainAll(raw, 3);
    expect(raw.consumer.report.wakeup).toBe(true);
  });

  it('when all that went were discards', () => {
    const raw = withSamples(0);
    raw.producer.discard(raw.producer.reserve(8));
    expect(drainAll(raw).ret).toBe(0);
    expect(raw.consumer.report).toMatchObject({ drained: 0, discarded: 1, wakeup: true });
  });

  it('nobody when the head is still reserved', () => {
    const raw = withSamples(0);
    raw.producer.reserve(8);
    expect(drainAll(raw).ret).toBe(0);
    expect(raw.consumer.report.wakeup).toBe(false);
  });

  it('although it ends in an error, when a sample went before', () => {
    const raw = withSamples(1);
    pokeHeader(raw, 16, 64);
    pokeProducer(raw, 32n);
    expect(drainAll(raw).ret).toBe(-22);
    expect(raw.consumer.report).toMatchObject({ drained: 1, wakeup: true });
  });

  it('nobody when the error was the first thing it met', () => {
    const raw = withSamples(0);
    pokeHeader(raw, 0, 64);
    pokeProducer(raw, 32n);
    expect(drainAll(raw).ret).toBe(-22);
    expect(raw.consumer.report.wakeup).toBe(false);
  });

  it('nobody when its flags were refused, and leaves the last report alone', () => {
    const raw = withSamples(2);
    drainAll(raw);
    const before = raw.consumer.report;
    expect(drainAll(raw, 6).ret).toBe(-22);
    expect(raw.consumer.report).toBe(before);
  });
});
