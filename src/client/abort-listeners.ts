import { callSafely } from './events.js';

/**
 * Who waits for which signal. A program may share one AbortSignal among any number of calls and producers; a listener for
 * each would make Node.js warn of a leak from the eleventh on, and a signal keep a list as long as the queue. So each
 * signal has one listener of this SDK, for as long as somebody waits.
 */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `run` once when `signal` aborts, in the order of the calls. Of a signal that is aborted already nothing comes: ask
 * it first.
 * @returns ends that; to be called when nobody waits any more, after `run` it does nothing
 */
export function whenAborted(signal: AbortSignal, run: () => void): () => void {
  const callbacks = waiting.get(signal) ?? listen(signal);
  // A function of its own: the same `run` may wait twice.
  const entry = (): void => run();
  callbacks.add(entry);
  return () => {
    if (!callbacks.delete(entry) || callbacks.size > 0) return;
    waiting.delete(signal);
    signal.removeEventListener('abort', tell);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>();
  waiting.set(signal, callbacks);
  signal.addEventListener('abort', tell, { once: true });
  return callbacks;
}

function tell(this: AbortSignal): void {
  const callbacks = waiting.get(this) ?? new Set();
  waiting.delete(this);
  // One that is ended by what another does is not called any more.
  for (const run of callbacks) {
    callbacks.delete(run);
    callSafely(run, undefined);
  }
}
