/**
 * A scenario: one ring, where its positions start, and what is done to it. {@link runScenario} does it to the ring and to
 * the array model, and compares everything that can be seen after every step.
 */
import { expect } from 'vitest';
import {
  Consumer,
  Producer,
  SampleRun,
  createUserRing,
  type RingMode,
  type UserRing,
} from '../../src/ring/index.js';
import { ArrayModel, samplesOf, type CallbackScript, type ModelRecord } from './array-model.js';
import { pattern, runOf } from './raw.js';

export type Step =
  | { op: 'reserve'; size: number }
  | { op: 'fill'; which: number; splitAt: number }
  | { op: 'submit' | 'discard'; which: number }
  | { op: 'output'; size: number }
  /** A sample that leaves exactly `spare` bytes free. */
  | { op: 'outputAllBut'; spare: number }
  | { op: 'outputRun'; sizes: number[] }
  | {
      op: 'drain';
      flags: number;
      maxTurns: number;
      stopAt: number;
      failure?: CallbackScript['failure'];
      output?: { call: number; size: number };
    }
  | {
      op: 'batch';
      flags: number;
      maxTurns: number;
      capacity: number;
      rounds: { maxBytes: number; release: number; outputMeanwhile: number }[];
    };

export interface Scenario {
  size: number;
  mode: RingMode;
  shared: boolean;
  /** The positions start at `base - behind`, modulo 2^64. */
  base: bigint;
  behind: number;
  steps: Step[];
}

/** What a set of scenarios came across; a random test that misses its corners proves nothing. */
export const corners = {
  exactlyFull: 0,
  recordWrapped: 0,
  lowHalfCarried: 0,
  positionWrapped: 0,
  refusedForSpace: 0,
  drainedPastDiscard: 0,
  stoppedByBusy: 0,
  stoppedByTurns: 0,
  callbackFailed: 0,
  callbackOutputDrained: 0,
  partialRelease: 0,
};

export function resetCorners(): void {
  for (const corner of Object.keys(corners)) corners[corner as keyof typeof corners] = 0;
}

interface Reservation {
  offset: number;
  record: ModelRecord;
}

interface Bench {
  ring: UserRing;
  producer: Producer;
  consumer: Consumer;
  model: ArrayModel;
  open: Reservation[];
  /** Makes every payload differ from the one before. */
  payloads: number;
}

export function runScenario(scenario: Scenario): void {
  const { size, mode, shared, base, behind } = scenario;
  const ring = createUserRing({ maxEntries: size }, { mode, shared });
  const start = BigInt.asUintN(64, base - BigInt(behind));
  ring.consumerPosition = start;
  ring.producerPosition = start;
  const bench: Bench = {
    ring,
    producer: new Producer(ring),
    consumer: new Consumer(ring),
    model: new ArrayModel(size, mode, start),
    open: [],
    payloads: 0,
  };
  compare(bench);
  for (const step of scenario.steps) {
    const before = bench.model.producer;
    perform(bench, step);
    compare(bench);
    if (bench.model.used === size) corners.exactlyFull++;
    if (bench.model.producer < before) corners.positionWrapped++;
    if (bench.model.producer >> 32n !== before >> 32n) corners.lowHalfCarried++;
  }
}

function perform(bench: Bench, step: Step): void {
  switch (step.op) {
    case 'reserve':
      reserve(bench, step.size);
      return;
    case 'fill':
      withOpen(bench, step.which, ({ offset, record }) => {
        const payload = nextPayload(bench, record.length);
        const split = Math.min(step.splitAt, payload.length);
        bench.producer.fill(offset, payload.subarray(0, split));
        bench.producer.fill(offset, payload.subarray(split), split);
        record.payload = payload;
      });
      return;
    case 'submit':
      withOpen(bench, step.which, ({ offset, record }) => {
        bench.producer.submit(offset);
        record.state = 'ready';
      });
      return;
    case 'discard':
      withOpen(bench, step.which, ({ offset, record }) => {
        bench.producer.discard(offset);
        record.state = 'discarded';
      });
      return;
    case 'output':
      output(bench, step.size);
      return;
    case 'outputAllBut':
      if (bench.model.free >= 8 + step.spare) output(bench, bench.model.free - 8 - step.spare);
      return;
    case 'outputRun': {
      const payloads = step.sizes.map((size) => nextPayload(bench, size));
      expect(bench.producer.outputRun(runOf(payloads))).toBe(bench.model.outputRun(payloads));
      return;
    }
    case 'drain':
      drain(bench, step);
      return;
    case 'batch':
      batch(bench, step);
      return;
  }
}

function reserve(bench: Bench, size: number): void {
  const expected = bench.model.reserve(size);
  const offset = bench.producer.reserve(size);
  if (expected < 0) {
    expect(offset).toBe(expected);
    if (expected === -28) corners.refusedForSpace++;
    return;
  }
  const record = bench.model.records.at(-1)!;
  const at = BigInt.asUintN(64, bench.model.producer - BigInt(record.total));
  expect(offset).toBe(Number(at % BigInt(bench.model.size)));
  expect(bench.producer.sizeOf(offset)).toBe(size);
  if (offset + record.total > bench.model.size) corners.recordWrapped++;
  bench.open.push({ offset, record });
}

function output(bench: Bench, size: number): void {
  const payload = nextPayload(bench, size);
  expect(bench.producer.output(payload)).toBe(bench.model.output(payload));
}

/** Takes the open reservation number `which` (modulo their number) to `use`, if there is any. */
function withOpen(bench: Bench, which: number, use: (reservation: Reservation) => void): void {
  if (bench.open.length === 0) return;
  use(bench.open[which % bench.open.length]!);
  bench.open = bench.open.filter(({ record }) => record.state === 'busy');
}

