import type { TestDaemon } from '../support/daemon.js';

/** A `file` handler that answers only when told to, so that a drain through it is under way for as long as a test wants. */
export interface Stalled {
  /** Resolves when the handler has been called. */
  started: Promise<void>;
  /** Lets the handler go on, this time and every time. */
  release: () => void;
}

/** Puts a stop in front of the work of a registered batch handler. */
export function stall(daemon: TestDaemon, map: string, name: string): Stalled {
  const { handler } = daemon.app.daemon.maps.get(map).handlers.get(name);
  if (handler.shape !== 'batch') throw new Error(`handler "${name}" is not asynchronous`);
  const work = handler.onRun.bind(handler);
  let start = (): void => undefined;
  let release = (): void => undefined;
  const started = new Promise<void>((resolve) => (start = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  handler.onRun = async (run, context) => {
    start();
    await released;
    return work(run, context);
  };
  return { started, release };
}
