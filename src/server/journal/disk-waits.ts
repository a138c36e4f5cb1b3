import type { Clock } from '../clock.js';

/** A write takes this much where nothing is waited for, on a slow machine. Unit: ms, bytes per ms. */
const WRITE_MS = 0.05;
const BYTES_PER_MS = 512 * 1024;
/** For how long the event loop leaves a disk that made it wait alone. Unit: ms. */
const FIRST_REST_MS = 10_000;
const LONGEST_REST_MS = 600_000;

export interface DiskWaitsOptions {
  /** Time that the event loop may wait for the disk in a second; 0: none, it never writes. Unit: ms. */
  maxWaitMs: number;
  clock: Pick<Clock, 'nowMs'>;
  /** Told that the event loop does not write for the next `restMs`. */
  onRest?: (restMs: number) => void;
}

/**
 * Whether the event loop may write to the disk of a store itself. Handing bytes to the operating system is a copy in
 * memory, as long as it has memory for them; a disk that cannot keep up with everybody who writes to it makes them wait.
 * The time that goes beyond a copy fills a bucket, which runs out at `maxWaitMs` a second: when it is over, the loop keeps
 * its hands off the disk for a while, longer each time that it finds the disk no better.
 */
export class DiskWaits {
  readonly #options: DiskWaitsOptions;
  #waitedMs = 0;
  #lastMs = -Infinity;
  #restUntilMs = -Infinity;
  #restMs = FIRST_REST_MS;

  constructor(options: DiskWaitsOptions) {
    this.#options = options;
  }

  get mayWrite(): boolean {
    const { maxWaitMs, clock } = this.#options;
    if (maxWaitMs === 0) return false;
    return this.#restUntilMs === -Infinity || clock.nowMs() >= this.#restUntilMs;
  }

  /** The event loop has written `bytes` from `fromMs` to `toMs` of the clock. */
  wrote(bytes: number, fromMs: number, toMs: number): void {
    const { maxWaitMs, onRest } = this.#options;
    // Of a commit that had begun before, or that nobody else could carry out: it tells nothing new.
    if (fromMs < this.#restUntilMs) return;
    const waitedMs = toMs - fromMs - WRITE_MS - bytes / BYTES_PER_MS;
    if (waitedMs <= 0) return;
    const drainedMs = ((toMs - this.#lastMs) / 1000) * maxWaitMs;
    this.#lastMs = toMs;
    this.#waitedMs = Math.max(0, this.#waitedMs - drainedMs) + waitedMs;
    if (this.#waitedMs <= maxWaitMs) return;
    this.#waitedMs = 0;
    // It was at it again for as long as it had rested: the disk is better.
    if (toMs - this.#restUntilMs > this.#restMs) this.#restMs = FIRST_REST_MS;
    else this.#restMs = Math.min(2 * this.#restMs, LONGEST_REST_MS);
    this.#restUntilMs = toMs + this.#restMs;
    onRest?.(this.#restMs);
  }
}
