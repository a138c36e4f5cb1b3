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
}

export interface DrainRequest {
  handler: Handler;
  /** The caller's ctx, any JSON value. */
  ctx: unknown;
  flags: number;
  /** Bound on loop turns. */
  maxTurns?: number;
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
  return outcome(ret, consumer);
}

async function drainRuns(
  ring: UserRing,
  consumer: Consumer,
  handler: BatchHandler,
  request: DrainRequest,
  onProgress: OnProgress,
): Promise<DrainOutcome> {
  consumer.begin(request.flags);
  const run = new SampleRun(ring, handler.maxRunSamples);
  let ret = 0;
  let error: unknown;
  try {
    for (;;) {
      const peeked = consumer.peekRun(
        run,
        handler.maxRunBytes,
        request.maxTurns ?? BPF_MAX_USER_RINGBUF_SAMPLES,
      );
      if (peeked < 0) ret = peeked;
      if (peeked <= 0) break;
      const verdict = await handler.onRun(run, contextAt(ring, request));
      const consumed = Math.min(Math.max(0, verdict.consumed), run.samples);
      consumer.releaseRun(run, consumed);
      onProgress(consumer.report, ring.consumerLow);
      if (verdict.stop) consumer.markStopped();
      error = verdict.error;
      if (error !== undefined) ret = errnoOf(error);
      if (error !== undefined || verdict.stop || consumed < run.samples || request.endAsked?.()) break;
    }
  } catch (thrown) {
    error = thrown;
    ret = errnoOf(thrown);
  }
  consumer.end(request.flags);
  return { ...outcome(ret === 0 ? consumer.report.drained : ret, consumer), error };
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
    result = { ret: -Errno.EIO, drained: 0, discarded: 0, discardedBytes: 0, stopped: false, error };
  }
  const { ret, drained, discarded, discardedBytes, stopped, error } = result;
  consumer.end(request.flags, { drained, discarded, discardedBytes });
  if (stopped) consumer.markStopped();
  return { ...outcome(ret, consumer), error };
}

/** What a drain returns for what its handler failed with. */
function errnoOf(error: unknown): number {
  return -Errno[error instanceof RingbufdError ? error.errno : 'EIO'];
}

function outcome(ret: number, consumer: Consumer): DrainOutcome {
  return { ret, ...consumer.report };
}

function contextAt(ring: UserRing, request: DrainRequest): DrainContext {
  return { map: request.map, incarnation: request.incarnation, headPosition: ring.consumerPosition };
}

/** The errno name of a failed outcome, `undefined` for one that went well. */
export function outcomeErrno(result: { ret: number }): ErrnoName | undefined {
  return result.ret < 0 ? errnoName(result.ret) : undefined;
}
