/**
 * A handler that is only tried: it is called with copies of samples that the map's drains have released, and nothing that
 * it answers, throws or takes in time reaches those drains. The copies wait in a ring of its own, at the positions that
 * the samples had, so that it is drained as any handler is, whatever its shape.
 */
import {
  BPF_RINGBUF_BUSY_BIT,
  BPF_RINGBUF_DISCARD_BIT,
  BPF_RINGBUF_HDR_SZ,
  Consumer,
  createUserRing,
  errnoName,
  Producer,
  recordSize,
  SampleRun,
  type ErrnoName,
  type UserRing,
} from '../ring/index.js';
import type { Clock } from './clock.js';
import { runDrain, type DrainOutcome } from './drain-runner.js';
import { RingbufdError } from './errors.js';
import type { Handler } from './handlers/index.js';
import type { MapCounters } from './map-counters.js';
import { WaitingCtx, type DrainCtx } from './shadow-ctx.js';

/** Whole records back to back, as a drain has released them. */
export interface ReleasedRun {
  /** Position of the first record. */
  position: bigint;
  bytes: Uint8Array;
  samples: number;
}

/** What a shadow has seen and how it did, as GET shows it. */
export interface ShadowReport {
  /** Samples that it has answered for. */
  calls: number;
  /** Of them: how often its verdict was another one than that of the real handler. */
  differed: number;
  /** Samples released without it: its queue was full, or it was behind. */
  skipped: number;
  /** Samples that it failed on. */
  failed: number;
  /** Its failures by errno. */
  errors: Record<string, number>;
  /** Time that its runs took. */
  cost_ms: number;
  queued_bytes: number;
}

export interface ShadowDeps {
  map: string;
  incarnation: string;
  handler: Handler;
  /** Whether it is called at all: see {@link Shadow.enable}. */
  enabled: boolean;
  /** Size of its queue: what its ring takes. */
  queueBytes: number;
  counters: MapCounters;
  clock: Clock;
}

/** Samples of one run on the event loop, and of one that is awaited. */
const LOOP_RUN_SAMPLES = 128;
const AWAITED_RUN_SAMPLES = 1024;
/** Pause behind a run on the event loop, as a multiple of what it took: a shadow takes a fifth of the loop at most. */
const PAUSE_FACTOR = 4;
/** BPF_RB_NO_WAKEUP: nobody waits for room in a shadow's queue. */
const FLAGS = 1;

/** A ring for so many bytes: the next power of two, within reason. */
export function shadowQueueBytes(bytes: number): number {
  return 2 ** Math.min(24, Math.max(12, Math.ceil(Math.log2(bytes))));
}

export class Shadow {
  readonly #deps: ShadowDeps;
  readonly #ring: UserRing;
  readonly #producer: Producer;
  readonly #consumer: Consumer;
  readonly #ctxs: WaitingCtx;
  /** Where the samples end, of those in the queue, that the real handler answered 1 for. */
  readonly #realStops = new Set<bigint>();
  readonly #errors = new Map<ErrnoName, number>();
  /** Where the last sample ended that the shadow answered 1 for. */
  #lastStop: bigint | undefined;
  #calls = 0;
  #differed = 0;
  #skipped = 0;
  #failed = 0;
  #costMs = 0;
  #scheduled = false;
  #running: Promise<void> | undefined;
  #closed = false;
  #enabled: boolean;

  constructor(deps: ShadowDeps) {
    this.#deps = deps;
    this.#enabled = deps.enabled;
    this.#ctxs = new WaitingCtx(deps.queueBytes);
    this.#ring = createUserRing({ maxEntries: deps.queueBytes }, { mode: 'managed' });
    this.#producer = new Producer(this.#ring);
    this.#consumer = new Consumer(this.#ring);
  }

  /** Bytes of records that it could take now. */
  get room(): number {
    return this.#closed || !this.#enabled ? 0 : this.#ring.free;
  }

