/** A typed emitter without dependencies. `Events` maps an event's name to what its listeners are given. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();

  /** Adds a listener; the function returned takes it away again. The same function counts once. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Calls the listeners of `name` in the order in which they were added. What they throw does not come back here. */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) callSafely(listener as (event: Events[Name]) => void, event);
  }
}

/** Calls a user's function. Its exception becomes an uncaught one of its own, so that it can break nothing of ours. */
export function callSafely<Argument>(run: (argument: Argument) => void, argument: Argument): void {
  try {
    run(argument);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
