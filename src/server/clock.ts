/** Time as the daemon sees it: monotonic, injected, so that tests turn it by hand. Wall time is only ever displayed. */
export interface Clock {
  /** Monotonic milliseconds, with fractions. */
  nowMs(): number;
  /**
   * {@link nowMs} as it was when somebody first asked during the callback that runs now. For what may happen a thousand
   * times in one read of a socket.
   */
  callbackMs(): number;
  /** Wall time, for display. */
  wallMs(): number;
  /** Runs `fn` once after `ms`; the returned function cancels it. Never keeps the process alive. */
  after(ms: number, fn: () => void): () => void;
  /** Runs `fn` once after the I/O that is ready now was handled. */
  soon(fn: () => void): void;
}

let readInCallback: number | undefined;

function forgetReading(): void {
  readInCallback = undefined;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  callbackMs() {
    if (readInCallback === undefined) {
      readInCallback = performance.now();
      // Runs when the callback has returned: microtasks come before anything else happens.
      queueMicrotask(forgetReading);
    }
    return readInCallback;
  },
  wallMs: () => Date.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
  soon(fn) {
    setImmediate(fn);
  },
};
