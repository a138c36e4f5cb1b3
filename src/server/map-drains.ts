/** The drains of one map: who may start one, what is booked when it ends, and who is told. */
import type { Logger } from 'pino';
import {
  BPF_RB_FORCE_WAKEUP,
  Consumer,
  Errno,
  isValidDrainFlags,
  type ErrnoName,
  type UserRing,
} from '../ring/index.js';
import type { Clock } from './clock.js';
import { outcomeErrno, runDrain, type DrainOutcome } from './drain-runner.js';
import { RingbufdError, type ErrorKey } from './errors.js';
import type { RegisteredHandler } from './handler-table.js';
import type { MapLedger } from './ledger/map-ledger.js';
import type { MapCounters, RefusalReason } from './map-counters.js';
import type { OldestSample } from './oldest-sample.js';
import { ReleaseBooks } from './release-books.js';
import type { WakeupHub } from './wakeup-hub.js';

export interface DrainResult extends DrainOutcome {
  /** Number of the drain on this map, 1, 2, 3…; 0 when it was refused before it began. */
  number: number;
  producerPos: bigint;
  consumerPos: bigint;
  /** Resolves when every WAKEUP of this drain is queued; `undefined` when they are already. */
  wakeupsQueued: Promise<void> | undefined;
}

export interface MapDrainsDeps {
  map: string;
  incarnation: string;
  ring: UserRing;
  counters: MapCounters;
  ledger: MapLedger;
  watchers: WakeupHub;
  oldest: OldestSample;
  clock: Clock;
  logger: Logger;
  /** The consumer position has moved: blocked outputs go on, whatever the drain's flags say. */
  onConsumerMoved: () => void;
  /** A drain that had begun has ended; its duration is for the histogram. */
  onEnded: (registered: RegisteredHandler, seconds: number) => void;
}

/** A drain that spans several turns of the event loop. */
interface LongDrain {
  readonly registered: RegisteredHandler;
  /** It is to end behind what is at hand. */
  endAsked: boolean;
  /** Resolves when it has ended, whatever came of it. */
  readonly ended: Promise<void>;
}

export class MapDrains {
  readonly #deps: MapDrainsDeps;
  readonly #consumer: Consumer;
  readonly #books: ReleaseBooks;
  #number = 0;
  #current: LongDrain | undefined;

  constructor(deps: MapDrainsDeps) {
    this.#deps = deps;
    this.#consumer = new Consumer(deps.ring);
    this.#books = new ReleaseBooks(deps.ring, deps.counters, deps.ledger);
  }

  get busy(): boolean {
    return this.#consumer.busy;
  }

  /** Number of the last drain. */
  get number(): number {
    return this.#number;
  }

  /** The consumer position that the counters and the ledger belong to. */
  get bookedPosition(): bigint {
    return this.#books.position;
  }

  /**
   * One drain through a handler. What follows it (blocked outputs go on, watchers are woken, the books are written) has
   * happened when the result is there.
   * @param maxTurns bound on loop turns, for the scheduler
   * @throws RingbufdError HANDLER_CTX: nothing was drained
   */
  run(
    registered: RegisteredHandler,
    flags: number,
    ctx: unknown,
    maxTurns?: number,
  ): DrainResult | Promise<DrainResult> {
    const { ring, clock, map, incarnation, onConsumerMoved } = this.#deps;
    if (!isValidDrainFlags(flags)) return this.#refused('EINVAL', 'bad_flags');
    if (this.#consumer.busy) return this.#refused('EBUSY', 'drain_busy');
    if (registered.retiring) return this.#refused('EBUSY', 'handler_changing');
    const started = clock.nowMs();
    this.#books.begin();
    const endAsked = (): boolean => this.#current?.endAsked === true;
    const request = { handler: registered.handler, ctx, flags, maxTurns, map, incarnation, endAsked };
    let outcome: DrainOutcome | Promise<DrainOutcome>;
    try {
      outcome = runDrain(ring, this.#consumer, request, (soFar, consumerLow) => {
        if (soFar !== undefined) this.#books.book(soFar, consumerLow);
        onConsumerMoved();
      });
    } catch (error) {
      if (error instanceof RingbufdError) this.#deps.counters.refuse(error.errno, 'bad_ctx');
      throw error;
    }
    if (!(outcome instanceof Promise)) return this.#ended(registered, outcome, flags, started);
    const result = outcome.then((value) => {
      this.#current = undefined;
      return this.#ended(registered, value, flags, started);
    });
    this.#current = { registered, endAsked: false, ended: settled(result) };
    return result;
  }

