/** Runs one drain of one ring through one handler, whatever shape the handler has. */
import {
  BPF_MAX_USER_RINGBUF_SAMPLES,
  Errno,
  SampleRun,
  errnoName,
  shouldWake,
  type Consumer,
  type DrainReport,
  type ErrnoName,
  type ReleasedSoFar,
  type UserRing,
} from '../ring/index.js';
import type { Clock } from './clock.js';
import { RingbufdError } from './errors.js';
import { waiting } from './loop-time.js';
import type { TurnBudget } from './turn-budget.js';
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
  /** Its turn was over: there may be more samples to drain. */
  cut: boolean;
}

export interface DrainRequest {
  handler: Handler;
  /** The caller's ctx, any JSON value. */
  ctx: unknown;
  /** It goes on with the call that the last drain began: the handler is not told of the ctx again. */
  goesOn?: boolean;
  flags: number;
  /** Bound on loop turns; the kernel's if absent. */
  maxTurns?: number | undefined;
  /** The turn of an auto trigger that this drain is. Absent: it may take as long as it takes. */
  turn?: TurnBudget | undefined;
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
  if (request.goesOn !== true) handler.begin(request.ctx, context);
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
  const { flags, maxTurns = BPF_MAX_USER_RINGBUF_SAMPLES, turn } = request;
  if (turn !== undefined) return drainStretches(consumer, handler, flags, turn);
  const ret = consumer.drain(handler.onSample, null, flags, maxTurns);
  const failed = consumer.report.error === undefined ? 0 : 1;
  const cut = ret >= 0 && turnsOf(consumer.report) >= maxTurns;
  return { ...outcome(ret, consumer, consumer.report.drained + failed, failed), cut };
}

/** One drain of a turn that is bounded in time: the clock is read between stretches of samples, not for each of them. */
function drainStretches(
  consumer: Consumer,
  handler: SampleHandler,
  flags: number,
  turn: TurnBudget,
): DrainOutcome {
  const { pace, maxTurns } = turn;
  const sum = { drained: 0, discarded: 0, discardedBytes: 0 };
  let ret: number;
  let cut = false;
  let takenMs = turn.takenMs;
  for (;;) {
    const most = Math.min(pace.stretch, maxTurns - turnsOf(sum));
    ret = consumer.drain(handler.onSample, null, flags, most);
    const { drained, discarded, discardedBytes, stopped } = consumer.report;
    sum.drained += drained;
    sum.discarded += discarded;
    sum.discardedBytes += discardedBytes;
    if (ret < 0 || stopped || drained + discarded < most) break;
    const before = takenMs;
    takenMs = turn.takenMs;
    if (most === pace.stretch) pace.stretchTook(takenMs - before);
    cut = takenMs >= turn.timeMs || turnsOf(sum) >= maxTurns;
    if (cut) break;
  }
  const { stopped, error } = consumer.report;
  const failed = error === undefined ? 0 : 1;
  const wakeup = shouldWake(flags, turnsOf(sum));
  const calls = sum.drained + failed;
  return {
    ret: ret < 0 ? ret : sum.drained,
    ...sum,
    ...{ stopped, error, wakeup, cut, calls, deadLettered: 0, unanswered: failed },
  };
}

