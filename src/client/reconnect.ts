import type { Clock } from './clock.js';

export interface ReconnectOptions {
  /** Upper bound of the first delay, in milliseconds. Default 100; 0 = try again at once. */
  minDelayMs?: number;
  /** Upper bound of every delay, in milliseconds. Default 30000. */
  maxDelayMs?: number;
  /** Failed attempts in a row before giving up. Default 0 = never give up. */
  maxAttempts?: number;
  /** A connection that lived so long, in milliseconds, sets the delays back to the first. Default 5000. */
  stableMs?: number;
}

export const defaultReconnect: Required<ReconnectOptions> = {
  minDelayMs: 100,
  maxDelayMs: 30_000,
  maxAttempts: 0,
  stableMs: 5_000,
};

/**
 * Exponential back-off with full jitter: each delay is uniform between 0 and a bound that doubles. When a daemon
 * restarts, all its producers lose their connection in the same millisecond; the jitter is what spreads their return.
 */
export class Backoff {
  readonly #options: Required<ReconnectOptions>;
  readonly #clock: Clock;
  #attempts = 0;
  #connectedAt: number | undefined;

  constructor(options: Required<ReconnectOptions>, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Attempts since the last connection that counted as stable. */
  get attempts(): number {
    return this.#attempts;
  }

  /** A connection was made. It counts as a success once it has lived long enough, so that no loop of short ones is fast. */
  connected(): void {
    this.#connectedAt = this.#clock.now();
  }

  /**
   * The delay before the next attempt, in milliseconds, or `undefined` when there shall be none.
   * @param atLeastMs the daemon's own advice; 0 = none
   */
  next(atLeastMs = 0): number | undefined {
    const { minDelayMs, maxDelayMs, maxAttempts, stableMs } = this.#options;
    if (this.#connectedAt !== undefined && this.#clock.now() - this.#connectedAt >= stableMs)
      this.#attempts = 0;
    this.#connectedAt = undefined;
    if (maxAttempts > 0 && this.#attempts >= maxAttempts) return undefined;
    // 2^31 is far above any useful delay and keeps the product finite.
    const bound = Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(this.#attempts, 31));
    this.#attempts++;
    return atLeastMs + this.#clock.random() * bound;
  }
}
