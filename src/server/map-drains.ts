/**
 * The drains of one map: who may start one, what becomes of a sample that its handler failed on, what is booked when a
 * drain ends, and who is told.
 */
import type { Logger } from 'pino';
import {
  BPF_RB_FORCE_WAKEUP,
  Consumer,
  Errno,
  isValidDrainFlags,
  shouldWake,
  type ErrnoName,
  type UserRing,
} from '../ring/index.js';
import type { Clock } from './clock.js';
import type { DeadLetterTarget } from './dead-letter-target.js';
import { DeadLetters, type Burial } from './dead-letters.js';
import { nothingDrained, runDrain, type DrainOutcome } from './drain-runner.js';
import { DrainTrouble, failureOf } from './drain-trouble.js';
import type { BuriedSample, DrainBounds, DrainCall, DrainResult } from './drain-call.js';
import { RingbufdError, type ErrorKey } from './errors.js';
import type { RegisteredHandler } from './handler-table.js';
import type { Handler } from './handlers/handler.js';
import { waiting } from './loop-time.js';
import type { MapLedger } from './ledger/map-ledger.js';
import type { MapCounters, RefusalReason } from './map-counters.js';
import type { MapShadows } from './map-shadows.js';
import type { MapJournal } from './map-journal.js';
import type { OldestSample } from './oldest-sample.js';
import { ReleaseBooks } from './release-books.js';
import type { SetAside } from './recovered-books.js';
import type { WakeupHub } from './wakeup-hub.js';

export interface MapDrainsDeps {
  map: string;
  incarnation: string;
  ring: UserRing;
  counters: MapCounters;
  ledger: MapLedger;
  journal: MapJournal | undefined;
  /** What the start has set aside, in the order of the ring. */
  setAside: readonly SetAside[];
  watchers: WakeupHub;
  oldest: OldestSample;
  shadows: MapShadows;
  clock: Clock;
  logger: Logger;
  /** Room has come back: blocked outputs go on, whatever the drain's flags say. */
  onConsumerMoved: () => void;
  /** Where dead letters go. */
  deadLetterTarget: (map: string) => DeadLetterTarget | undefined;
  /** A batch handler has answered after so many seconds. */
  onBatch: (registered: RegisteredHandler, seconds: number) => void;
  /** A handler is faulted, or no longer. */
  onFault: () => void;
  /** Resolves once what is in these maps is durable. */
  targetsSettled: (maps: readonly string[]) => Promise<void>;
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
  readonly #deadLetters: DeadLetters;
  readonly #trouble: DrainTrouble;
  /**
   * A drain in a thread, from its beginning until what it has emitted is durable: nothing in between is a checkpoint, nor
   * does another drain begin, whose checkpoint would forget what is not safe yet.
   */
  #inThread = false;
  /**
   * A map that a thread has put samples into failed before they were durable. What they came from stays in the journal of
   * this map: no checkpoint goes past it any more, and the next start drains it again.
   */
  #emitsLost = false;
  /** A drain has ended and waits for its checkpoint: until then it is not over. */
  #checkpointing = false;
  #number = 0;
  #current: LongDrain | undefined;

  constructor(deps: MapDrainsDeps) {
    this.#deps = deps;
    this.#consumer = new Consumer(deps.ring);
    this.#books = new ReleaseBooks(deps.ring, deps.counters, deps.ledger, deps.setAside);
    const { map, incarnation, ring, clock, deadLetterTarget: target } = deps;
    this.#trouble = new DrainTrouble(map, deps.counters, deps.logger);
    this.#deadLetters = new DeadLetters({ map, incarnation, ring, consumer: this.#consumer, clock, target });
  }

  get busy(): boolean {
    return this.#consumer.busy || this.#inThread || this.#checkpointing;
  }

  /** Number of the last drain. */
  get number(): number {
    return this.#number;
  }

  /** The consumer position that the counters and the ledger belong to. */
  get bookedPosition(): bigint {
    return this.#books.position;
  }

  /** Whether what is booked may be a checkpoint: not while a thread drains, nor behind emits that were lost. */
  get mayCheckpoint(): boolean {
    return !this.#inThread && !this.#emitsLost;
  }

