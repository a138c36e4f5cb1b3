/**
 * The contract of drain handlers: (sample, ctx) → 0 go on | 1 stop after this one. Two shapes: one sample at a time and
 * at once, or a run of samples and later. A sample is released only after its handler answered for it.
 */
import type { Logger } from 'pino';
import type { TSchema } from 'typebox';
import type { Dynptr, SampleRun, Verdict } from '../../ring/index.js';
import type { Clock } from '../clock.js';

/** What a handler may know of the drain that calls it. */
export interface DrainContext {
  readonly map: string;
  readonly incarnation: string;
  /** Position of the record at the head of the ring when the drain, or this run of it, began. */
  readonly headPosition: bigint;
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
}

export interface BatchHandler {
  readonly shape: 'batch';
  readonly claim?: HandlerClaim;
  /** Payload bytes that one run may hold. */
  readonly maxRunBytes: number;
  begin(ctx: unknown, context: DrainContext): void;
  /** @throws RingbufdError (its errno becomes the drain's) or anything else (EIO); nothing of the run is released */
  onRun(run: SampleRun, context: DrainContext): Promise<BatchVerdict>;
  state(): Record<string, unknown>;
  close(): Promise<void>;
}

export type Handler = SampleHandler | BatchHandler;

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
}
