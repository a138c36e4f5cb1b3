import { whenAborted } from './abort-listeners.js';
import type { Clock } from './clock.js';
import { RingbufError } from './errors.js';

export interface WaitOptions {
  /** Milliseconds until ETIMEDOUT. Absent: no limit. 0: whatever is not there at once times out. */
  timeoutMs?: number;
  /** Ends the wait with the signal's reason. */
  signal?: AbortSignal;
}

export interface Settle<Value> {
  resolve: (value: Value) => void;
  reject: (reason: unknown) => void;
}

/**
 * A promise that ends with what `start` settles it with, with ETIMEDOUT, or with the signal's reason, whichever is
 * first. The function that `start` returns is called once, when it is over.
 * @param what names the wait in the timeout's message
 */
export function waitFor<Value>(
  clock: Clock,
  { timeoutMs, signal }: WaitOptions,
  what: string,
  start: (settle: Settle<Value>) => () => void,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    let over = false;
    let stop = (): void => undefined;
    let timer: unknown;
    const finish = (): boolean => {
      if (over) return false;
      over = true;
      clock.clear(timer);
      forget?.();
      stop();
      return true;
    };
    const settle: Settle<Value> = {
      resolve: (value) => {
        if (finish()) resolve(value);
      },
      reject: (reason) => {
        // An AbortSignal's reason is passed on as it is, whatever it is.
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        if (finish()) reject(reason);
      },
    };
    const forget = signal && whenAborted(signal, () => settle.reject(signal.reason));
    if (timeoutMs !== undefined)
      timer = clock.after(timeoutMs, () => settle.reject(timedOut(what, timeoutMs)));
    stop = start(settle);
    // `start` may have settled at once, before there was anything to stop.
    if (over) stop();
  });
}

export function timedOut(what: string, timeoutMs: number): RingbufError {
  return new RingbufError('ETIMEDOUT', 'TIMED_OUT', `${what} took longer than ${timeoutMs} ms`, {
    retryable: true,
  });
}

/** What is left of a time limit that began at `startedAt`; `undefined` stays without limit. */
export function remaining(
  clock: Clock,
  startedAt: number,
  timeoutMs: number | undefined,
): number | undefined {
  return timeoutMs === undefined ? undefined : Math.max(0, timeoutMs - (clock.now() - startedAt));
}
