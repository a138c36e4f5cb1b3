/**
 * What one turn of an auto trigger may take: so many records, and so much time of the event loop. A turn is one drain; it
 * ends between two samples, or between two runs of a handler that is awaited.
 */
import type { Clock } from './clock.js';
import type { LoopTime } from './loop-time.js';

/** What the samples between two looks at the clock should take together, in ms. */
const STRETCH_MS = 0.05;
/** Samples between two looks at the clock, at most: what a handler that has become slow can do before it is noticed. */
const MAX_STRETCH_SAMPLES = 2048;
/** A run of a batch handler may always hold so many. */
const MIN_RUN_SAMPLES = 16;
/** A limit over it is none: a run has a size of its own. */
const MAX_RUN_SAMPLES = 4096;
/** Weight of the newest measurement in the estimated cost. */
const COST_WEIGHT = 0.3;

/** What the turns of one auto trigger so far have shown of its handler. */
export class TurnPace {
  #stretch = 1;
  /** Estimated time of the event loop per sample of a run, in ms; 0 = not known yet. */
  #costMs = 0;

  /** Samples to hand over before the clock is read again. */
  get stretch(): number {
    return this.#stretch;
  }

  /** As many samples as {@link stretch} said have taken so long. */
  stretchTook(ms: number): void {
    if (ms > STRETCH_MS) this.#stretch = Math.max(1, Math.floor((this.#stretch * STRETCH_MS) / ms));
    else if (ms * 2 <= STRETCH_MS) this.#stretch = Math.min(MAX_STRETCH_SAMPLES, this.#stretch * 2);
  }

  /** Most samples of a run that is to take `timeMs` of the event loop. */
  runSamples(timeMs: number): number {
    const fitting = this.#costMs === 0 ? Infinity : Math.floor(timeMs / this.#costMs);
    return fitting > MAX_RUN_SAMPLES ? Infinity : Math.max(MIN_RUN_SAMPLES, fitting);
  }

  /** A run of so many samples was released, and has taken so much time of the event loop. */
  runTook(samples: number, ms: number): void {
    const cost = ms / samples;
    this.#costMs = this.#costMs === 0 ? cost : this.#costMs * (1 - COST_WEIGHT) + cost * COST_WEIGHT;
  }
}

export interface TurnLimits {
  /** Bound on the loop turns of the drain. */
  maxTurns: number;
  /** Time of the event loop after which it ends. */
  timeMs: number;
}

/** The budget of one turn: a stopwatch that runs while the drain has the event loop, and stands still while it waits. */
export class TurnBudget implements LoopTime {
  readonly maxTurns: number;
  readonly timeMs: number;
  readonly pace: TurnPace;
  readonly #clock: Clock;
  readonly #onTaken: (ms: number) => void;
  #takenMs = 0;
  #sinceMs: number | undefined;

  /** @param onTaken told of each stretch of time that the drain has taken, when it is over */
  constructor(clock: Clock, pace: TurnPace, { maxTurns, timeMs }: TurnLimits, onTaken: (ms: number) => void) {
    this.#clock = clock;
    this.pace = pace;
    this.maxTurns = maxTurns;
    this.timeMs = timeMs;
    this.#onTaken = onTaken;
  }

  /** Time of the event loop that the drain has taken so far, in ms. Reads the clock. */
  get takenMs(): number {
    return this.#takenMs + (this.#sinceMs === undefined ? 0 : this.#clock.nowMs() - this.#sinceMs);
  }

  get spent(): boolean {
    return this.takenMs >= this.timeMs;
  }

  /** Most samples that a run of a batch handler may hold. */
  get runSamples(): number {
    return this.pace.runSamples(this.timeMs);
  }

  resume(): void {
    this.#sinceMs ??= this.#clock.nowMs();
  }

  pause(): void {
    if (this.#sinceMs === undefined) return;
    const ms = this.#clock.nowMs() - this.#sinceMs;
    this.#sinceMs = undefined;
    this.#takenMs += ms;
    this.#onTaken(ms);
  }
}
