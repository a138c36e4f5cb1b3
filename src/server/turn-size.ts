/** How many loop turns one drain of an auto trigger may take, so that it takes about the time it is meant to. */
import { BPF_MAX_USER_RINGBUF_SAMPLES } from '../ring/index.js';

/** The first turn of a handler that nobody has timed yet. */
const FIRST_TURN_SAMPLES = 256;
const MIN_TURN_SAMPLES = 16;
/** Weight of the newest measurement in the estimated cost. */
const COST_WEIGHT = 0.3;

export class TurnSize {
  readonly #max: number;
  /** Estimated milliseconds per loop turn. */
  #costMs = 0;
  #limit = FIRST_TURN_SAMPLES;

  /** @param maxSamples bound on the loop turns of one drain */
  constructor(maxSamples: number) {
    this.#max = Math.min(maxSamples, BPF_MAX_USER_RINGBUF_SAMPLES);
    this.#limit = Math.min(FIRST_TURN_SAMPLES, this.#max);
  }

  /** Loop turns for a drain that is to take `timeMs`. */
  limitFor(timeMs: number): number {
    const fitting = this.#costMs === 0 ? Infinity : Math.floor(timeMs / this.#costMs);
    return Math.max(Math.min(MIN_TURN_SAMPLES, this.#max), Math.min(fitting, this.#limit));
  }

  /**
   * A drain of at most `limit` loop turns has taken `turns` of them, and so much time. The next one may have at most
   * twice as many: a handler that was quick on small samples may be slow on the next ones.
   */
  learn(limit: number, turns: number, elapsedMs: number): void {
    if (turns < Math.min(MIN_TURN_SAMPLES, this.#max)) return;
    const cost = elapsedMs / turns;
    this.#costMs = this.#costMs === 0 ? cost : this.#costMs * (1 - COST_WEIGHT) + cost * COST_WEIGHT;
    this.#limit = Math.min(limit * 2, this.#max);
  }
}