  report(): ShadowReport {
    return {
      calls: this.#calls,
      differed: this.#differed,
      skipped: this.#skipped,
      failed: this.#failed,
      errors: Object.fromEntries(this.#errors),
      cost_ms: Math.round(this.#costMs * 1000) / 1000,
      queued_bytes: this.#ring.used,
    };
  }

  /**
   * A shadow that is disabled is not called and counts nothing. What waits for it then is skipped; a run under way ends
   * by itself. Enabled again, it goes on with what is drained from then on.
   */
  enable(enabled: boolean): void {
    this.#enabled = enabled;
    if (!enabled && this.#running === undefined) this.#dropQueue();
  }

  /** Samples were released that it does not get to see. */
  skip(samples: number): void {
    if (!this.#enabled) return;
    this.#countSkipped(samples);
  }

  #countSkipped(samples: number): void {
    this.#skipped += samples;
    this.#deps.counters.shadowSkipped += samples;
  }

  /**
   * Copies what fits into its queue. Once something was left out it takes nothing until it has caught up.
   * @param ctx that the samples were drained with
   */
  offer({ position, bytes, samples }: ReleasedRun, ctx: DrainCtx): void {
    const ring = this.#ring;
    if (this.#closed || !this.#enabled) return;
    if (ring.used === 0 && this.#running === undefined) {
      ring.consumerPosition = position;
      ring.producerPosition = position;
    }
    if (ring.producerPosition !== position || !this.#ctxs.hasRoomFor(ctx)) {
      this.skip(samples);
      return;
    }
    const fitting = prefixOf(bytes, ring.free);
    if (fitting.bytes.length > 0) {
      this.#producer.outputRun(fitting.bytes);
      this.#ctxs.add(ctx, fitting.records);
    }
    if (fitting.samples < samples) this.skip(samples - fitting.samples);
    this.#schedule(0);
  }

  /** The real handler has answered 1 for the sample that ends at `end`. */
  noteStop(end: bigint): void {
    const ring = this.#ring;
    if (!this.#enabled || distance(end, ring.producerPosition) < 0n) return;
    if (distance(ring.consumerPosition, end) > 0n) this.#realStops.add(end);
    // The shadow was quicker, and its verdict was held against a 0.
    else this.#count(0, this.#lastStop === end ? -1 : 1);
  }

  /** Ends the run under way behind what is at hand; resolves when the handler is not called any more. */
  async close(): Promise<void> {
    this.#closed = true;
    const { handler } = this.#deps;
    if (this.#running !== undefined && handler.shape !== 'sample') handler.wrapUp?.();
    await this.#running;
  }

  #schedule(pauseMs: number): void {
    if (this.#scheduled || this.#running !== undefined || this.#closed || this.#ring.used === 0) return;
    this.#scheduled = true;
    const step = (): void => {
      this.#scheduled = false;
      this.#step();
    };
    if (pauseMs > 0) this.#deps.clock.after(pauseMs, step);
    else this.#deps.clock.soon(step);
  }

  #step(): void {
    if (this.#closed || this.#running !== undefined) return;
    const { handler, map, incarnation, clock } = this.#deps;
    const stretch = this.#ctxs.head;
    if (stretch === undefined) return;
    const most = handler.shape === 'sample' ? LOOP_RUN_SAMPLES : AWAITED_RUN_SAMPLES;
    const maxTurns = Math.min(most, stretch.records);
    const endAsked = (): boolean => this.#closed || !this.#enabled;
    const { ctx, begun } = stretch;
    const goesOn = begun && !ctx.isEmpty;
    const request = { handler, ctx: ctx.value, goesOn, flags: FLAGS, maxTurns, map, incarnation, endAsked };
    const from = this.#ring.consumerPosition;
    const startedMs = clock.nowMs();
    const ended = (outcome: DrainOutcome): void => {
      this.#running = undefined;
      const elapsedMs = clock.nowMs() - startedMs;
      this.#costMs += elapsedMs;
      this.#judge(outcome, from);
      if (!this.#enabled) this.#dropQueue();
      this.#schedule(handler.shape === 'sample' ? elapsedMs * PAUSE_FACTOR : 0);
    };
    try {
      const outcome = runDrain(this.#ring, this.#consumer, request, () => undefined);
      stretch.begun = true;
      if (outcome instanceof Promise) this.#running = outcome.then(ended);
      else ended(outcome);
    } catch (error) {
      if (!(error instanceof RingbufdError)) throw error;
      // It does not take the ctx, whatever the sample.
      this.#fail(error.errno, AWAITED_RUN_SAMPLES);
      this.#schedule(0);
    }
  }

  #judge(outcome: DrainOutcome, from: bigint): void {
    const to = this.#ring.consumerPosition;
    let differed = 0;
    this.#ctxs.release(outcome.drained + outcome.discarded);
    if (outcome.stopped) this.#lastStop = to;
    const agreed = outcome.stopped && this.#realStops.delete(to);
    if (outcome.stopped && !agreed) differed++;
    differed += this.#forgetStops(from, to);
    this.#count(outcome.drained, differed);
    if (outcome.ret < 0) this.#fail(errnoName(outcome.ret) ?? 'EIO');
  }

  #count(calls: number, differed: number): void {
    const { counters } = this.#deps;
    this.#calls += calls;
    this.#differed += differed;
    counters.shadowCalls += calls;
    counters.shadowDiffered += differed;
  }

  /** What a shadow fails on it does not get again: of a batch nobody can tell which sample it was. */
  #fail(errno: ErrnoName, most = this.#deps.handler.shape === 'batch' ? AWAITED_RUN_SAMPLES : 1): void {
    this.#errors.set(errno, (this.#errors.get(errno) ?? 0) + 1);
    const samples = Math.min(most, this.#ctxs.head?.records ?? most);
    const from = this.#ring.consumerPosition;
    const run = new SampleRun(this.#ring, samples);
    this.#consumer.begin(FLAGS);
    const failed = this.#consumer.peekRun(run, Infinity, samples);
    this.#consumer.releaseRun(run, failed);
    this.#consumer.end(FLAGS);
    const { drained, discarded } = this.#consumer.report;
    this.#ctxs.release(drained + discarded);
    this.#failed += Math.max(0, failed);
    this.#forgetStops(from, this.#ring.consumerPosition);
  }

  #dropQueue(): void {
    const run = new SampleRun(this.#ring, AWAITED_RUN_SAMPLES);
    this.#consumer.begin(FLAGS);
    for (let more = true; more;) {
      const waiting = this.#consumer.peekRun(run, Infinity);
      more = waiting > 0;
      if (more) this.#consumer.releaseRun(run, waiting);
    }
    this.#consumer.end(FLAGS);
    this.#countSkipped(this.#consumer.report.drained);
    this.#realStops.clear();
    this.#ctxs.clear();
  }

  /** @returns verdicts 1 of the real handler in that part of the queue */
  #forgetStops(from: bigint, to: bigint): number {
    let forgotten = 0;
    for (const end of this.#realStops) {
      if (distance(from, end) <= 0n || distance(end, to) < 0n) continue;
      this.#realStops.delete(end);
      forgotten++;
    }
    return forgotten;
  }
}

/** From one position to another one, which is near it, with its sign. */
function distance(from: bigint, to: bigint): bigint {
  return BigInt.asIntN(64, to - from);
}

/** The longest prefix of whole records that takes at most `maxBytes`. */
function prefixOf(
  bytes: Uint8Array,
  maxBytes: number,
): { bytes: Uint8Array; samples: number; records: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = 0;
  let samples = 0;
  let records = 0;
  while (end + BPF_RINGBUF_HDR_SZ <= bytes.length) {
    const header = view.getUint32(end, true);
    const size = recordSize(header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT));
    if (end + size > Math.min(maxBytes, bytes.length)) break;
    if ((header & BPF_RINGBUF_DISCARD_BIT) === 0) samples++;
    records++;
    end += size;
  }
  return { bytes: bytes.subarray(0, end), samples, records };
}
