/**
 * How one registered handler is doing, and what follows from it: the run-time side of its `on_error`. Nothing of it is
 * declared by anybody, and nothing of it outlives the handler.
 */
import type { ErrnoName } from '../ring/index.js';
import { backoffDelay, type BackoffSettings } from './backoff.js';
import { outcomeErrno, type DrainOutcome } from './drain-runner.js';
import { RingbufdError, type ErrorKey } from './errors.js';
import type { OnError } from './on-error.js';

/** The last drain through a handler. */
export interface LastDrain {
  /** Its number on the map. */
  number: number;
  /** When it ended, wall clock. Unit: ms since 1970. */
  endedAtMs: number;
  durationMs: number;
  /** Samples drained, or a negative errno. */
  ret: number;
  drained: number;
  discarded: number;
  deadLettered: number;
  stopped: boolean;
}

/** Why something did not work. */
export interface Failure {
  errno: ErrnoName;
  message: string;
}

/** What a failed drain means for the sample at the head of the ring. */
export type Fate = 'stays' | 'dead_letter';

/** Failures that no sample is to blame for: they use up no attempt. */
const blameless: ReadonlySet<ErrorKey> = new Set<ErrorKey>([
  'NOBODY_ATTACHED',
  'HANDLER_NO_SPACE',
  'HANDLER_ASKED_TO_WAIT',
]);

/** A batch limit over it is none. */
const MAX_BATCH_SAMPLES = 4096;
/** Characters of an error's message that are kept. */
const MAX_MESSAGE_LENGTH = 512;

export class HandlerHealth {
  readonly #onError: OnError;
  /** Of the last drain that failed; null since the last one that went well. */
  lastError: Failure | null = null;
  lastDrain: LastDrain | null = null;
  /** Why the last dead letter could not be stored; null when it could. */
  deadLetterError: Failure | null = null;
  /** Calls of the handler: one a sample, or one a run for a batch handler. */
  calls = 0;
  samples = 0;
  stops = 0;
  retries = 0;
  deadLetters = 0;
  readonly errors = new Map<ErrnoName, number>();
  readonly deadLettersRefused = new Map<ErrnoName, number>();
  #faulted = false;
  #attempts = 0;
  /** Where the sample is that the attempts were made at. */
  #position: bigint | undefined;
  /** Drains in a row that failed and released nothing. */
  #failures = 0;
  #batchLimit = Infinity;

  constructor(onError: OnError) {
    this.#onError = onError;
  }

  /** Whether the attempts of a `retry` are used up: its trigger has stopped. */
  get faulted(): boolean {
    return this.#faulted;
  }

  /** Failed attempts at the sample at the head of the ring. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Where that sample is; `undefined` without one. */
  get position(): bigint | undefined {
    return this.#position;
  }

  /** Most samples that a batch handler is given at once: few while the one that makes its batches fail is looked for. */
  get batchLimit(): number {
    return this.#batchLimit;
  }

  /** A drain begins. @param head where the head of the ring is */
  begins(head: bigint): void {
    if (this.#position === head) this.retries++;
  }

  /**
   * A drain has ended.
   * @param head where the head of the ring is now
   * @returns what is to become of the sample there
   */
  ended(outcome: DrainOutcome, head: bigint): Fate {
    const released = outcome.drained + outcome.discarded > 0;
    this.calls += outcome.calls;
    this.samples += outcome.drained;
    if (outcome.stopped) this.stops++;
    if (released) this.#failures = 0;
    if (this.#position !== head) this.#forgetAttempts();
    const errno = outcomeErrno(outcome);
    if (errno === undefined) {
      this.lastError = null;
      if (released) this.#recovered();
      return 'stays';
    }
    this.#failures++;
    this.errors.set(errno, (this.errors.get(errno) ?? 0) + 1);
    this.lastError = failureOf(errno, outcome.error);
    if (!isAttempt(outcome)) return 'stays';
    this.#position = head;
    this.#attempts++;
    return this.#judge(outcome);
  }

  /** The sample at the head is a dead letter now, and released. */
  buried(): void {
    this.deadLetters++;
    this.deadLetterError = null;
    this.#failures = 0;
    this.#forgetAttempts();
    this.#recovered();
  }

  /** The dead letter could not be stored: the sample stays, as with `stop`. */
  refused(errno: ErrnoName, error: unknown): void {
    this.deadLetterError = failureOf(errno, error);
    this.deadLettersRefused.set(errno, (this.deadLettersRefused.get(errno) ?? 0) + 1);
  }

  /** What the handler had to refuse it could take now. */
  ready(): void {
    this.#failures = 0;
  }

  /** An operator says that the cause is mended. */
  reset(): void {
    this.#faulted = false;
    this.#failures = 0;
    this.#forgetAttempts();
    this.#batchLimit = Infinity;
  }

  /**
   * How long the auto trigger waits before the next drain. Never less than the shortest pause.
   * @param defaults for a policy that has no pauses of its own
   * @param random a number from 0 to below 1
   */
  pauseMs(defaults: BackoffSettings, random: number): number {
    const onError = this.#onError;
    const settings =
      onError.policy === 'stop'
        ? defaults
        : { backoffMinMs: onError.backoff_min_ms, backoffMaxMs: onError.backoff_max_ms };
    return Math.max(settings.backoffMinMs, backoffDelay(Math.max(1, this.#failures), settings, random));
  }

  #judge(outcome: DrainOutcome): Fate {
    const onError = this.#onError;
    if (onError.policy === 'stop') return 'stays';
    const exhausted = onError.max_attempts > 0 && this.#attempts >= onError.max_attempts;
    if (onError.policy === 'retry') {
      if (exhausted) this.#faulted = true;
      return 'stays';
    }
    if (outcome.unanswered <= 1) return exhausted ? 'dead_letter' : 'stays';
    // A batch failed as a whole: halves of it show which sample is to blame, and each of those is counted anew.
    if (exhausted || this.#batchLimit !== Infinity) {
      this.#batchLimit = Math.floor(outcome.unanswered / 2);
      this.#attempts = 0;
    }
    return 'stays';
  }

  #recovered(): void {
    this.#faulted = false;
    // Twice as many each time: where one bad sample was there may be another one close by.
    this.#batchLimit = this.#batchLimit * 2 > MAX_BATCH_SAMPLES ? Infinity : this.#batchLimit * 2;
  }

  #forgetAttempts(): void {
    this.#attempts = 0;
    this.#position = undefined;
    this.deadLetterError = null;
  }
}

/** Whether a failed drain counts as an attempt at the sample at the head: its handler was asked, and failed on it. */
function isAttempt({ error, unanswered }: DrainOutcome): boolean {
  if (unanswered === 0) return false;
  return !(error instanceof RingbufdError && blameless.has(error.key));
}

function failureOf(errno: ErrnoName, error: unknown): Failure {
  const message = error instanceof Error ? error.message : errno;
  return { errno, message: message.slice(0, MAX_MESSAGE_LENGTH) };
}
