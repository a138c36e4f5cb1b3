/** Runs one drain of one ring through one handler, whatever shape the handler has. */
import {
  BPF_MAX_USER_RINGBUF_SAMPLES,
  Errno,
  SampleRun,
  errnoName,
  type Consumer,
  type DrainReport,
  type ErrnoName,
  type ReleasedSoFar,
  type UserRing,
} from '../ring/index.js';
import type { Clock } from './clock.js';
import { RingbufdError } from './errors.js';
import type {
  BatchHandler,
  DrainContext,
  Handler,
  SampleHandler,
  WorkerHandler,
  WorkerOutcome,
} from './handlers/handler.js';

/** What a drain came to. */
export interface DrainOutcome extends Readonly<DrainReport> {
  /** Samples drained, or a negative errno. */
  ret: number;
  /** Calls of the handler: one a sample, or one a run for a batch handler. */
  calls: number;
  /** Samples that the handler was asked about and failed on, the first of them at the head of the ring; else 0. */
  unanswered: number;
  /** Samples that went into a dead-letter map. */
  deadLettered: number;
}

export interface DrainRequest {
  handler: Handler;
  /** The caller's ctx, any JSON value. */
  ctx: unknown;
  flags: number;
  /** Bound on loop turns. */
  maxTurns?: number;
  /** Most samples that a batch handler is given at once; absent: as many as it wants. */
  batchLimit?: number;
  /** Told how long each call of a batch handler took, in ms. */
  timing?: { clock: Clock; onBatch: (ms: number) => void };
  map: string;
  incarnation: string;
  /** Whether a drain in runs is to end behind the run at hand. */
  endAsked?: () => boolean;
}

/**
 * Told whenever a drain that spans several turns of the event loop has moved the consumer position: what it has released,
 * up to the consumer position `consumerLow` (low half). A thread may move on too fast to say so.
 */
export type OnProgress = (soFar?: ReleasedSoFar, consumerLow?: number) => void;

/**
 * One drain, of a ring that is not being drained and with valid flags. Synchronous for a sample handler; a promise for the
 * others, which hold the busy bit meanwhile.
 * Never throws for what the ring or the handler does: that is in the outcome.
 * @throws RingbufdError HANDLER_CTX before the drain begins
 */
export function runDrain(
  ring: UserRing,
  consumer: Consumer,
  request: DrainRequest,
  onProgress: OnProgress,
): DrainOutcome | Promise<DrainOutcome> {
  const { handler } = request;
  const context = contextAt(ring, request);
  handler.begin(request.ctx, context);
  switch (handler.shape) {
    case 'sample':
      return drainSamples(consumer, handler, request);
    case 'batch':
      return drainRuns(ring, consumer, handler, request, onProgress);
    case 'worker':
      return drainInThread(ring, consumer, handler, request, onProgress);
  }
}

function drainSamples(consumer: Consumer, handler: SampleHandler, request: DrainRequest): DrainOutcome {
  const ret = consumer.drain(handler.onSample, null, request.flags, request.maxTurns);
  const failed = consumer.report.error === undefined ? 0 : 1;
  return outcome(ret, consumer, consumer.report.drained + failed, failed);
}

async function drainRuns(
  ring: UserRing,
  consumer: Consumer,
  handler: BatchHandler,
  request: DrainRequest,
  onProgress: OnProgress,
): Promise<DrainOutcome> {
  consumer.begin(request.flags);
  const { maxTurns = BPF_MAX_USER_RINGBUF_SAMPLES, batchLimit = Infinity, timing } = request;
  const mostSamples = Math.min(handler.maxRunSamples ?? Infinity, batchLimit);
  const run = new SampleRun(ring, mostSamples === Infinity ? undefined : mostSamples);
  let ret = 0;
  let calls = 0;
  let unanswered = 0;
  let error: unknown;
  try {
    for (;;) {
      const peeked = consumer.peekRun(run, handler.maxRunBytes, maxTurns);
      if (peeked < 0) ret = peeked;
      if (peeked <= 0) break;
      calls++;
      unanswered = run.samples;
      const startedMs = timing?.clock.nowMs() ?? 0;
      const verdict = await handler
        .onRun(run, contextAt(ring, request))
        .finally(() => timing?.onBatch(timing.clock.nowMs() - startedMs));
      const consumed = Math.min(Math.max(0, verdict.consumed), run.samples);
      consumer.releaseRun(run, consumed);
      onProgress(consumer.report, ring.consumerLow);
      if (verdict.stop) consumer.markStopped();
      error = verdict.error;
      unanswered = error === undefined ? 0 : run.samples - consumed;
      if (error !== undefined) ret = errnoOf(error);
      if (error !== undefined || verdict.stop || consumed < run.samples || request.endAsked?.()) break;
    }
  } catch (thrown) {
    error = thrown;
    ret = errnoOf(thrown);
  }
  consumer.end(request.flags);
  return { ...outcome(ret === 0 ? consumer.report.drained : ret, consumer, calls, unanswered), error };
}

async function drainInThread(
  ring: UserRing,
  consumer: Consumer,
  handler: WorkerHandler,
  request: DrainRequest,
  onProgress: OnProgress,
): Promise<DrainOutcome> {
  consumer.begin(request.flags);
  const { ctx, incarnation, maxTurns = BPF_MAX_USER_RINGBUF_SAMPLES } = request;
  let result: WorkerOutcome;
  try {
    result = await handler.drain(ring, { ctx, incarnation, maxTurns }, onProgress);
  } catch (error) {
    const nothing = { drained: 0, discarded: 0, discardedBytes: 0 };
    result = { ret: -Errno.EIO, ...nothing, stopped: false, error, notAsked: true };
  }
  const { ret, drained, discarded, discardedBytes, stopped, error, notAsked = false } = result;
  consumer.end(request.flags, { drained, discarded, discardedBytes });
  if (stopped) consumer.markStopped();
  const unanswered = error === undefined || notAsked ? 0 : 1;
  return { ...outcome(ret, consumer, drained + unanswered, unanswered), error };
}

/** What a drain returns for what its handler failed with. */
function errnoOf(error: unknown): number {
  return -Errno[error instanceof RingbufdError ? error.errno : 'EIO'];
}

function outcome(ret: number, consumer: Consumer, calls: number, unanswered: number): DrainOutcome {
  return { ret, ...consumer.report, deadLettered: 0, calls, unanswered };
}

function contextAt(ring: UserRing, request: DrainRequest): DrainContext {
  return { map: request.map, incarnation: request.incarnation, headPosition: ring.consumerPosition };
}

/** The errno name of a failed outcome, `undefined` for one that went well. */
export function outcomeErrno(result: { ret: number }): ErrnoName | undefined {
  return result.ret < 0 ? errnoName(result.ret) : undefined;
}
