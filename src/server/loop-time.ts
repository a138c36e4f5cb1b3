/** Whose the time of the event loop is while a drain is awaited. */

/** Told when a drain that is awaited has the event loop, and when it waits: what it takes is charged to its map. */
export interface LoopTime {
  /** The drain goes on. Nothing happens if it was not waiting. */
  resume(): void;
  /** The drain waits. Nothing happens if it was waiting already. */
  pause(): void;
  /** Whether the drain has taken as much as it may: it is to end. */
  readonly spent: boolean;
}

/** Awaits what a handler waits for in the middle of a run, so that what it does behind it is charged, and the wait is not. */
export async function waiting<Value>(loop: LoopTime | undefined, promise: Promise<Value>): Promise<Value> {
  loop?.pause();
  try {
    return await promise;
  } finally {
    loop?.resume();
  }
}