async function drainRuns(
  ring: UserRing,
  consumer: Consumer,
  handler: BatchHandler,
  request: DrainRequest,
  onProgress: OnProgress,
): Promise<DrainOutcome> {
  consumer.begin(request.flags);
  const { maxTurns = BPF_MAX_USER_RINGBUF_SAMPLES, batchLimit = Infinity, timing, turn } = request;
  const mostSamples = Math.min(handler.maxRunSamples ?? Infinity, batchLimit, turn?.runSamples ?? Infinity);
  const run = new SampleRun(ring, mostSamples === Infinity ? undefined : mostSamples);
  let ret = 0;
  let calls = 0;
  let unanswered = 0;
  let cut = false;
  let error: unknown;
  try {
    for (;;) {
      const peeked = consumer.peekRun(run, handler.maxRunBytes, maxTurns);
      if (peeked < 0) ret = peeked;
      cut = peeked === 0 && turnsOf(consumer.report) >= maxTurns;
      if (peeked <= 0) break;
      calls++;
      unanswered = run.samples;
      const startedMs = timing?.clock.nowMs() ?? 0;
      const takenMs = turn?.takenMs ?? 0;
      const answered = handler
        .onRun(run, contextAt(ring, request))
        .finally(() => timing?.onBatch(timing.clock.nowMs() - startedMs));
      const verdict = await waiting(turn, answered);
      const consumed = Math.min(Math.max(0, verdict.consumed), run.samples);
      consumer.releaseRun(run, consumed);
      onProgress(consumer.report, ring.consumerLow);
      if (verdict.stop) consumer.markStopped();
      error = verdict.error;
      unanswered = error === undefined ? 0 : Math.min(verdict.failed ?? Infinity, run.samples - consumed);
      if (error !== undefined) ret = errnoOf(error);
      if (error !== undefined || verdict.stop || consumed < run.samples || request.endAsked?.()) break;
      if (turn === undefined) continue;
      turn.pace.runTook(consumed, turn.takenMs - takenMs);
      cut = turn.spent;
      if (cut) break;
    }
  } catch (thrown) {
    error = thrown;
    ret = errnoOf(thrown);
  }
  consumer.end(request.flags);
  return { ...outcome(ret === 0 ? consumer.report.drained : ret, consumer, calls, unanswered), error, cut };
}

async function drainInThread(
  ring: UserRing,
  consumer: Consumer,
  handler: WorkerHandler,
  request: DrainRequest,
  onProgress: OnProgress,
): Promise<DrainOutcome> {
  consumer.begin(request.flags);
  const { ctx, incarnation, maxTurns = BPF_MAX_USER_RINGBUF_SAMPLES, turn: loop } = request;
  let result: WorkerOutcome;
  try {
    result = await waiting(loop, handler.drain(ring, { ctx, incarnation, maxTurns, loop }, onProgress));
  } catch (error) {
    const nothing = { drained: 0, discarded: 0, discardedBytes: 0 };
    result = { ret: -Errno.EIO, ...nothing, stopped: false, error, notAsked: true };
  }
  const { ret, drained, discarded, discardedBytes, stopped, error, notAsked = false } = result;
  consumer.end(request.flags, { drained, discarded, discardedBytes });
  if (stopped) consumer.markStopped();
  const unanswered = error === undefined || notAsked ? 0 : 1;
  const cut = ret >= 0 && !stopped && (result.cut === true || drained + discarded >= maxTurns);
  return { ...outcome(ret, consumer, drained + unanswered, unanswered), error, cut };
}

/** What a drain comes to that does not begin. */
export function nothingDrained(ret: number): DrainOutcome {
  const released = { drained: 0, discarded: 0, discardedBytes: 0, deadLettered: 0 };
  return {
    ret,
    ...released,
    stopped: false,
    wakeup: false,
    error: undefined,
    calls: 0,
    unanswered: 0,
    cut: false,
  };
}

/** What a drain returns for what its handler failed with. */
function errnoOf(error: unknown): number {
  return -Errno[error instanceof RingbufdError ? error.errno : 'EIO'];
}

function outcome(ret: number, consumer: Consumer, calls: number, unanswered: number): DrainOutcome {
  return { ret, ...consumer.report, deadLettered: 0, calls, unanswered, cut: false };
}

function turnsOf({ drained, discarded }: Pick<ReleasedSoFar, 'drained' | 'discarded'>): number {
  return drained + discarded;
}

function contextAt(ring: UserRing, { map, incarnation, turn: loop }: DrainRequest): DrainContext {
  return { map, incarnation, headPosition: ring.consumerPosition, loop };
}

/** The errno name of a failed outcome, `undefined` for one that went well. */
export function outcomeErrno(result: { ret: number }): ErrnoName | undefined {
  return result.ret < 0 ? errnoName(result.ret) : undefined;
}