interface Seen {
  size: number;
  payload: Uint8Array;
}

function drain(bench: Bench, step: Extract<Step, { op: 'drain' }>): void {
  const { ring, producer, consumer, model } = bench;
  const { flags, maxTurns, stopAt, failure } = step;
  const inside = step.output && { call: step.output.call, payload: nextPayload(bench, step.output.size) };
  const seen: Seen[] = [];
  const contexts = new Set<unknown>();
  const ctx = { step };
  const thrown = new Error('the callback failed, as the scenario wants');
  const heads: bigint[] = [];
  const ret = consumer.drain(
    (sample, context) => {
      contexts.add(context);
      heads.push(ring.consumerPosition);
      seen.push({ size: sample.size, payload: sample.copy() });
      if (seen.length === 1) {
        expect(consumer.busy).toBe(true);
        expect(consumer.drain(() => 0, undefined, flags)).toBe(-16);
      }
      if (inside?.call === seen.length) producer.output(inside.payload);
      if (failure?.call === seen.length) {
        if (failure.kind === 'throws') throw thrown;
        return 2 as 1;
      }
      return stopAt === seen.length ? 1 : 0;
    },
    ctx,
    flags,
    maxTurns,
  );
  const visibleBefore = [...model.records];
  const expected = model.drain({ stopAt, failure, output: inside }, flags, maxTurns);
  expect(ret).toBe(expected.ret);
  compareSamples(seen, expected.seen);
  if (seen.length > 0) expect([...contexts]).toEqual([ctx]);
  expect(new Set(heads).size).toBe(heads.length);
  expect(consumer.busy).toBe(false);
  if (ret === -22 && seen.length === 0) return;
  const { drained, discarded, stopped, wakeup, error } = consumer.report;
  expect({ drained, discarded, stopped, wakeup }).toEqual(model.report);
  if (ret === -22) expect(error).toEqual(new TypeError('the callback answered 2, not 0 or 1'));
  else expect(error).toBe(ret === -5 ? thrown : undefined);

  if (ret < 0) corners.callbackFailed++;
  if (discarded > 0 && drained > 0) corners.drainedPastDiscard++;
  if (model.records[0]?.state === 'busy' && drained > 0) corners.stoppedByBusy++;
  if (drained + discarded === maxTurns && model.records[0]?.state === 'ready') corners.stoppedByTurns++;
  if (expected.seen.some((record) => !visibleBefore.includes(record))) corners.callbackOutputDrained++;
}

function batch(bench: Bench, step: Extract<Step, { op: 'batch' }>): void {
  const { ring, consumer, model } = bench;
  const { flags, maxTurns, capacity } = step;
  const begun = consumer.begin(flags);
  expect(begun).toBe(model.begin(flags));
  if (begun !== 0) return;
  const run = new SampleRun(ring, capacity);
  for (const round of step.rounds) {
    const peeked = consumer.peekRun(run, round.maxBytes, maxTurns);
    const expected = model.peekRun(capacity, round.maxBytes, maxTurns);
    const samples = samplesOf(expected);
    expect(peeked).toBe(samples.length);
    expect(run.samples).toBe(samples.length);
    expect(run.records).toBe(expected.length);
    expect(run.full).toBe(expected.length === capacity);
    compare(bench);

    const seen: Seen[] = [];
    run.forEach((sample, index, distance) => {
      expect(index).toBe(seen.length);
      const before = expected.slice(0, expected.indexOf(samples[index]!));
      expect(distance).toBe(before.reduce((sum, record) => sum + record.total, 0));
      seen.push({ size: sample.size, payload: sample.copy() });
    });
    compareSamples(seen, samples);
    expect(consumer.drain(() => 0, undefined)).toBe(-16);
    if (round.outputMeanwhile >= 0) output(bench, round.outputMeanwhile);

    const release = Math.min(round.release, samples.length);
    if (release > 0 && release < samples.length) corners.partialRelease++;
    consumer.releaseRun(run, release);
    model.release(release);
    compare(bench);
  }
  consumer.end(flags);
  model.end(flags);
  const { drained, discarded, stopped, wakeup } = consumer.report;
  expect({ drained, discarded, stopped, wakeup }).toEqual(model.report);
}

function compareSamples(seen: readonly Seen[], expected: readonly ModelRecord[]): void {
  expectSame(
    seen.map((sample) => sample.size),
    expected.map((record) => record.length),
  );
  seen.forEach((sample, index) => {
    const payload = expected[index]!.payload;
    if (payload !== undefined && Buffer.compare(sample.payload, payload) !== 0)
      expect(sample.payload).toEqual(payload);
  });
}

function compare({ ring, model }: Bench): void {
  const { availData, ringSize, consumerPos, producerPos } = ring.query();
  const used = model.used;
  expectSame(
    [ring.consumerPosition, ring.producerPosition, ring.used, ring.free, ring.writable],
    [model.consumer, model.producer, used, model.size - used, used < model.size],
  );
  expectSame(
    [availData, ringSize, consumerPos, producerPos],
    [used, model.size, model.consumer, model.producer],
  );
}

type Scalar = bigint | number | boolean;

/** `expect` on lists of scalars, called only when they differ: it is most of the cost of a step otherwise. */
export function expectSame(actual: readonly Scalar[], expected: readonly Scalar[]): void {
  if (actual.join() !== expected.join()) expect(actual).toEqual(expected);
}

function nextPayload(bench: Bench, length: number): Uint8Array {
  return pattern(length, ++bench.payloads);
}