  /**
   * One drain through a handler. What follows it (blocked outputs go on, watchers are woken, the books are written) has
   * happened when the result is there; on a journalled map all of that follows the drain's checkpoint.
   * @throws RingbufdError HANDLER_CTX: nothing was drained
   */
  run(
    registered: RegisteredHandler,
    flags: number,
    ctx: unknown,
    { turn, maxTurns = turn?.maxTurns }: DrainBounds = {},
  ): DrainResult | Promise<DrainResult> {
    const { ring, clock, map, incarnation, journal, onBatch } = this.#deps;
    if (!isValidDrainFlags(flags)) return this.#refused('EINVAL', 'bad_flags');
    // A drain without a checkpoint would come again as a whole after a crash, and the one after it, too.
    if (journal?.state === 'failed' || this.#emitsLost) return this.#refused('EIO', 'journal_failed');
    if (journal?.state === 'full') return this.#refused('ENOSPC', 'journal');
    if (this.busy) return this.#refused('EBUSY', 'drain_busy');
    if (registered.retiring) return this.#refused('EBUSY', 'handler_changing');
    const started = clock.nowMs();
    const { handler, health } = registered;
    this.#books.begin();
    const endAsked = (): boolean => this.#current?.endAsked === true;
    const timing = { clock, onBatch: (ms: number) => onBatch(registered, ms / 1000) };
    const { batchLimit } = health;
    const request = { handler, ctx, flags, maxTurns, turn, map, incarnation, endAsked, batchLimit, timing };
    const head = ring.consumerPosition;
    this.#deps.shadows.begun(ctx);
    let outcome: DrainOutcome | Promise<DrainOutcome>;
    try {
      outcome = runDrain(ring, this.#consumer, request, (soFar, consumerLow) => {
        if (soFar !== undefined) this.#books.book(soFar, consumerLow);
        this.#deps.shadows.moved();
        this.#moved();
      });
    } catch (error) {
      if (error instanceof RingbufdError) this.#deps.counters.refuse(error.errno, 'bad_ctx');
      throw error;
    }
    health.begins(head);
    this.#inThread = outcome instanceof Promise && handler.shape === 'worker';
    const result =
      outcome instanceof Promise
        ? outcome.then(async (value) => {
            // What the code has put into other maps is to be safe there before this map forgets what it came from.
            const call = { flags, started, turn };
            const lost = journal && (await waiting(turn, this.#emitFailure(handler, value)));
            this.#emitsLost = lost !== undefined;
            this.#inThread = false;
            return lost === undefined
              ? this.#judge(registered, value, call)
              : this.#lost(registered, value, call, lost);
          })
        : this.#judge(registered, outcome, { flags, started, turn });
    if (!(result instanceof Promise)) return result;
    const current = { registered, endAsked: false, ended: settled(result) };
    this.#current = current;
    void current.ended.then(() => {
      if (this.#current === current) this.#current = undefined;
    });
    return result;
  }

  /** Waits until what a drain has emitted is durable. @returns why it never will be */
  async #emitFailure(handler: Handler, { drained, discarded }: DrainOutcome): Promise<unknown> {
    if (handler.shape !== 'worker' || handler.targets.length === 0) return undefined;
    // Only a sample that was released has led to anything.
    return drained + discarded === 0 ? undefined : failureOf(this.#deps.targetsSettled(handler.targets));
  }

  /** Ends the drain under way, if it is one through this handler, behind what is at hand; resolves when it has ended. */
  async endThrough(registered: RegisteredHandler): Promise<void> {
    const current = this.#current;
    if (current?.registered !== registered) return;
    current.endAsked = true;
    if (registered.handler.shape !== 'sample') registered.handler.wrapUp?.();
    await current.ended;
  }

  /** A drain that spans turns of the event loop has released something. */
  #moved(): void {
    const { journal, onConsumerMoved } = this.#deps;
    if (journal === undefined) onConsumerMoved();
    // What a thread has put into other maps is to be safe there first: no checkpoint before its drain has ended.
    else if (!this.#inThread) journal.changed();
  }

  /** A drain that does not begin: no number, no wakeup, nothing touched. */
  #refused(errno: ErrnoName, reason: RefusalReason): DrainResult {
    this.#deps.counters.refuse(errno, reason);
    return {
      ...nothingDrained(-Errno[errno]),
      number: 0,
      ...this.#positions(),
      wakeupsQueued: undefined,
      deadLetters: [],
    };
  }

  /** What a drain has put into other maps will not be durable; none of that is the handler's fault. */
  #lost(
    registered: RegisteredHandler,
    outcome: DrainOutcome,
    call: DrainCall,
    error: unknown,
  ): DrainResult | Promise<DrainResult> {
    this.#trouble.emitsLost(registered, error);
    const lost = { ...outcome, ret: -Errno.EIO, error };
    return this.#ended(registered, lost, call);
  }

  /** The handler is through: its policy says what becomes of the sample that it failed on, if it did. */
  #judge(
    registered: RegisteredHandler,
    outcome: DrainOutcome,
    call: DrainCall,
  ): DrainResult | Promise<DrainResult> {
    const { health, name, kind, retiring, spec } = registered;
    const { onError } = spec;
    const before = health.lastError?.message;
    const wasFaulted = health.faulted;
    const fate = health.ended(outcome, this.#deps.ring.consumerPosition);
    if (health.faulted !== wasFaulted) this.#deps.onFault();
    this.#trouble.failed(registered, outcome, before);
    // A handler that is told to leave may fail because of that.
    if (fate === 'stays' || retiring || onError.policy !== 'dead_letter')
      return this.#ended(registered, outcome, call);
    const failure = health.lastError!;
    const { attempts } = health;
    const { map } = onError;
    // What the handler answered for is booked before the next release: that one is none of its doing.
    this.#books.book(outcome);
    const buried = (burial: Burial | undefined): DrainResult | Promise<DrainResult> => {
      const whole = this.#withBurial(outcome, call.flags);
      if (burial === undefined) return this.#ended(registered, { ...whole, ret: outcome.ret }, call);
      health.buried();
      const { position } = burial;
      return this.#ended(registered, whole, call, [{ position, map, attempts, ...failure }]);
    };
    const refused = (error: unknown): DrainResult | Promise<DrainResult> => {
      this.#trouble.letterRefused(registered, error);
      return this.#ended(registered, { ...this.#withBurial(outcome, call.flags), ret: outcome.ret }, call);
    };
    let burial: Burial | undefined | Promise<Burial>;
    try {
      burial = this.#deadLetters.bury({ handler: name, kind, failure, attempts, map });
    } catch (error) {
      return refused(error);
    }
    return burial instanceof Promise ? waiting(call.turn, burial).then(buried, refused) : buried(burial);
  }

  #ended(
    registered: RegisteredHandler,
    outcome: DrainOutcome,
    { flags, started, turn }: DrainCall,
    deadLetters: readonly BuriedSample[] = [],
  ): DrainResult | Promise<DrainResult> {
    const { ring, counters, oldest, shadows, clock, journal, onEnded } = this.#deps;
    const number = ++this.#number;
    const ended = { ...outcome, number, ...this.#positions(), deadLetters };
    counters.drains++;
    this.#books.book(outcome);
    if (outcome.stopped) counters.stops++;
    shadows.ended(outcome);
    if (ring.used === 0) oldest.clear();
    else oldest.trim(ring.consumerLow);
    const durationMs = clock.nowMs() - started;
    const { ret, drained, discarded, deadLettered, stopped } = outcome;
    const endedAtMs = clock.wallMs();
    const lastDrain = { number, endedAtMs, durationMs, ret, drained, discarded, deadLettered, stopped };
    registered.health.lastDrain = lastDrain;
    onEnded(registered, durationMs / 1000);
    const follow = (): Promise<void> | undefined => this.#follow(outcome, flags, number);
    if (journal === undefined || drained + discarded + deadLettered === 0)
      return { ...ended, wakeupsQueued: follow() };
    const checkpoint = this.#checkpoint(journal, ended, () => {
      turn?.resume();
      return follow();
    });
    turn?.pause();
    return checkpoint;
  }

  /** What a drain leads to: room for those who wait, and wakeups. */
  #follow(outcome: DrainOutcome, flags: number, number: number): Promise<void> | undefined {
    const { counters, watchers, onConsumerMoved } = this.#deps;
    const turns = outcome.drained + outcome.discarded + outcome.deadLettered;
    if (turns > 0) onConsumerMoved();
    if (outcome.wakeup) return watchers.wake((flags & BPF_RB_FORCE_WAKEUP) !== 0, outcome.drained, number);
    if (turns > 0) counters.wakeupsSuppressed++;
    return undefined;
  }

  /** The drain is over once its checkpoint is durable. One at a time: after a crash at most one drain comes again. */
  #checkpoint(
    journal: MapJournal,
    ended: Omit<DrainResult, 'wakeupsQueued'>,
    follow: () => Promise<void> | undefined,
  ): Promise<DrainResult> {
    this.#checkpointing = true;
    journal.changed();
    return new Promise((resolve) => {
      // What the journal could not take is said at once; the drain has happened all the same.
      const without = (errno: ErrnoName, key: ErrorKey): void => {
        this.#deps.counters.drainError(errno);
        resolve({ ...ended, ret: -Errno[errno], error: new RingbufdError(key), wakeupsQueued: undefined });
      };
      journal.wait({
        durable: () => {
          this.#checkpointing = false;
          resolve({ ...ended, wakeupsQueued: follow() });
        },
        full: () => without('ENOSPC', 'JOURNAL_FULL'),
        failed: () => {
          this.#checkpointing = false;
          without('EIO', 'JOURNAL_FAILED');
        },
      });
    });
  }

  /** What a drain came to together with the burial that followed it: the failure is dealt with, the drain goes well. */
  #withBurial(outcome: DrainOutcome, flags: number): DrainOutcome {
    const { drained: deadLettered, discarded: skipped, discardedBytes: skippedBytes } = this.#consumer.report;
    const { drained } = outcome;
    const discarded = outcome.discarded + skipped;
    const discardedBytes = outcome.discardedBytes + skippedBytes;
    this.#books.book(
      { drained: drained + deadLettered, discarded, discardedBytes },
      undefined,
      'dead_lettered',
    );
    const wakeup = shouldWake(flags, drained + discarded + deadLettered);
    return { ...outcome, ret: drained, discarded, discardedBytes, deadLettered, wakeup };
  }

  #positions(): { producerPos: bigint; consumerPos: bigint } {
    const { ring } = this.#deps;
    return { producerPos: ring.producerPosition, consumerPos: ring.consumerPosition };
  }
}

async function settled(promise: Promise<unknown>): Promise<void> {
  await promise.catch(() => undefined);
}
