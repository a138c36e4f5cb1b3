/** Time and chance as the SDK sees them, so that tests can own both. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Calls `run` once, `ms` milliseconds from now. Returns a handle for `clear`. */
  after(ms: number, run: () => void): unknown;
  clear(timer: unknown): void;
  /** Uniform in [0, 1). */
  random(): number;
}

/** Longer delays overflow the platform's timers, which would then fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, run) => setTimeout(run, Math.min(ms, LONGEST_DELAY_MS)),
  clear: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  random: () => Math.random(),
};
