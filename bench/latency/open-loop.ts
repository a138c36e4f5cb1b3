/** An open model: what is due is sent, however late the answers are, and a latency counts from when it was due. */
export interface OpenLoop {
  /** Sends a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Sends number `index` (0, 1, 2 …). */
  readonly send: (index: number) => void;
}

/** When each send was due. */
export interface Schedule {
  readonly sends: number;
  /** In performance.now()'s milliseconds. */
  readonly dueAt: (index: number) => number;
}

/**
 * Starts sending. Looks at the clock in every turn of the event loop, since a timer would be late by up to a millisecond.
 * @returns the schedule at once, and a promise that resolves with the last send
 */
export function startOpenLoop({
  rate,
  seconds,
  send,
}: OpenLoop): Schedule & { readonly sent: Promise<void> } {
  const interval = 1000 / rate;
  const sends = Math.round(rate * seconds);
  const start = performance.now() + interval;
  const dueAt = (index: number): number => start + index * interval;
  let next = 0;
  const sent = new Promise<void>((resolve) => {
    const turn = (): void => {
      for (const now = performance.now(); next < sends && dueAt(next) <= now; next++) send(next);
      if (next < sends) setImmediate(turn);
      else resolve();
    };
    setImmediate(turn);
  });
  return { sends, dueAt, sent };
}