  /** Ends the drain under way, if it is one through this handler, behind what is at hand; resolves when it has ended. */
  async endThrough(registered: RegisteredHandler): Promise<void> {
    const current = this.#current;
    if (current?.registered !== registered) return;
    current.endAsked = true;
    if (registered.handler.shape !== 'sample') registered.handler.wrapUp?.();
    await current.ended;
  }

  /** A drain that does not begin: no number, no wakeup, nothing touched. */
  #refused(errno: ErrnoName, reason: RefusalReason): DrainResult {
    this.#deps.counters.refuse(errno, reason);
    const nothing = {
      drained: 0,
      discarded: 0,
      discardedBytes: 0,
      stopped: false,
      wakeup: false,
      error: undefined,
    };
    return { ret: -Errno[errno], ...nothing, number: 0, ...this.#positions(), wakeupsQueued: undefined };
  }

  #ended(registered: RegisteredHandler, outcome: DrainOutcome, flags: number, started: number): DrainResult {
    const { ring, counters, watchers, oldest, clock, onConsumerMoved, onEnded } = this.#deps;
    const number = ++this.#number;
    const positions = this.#positions();
    counters.drains++;
    this.#books.book(outcome);
    if (outcome.stopped) counters.stops++;
    this.#noteError(registered, outcome);
    const turns = outcome.drained + outcome.discarded;
    if (turns > 0) onConsumerMoved();
    let wakeupsQueued: Promise<void> | undefined;
    if (outcome.wakeup)
      wakeupsQueued = watchers.wake((flags & BPF_RB_FORCE_WAKEUP) !== 0, outcome.drained, number);
    else if (turns > 0) counters.wakeupsSuppressed++;
    if (ring.used === 0) oldest.clear();
    else oldest.trim(ring.consumerLow);
    onEnded(registered, (clock.nowMs() - started) / 1000);
    return { ...outcome, number, ...positions, wakeupsQueued };
  }

  #positions(): { producerPos: bigint; consumerPos: bigint } {
    const { ring } = this.#deps;
    return { producerPos: ring.producerPosition, consumerPos: ring.consumerPosition };
  }

  /** Logs an error once, until it goes away or changes: not once per drain, and never once per sample. */
  #noteError(registered: RegisteredHandler, outcome: DrainOutcome): void {
    const { counters, logger, map } = this.#deps;
    const errno = outcomeErrno(outcome);
    if (errno === undefined) {
      registered.lastError = null;
      return;
    }
    counters.drainError(errno);
    const message = outcome.error instanceof Error ? outcome.error.message : errno;
    if (registered.lastError?.message !== message)
      logger.warn(
        { map, handler: registered.name, errno, err: outcome.error },
        'a drain failed; its sample stays at the head of the ring',
      );
    registered.lastError = { errno, message };
  }
}

async function settled(promise: Promise<unknown>): Promise<void> {
  await promise.catch(() => undefined);
}

/** Names the failure of a drain, for whoever asked for it. */
export function drainErrorKey(result: DrainResult): ErrorKey | undefined {
  switch (outcomeErrno(result)) {
    case undefined:
      return undefined;
    case 'EBUSY':
      return 'DRAIN_BUSY';
    case 'E2BIG':
      return result.error === undefined ? 'DRAIN_RECORD_TOO_BIG' : 'HANDLER_SAMPLE_TOO_BIG';
    case 'ETIMEDOUT':
      return 'HANDLER_TIMEOUT';
    case 'EINVAL':
      if (result.number === 0) return 'BAD_FLAGS';
      return result.error === undefined ? 'DRAIN_BAD_RECORD' : 'HANDLER_VERDICT';
    case 'ENOSPC':
      return 'HANDLER_NO_SPACE';
    case 'EAGAIN':
      return 'NOBODY_ATTACHED';
    default:
      return 'HANDLER_FAILED';
  }
}
