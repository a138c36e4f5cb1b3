/**
 * The contract of drain handlers: (sample, ctx) → 0 go on | 1 stop after this one. Three shapes: one sample at a time and
 * at once, or a run of samples and later, or a whole drain in a thread of its own. A sample is released only after its
 * handler answered for it.
 */
import type { Logger } from 'pino';
import type { TSchema } from 'typebox';
import type { Dynptr, ReleasedSoFar, SampleRun, UserRing, Verdict } from '../../ring/index.js';
import type { Clock } from '../clock.js';
import type { LoopTime } from '../loop-time.js';

/** What a handler may know of the drain that calls it. */
export interface DrainContext {
  readonly map: string;
  readonly incarnation: string;
  /** Position of the record at the head of the ring when the drain, or this run of it, began. */
  readonly headPosition: bigint;
  /** Absent: nobody is charged. */
  readonly loop?: LoopTime | undefined;
}

/** What a handler occupies outside the daemon's memory, so that two handlers of a map do not share it unawares. */
export interface HandlerClaim {
  /** File name below the map's folder; FILE.1, FILE.2 and so on belong to it. */
  file: string;
  /** Bytes that it may keep on disk. */
  diskBytes: number;
}

export interface SampleHandler {
  readonly shape: 'sample';
  readonly claim?: HandlerClaim;
  /**
   * Before the first sample of a drain.
   * @param ctx the caller's ctx, any JSON value
   * @throws RingbufdError HANDLER_CTX: the drain is refused before it begins
   */
  begin(ctx: unknown, context: DrainContext): void;
  /** A property and not a method: it is handed to the ring's drain as it is. */
  readonly onSample: (sample: Dynptr) => Verdict;
  /** What GET …/handlers/{h} shows as `state`. */
  state(): Record<string, unknown>;
  /** Flushes and lets go. The handler is not called again. */
  close(): Promise<void>;
}

/** A batch handler's answer: how many samples of the run it answers for, and whether to stop behind them. */
export interface BatchVerdict {
  consumed: number;
  stop: boolean;
  /** What failed behind the samples that were consumed: it ends the drain, with its errno. */
  error?: unknown;
  /** With `error`: how many of the samples behind those that were consumed it is about; absent: all of them. */
  failed?: number;
}

export interface BatchHandler {
  readonly shape: 'batch';
  readonly claim?: HandlerClaim;
  /** Samples that one run may hold; absent: as many as a run can. */
  readonly maxRunSamples?: number;
  /** Set by whoever registers the handler; called when it could take now what it had to refuse. */
  onReady?: (() => void) | undefined;
  /** Payload bytes that one run may hold. */
  readonly maxRunBytes: number;
  begin(ctx: unknown, context: DrainContext): void;
  /** @throws RingbufdError (its errno becomes the drain's) or anything else (EIO); nothing of the run is released */
  onRun(run: SampleRun, context: DrainContext): Promise<BatchVerdict>;
  /**
   * The handler is being replaced or removed: the run under way is to be answered for as soon as the batch at hand
   * allows. {@link close} follows when it is.
   */
  wrapUp?(): void;
  state(): Record<string, unknown>;
  close(): Promise<void>;
}

/** One drain in a thread. */
export interface WorkerDrain {
  /** The caller's ctx, any JSON value. */
  ctx: unknown;
  incarnation: string;
  /** Bound on loop turns. */
  maxTurns: number;
  /** Time that it takes of the daemon's own thread. Absent: nobody is charged. */
  loop?: LoopTime | undefined;
}

/** What a drain in a thread came to. */
export interface WorkerOutcome extends ReleasedSoFar {
  /** Samples released, or a negative errno. */
  ret: number;
  stopped: boolean;
  /** Its time was used up: there may be more samples. */
  cut?: boolean;
  error: unknown;
  /** The code was not asked about any sample that it has not answered for: none of them is to blame. */
  notAsked?: boolean;
}

/** Runs code of other people's in a thread, which drains the ring in place. For managed maps only. */
export interface WorkerHandler {
  readonly shape: 'worker';
  readonly claim?: undefined;
  /** Maps that the code may put samples into. */
  readonly targets: readonly string[];
  /**
   * Loads the code and tries it out. Once, before the first drain.
   * @throws RingbufdError HANDLER_CONFIG, its detail being the verifier's log
   */
  prepare(): Promise<void>;
  /** Threads started so far; the first one tried the code out. */
  readonly starts: number;
  /** Samples that a target had no room for, or that named none. */
  readonly emitsRefused: number;
  begin(ctx: unknown, context: DrainContext): void;
  /**
   * Drains. Does not reject for what the code does. When it resolves, the thread releases nothing any more.
   * @param ring a managed ring whose busy bit is held meanwhile
   * @param onProgress the consumer position has moved; what was released up to `consumerLow`, unless it moves too fast
   *   to be read
   */
  drain(
    ring: UserRing,
    request: WorkerDrain,
    onProgress: (soFar?: ReleasedSoFar, consumerLow?: number) => void,
  ): Promise<WorkerOutcome>;
  /** The handler is being replaced or removed: the drain under way is to end behind the sample at hand. */
  wrapUp(): void;
  state(): Record<string, unknown>;
  close(): Promise<void>;
}

export type Handler = SampleHandler | BatchHandler | WorkerHandler;

/** What a handler is made with. */
export interface HandlerDeps {
  readonly map: string;
  readonly handler: string;
  readonly dataDir: string;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** One kind of handler: its name, the shape of its config, and how to make one. */
export interface HandlerKind {
  readonly kind: string;
  /** One line for people. */
  readonly description: string;
  readonly configSchema: TSchema;
  /** @throws RingbufdError HANDLER_CONFIG for what the schema cannot say */
  create(config: Record<string, unknown>, deps: HandlerDeps): Handler;
  /** The config as REST may show it: without secrets, and without what is as large as a program. As it is if absent. */
  publicConfig?(config: Record<string, unknown>): Record<string, unknown>;
}
