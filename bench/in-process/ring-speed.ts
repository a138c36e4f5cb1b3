/**
 * One process, one kind of ring, one sample size: the rates of `src/ring`, as it is built, beside a plain copy between
 * buffers of the same kind and alignment. A process of its own each, as a daemon has one kind of callback for a map.
 */
import { performance } from 'node:perf_hooks';
import { median } from '../measure/statistics.js';
import type * as Ring from '../../src/ring/index.js';

export type RingKind = 'managed' | 'shared' | 'direct';

export interface RingSpeedCase {
  /** Payload bytes. */
  readonly size: number;
  readonly kind: RingKind;
  /** How often the ring is filled and drained. */
  readonly fills: number;
}

/** Nanoseconds per sample: medians of the fills. */
export interface RingSpeed {
  /** Copying whole runs of records, nothing else. */
  readonly copy: number;
  /** checkRun and outputRun: what the daemon does with an OUTPUT frame. */
  readonly outputRun: number;
  /** checkRun alone. */
  readonly check: number;
  /** reserve, fill and submit, sample by sample. */
  readonly output: number;
  /** drain, with a callback that reads 4 bytes of each sample through its Dynptr. */
  readonly drain: number;
  /** peekRun and releaseRun, for handlers that take samples by the run. */
  readonly drainRun: number;
}

/** With the target of the copy and the run, less than the second-level cache of any recent core. */
const RING_BYTES = 1 << 18;
const RUN_BYTES = 1 << 16;
/** Small drains before anything is timed: the loops are compiled for what a daemon does, and not while they run. */
const WARM_UP_DRAINS = 20_000;
const WARM_UP_FILLS = 20;

/** Measures one case in this process. @throws Error when a sample is missing: no rate without its check */
export async function measureRingSpeed(measured: RingSpeedCase): Promise<RingSpeed> {
  const built = new URL('../../dist/ring/index.js', import.meta.url).href;
  const { checkRun, Consumer, createUserRing, Producer, SampleRun } = (await import(built)) as typeof Ring;
  const { size, kind } = measured;
  const isShared = kind === 'shared';
  const mode = kind === 'direct' ? 'direct' : 'managed';
  const ring = createUserRing({ maxEntries: RING_BYTES }, { mode, shared: isShared });
  const producer = new Producer(ring);
  const consumer = new Consumer(ring);
  const record = (size + 15) & ~7;
  const samples = Math.floor(RUN_BYTES / record);
  const run = new Uint8Array(samples * record);
  const view = new DataView(run.buffer);
  for (let at = 0; at < run.length; at += record) {
    view.setInt32(at, size, true);
    run.fill(7, at + 8, at + 8 + size);
  }
  const target = new Uint8Array(isShared ? new SharedArrayBuffer(RING_BYTES) : new ArrayBuffer(RING_BYTES));
  const payload = run.slice(8, 8 + size);
  const runsPerFill = Math.floor(RING_BYTES / run.length);
  const totals = { sum: 0 };
  const read = (sample: Ring.Dynptr, into: { sum: number }): 0 => {
    into.sum = (into.sum + sample.readInt32(0)) | 0;
    return 0;
  };
  const collected = new SampleRun(ring);

  const outputRuns = (): number => {
    for (let i = 0; i < runsPerFill; i++)
      if (checkRun(view, RING_BYTES) !== samples || producer.outputRun(run) !== 0)
        throw new Error('a run was refused');
    return samples * runsPerFill;
  };
  const drain = (): number => consumer.drain(read, totals);
  const steps = {
    copy: () => {
      for (let i = 0; i < runsPerFill; i++) target.set(run, i * run.length);
      return samples * runsPerFill;
    },
    check: () => {
      for (let i = 0; i < runsPerFill; i++)
        if (checkRun(view, RING_BYTES) !== samples) throw new Error('a run was refused');
      return samples * runsPerFill;
    },
    outputRun: outputRuns,
    drain,
    output: () => {
      for (let i = 0; i < samples * runsPerFill; i++)
        if (producer.output(payload) !== 0) throw new Error('a sample was refused');
      return samples * runsPerFill;
    },
    drainRun: () => {
      let drained = 0;
      if (consumer.begin(0) !== 0) throw new Error('a drain was refused');
      for (;;) {
        const count = consumer.peekRun(collected, RING_BYTES);
        if (count <= 0) break;
        consumer.releaseRun(collected, count);
        drained += count;
      }
      consumer.end(0);
      return drained;
    },
  };

  const few = run.subarray(0, 16 * record);
  for (let i = 0; i < WARM_UP_DRAINS; i++) {
    producer.outputRun(few);
    drain();
  }
  const order = ['copy', 'check', 'outputRun', 'drain', 'output', 'drainRun'] as const;
  const rates = Object.fromEntries(order.map((step) => [step, [] as number[]])) as Record<
    keyof RingSpeed,
    number[]
  >;
  // The first fills warm up. Each step is short, so that few of them are hit by whatever else the machine does, and
  // the median is one that was not.
  for (let fill = -WARM_UP_FILLS; fill < measured.fills; fill++)
    for (const step of order) {
      const began = performance.now();
      const done = steps[step]();
      const took = performance.now() - began;
      if (done !== samples * runsPerFill)
        throw new Error(`${step}: ${done} samples of ${samples * runsPerFill}`);
      if (fill >= 0) rates[step].push((took * 1e6) / done);
    }
  return Object.fromEntries(order.map((step) => [step, median(rates[step])])) as unknown as RingSpeed;
}
