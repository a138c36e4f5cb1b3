import type { Clock } from './clock.js';
import type { RingbufError } from './errors.js';
import { waitFor, type Settle, type WaitOptions } from './waiting.js';

interface Waiter {
  position: bigint;
  settle: Settle<void>;
}

export interface DrainTrackerHost {
  clock: Clock;
  /** Watches for every wakeup until the function returned is called. */
  watch(): () => void;
  /** Asks for the positions once; what comes back reaches `consumerAt`. */
  query(): Promise<void>;
  /** See `ConnectOptions.fallbackQueryMs`. */
  fallbackQueryMs: number;
}

/**
 * Who waits for the consumer position to reach what. Positions come with nearly every frame of the daemon; while
 * somebody waits, the connection watches every wakeup, and looks now and then, since a drain may wake nobody.
 */
export class DrainTracker {
  readonly #host: DrainTrackerHost;
  /** In order of position. */
  readonly #waiters: Waiter[] = [];
  #consumerPos = 0n;
  #unwatch: (() => void) | undefined;
  #timer: unknown;

  constructor(host: DrainTrackerHost) {
    this.#host = host;
  }

  get consumerPos(): bigint {
    return this.#consumerPos;
  }

  /** The newest consumer position. */
  consumerAt(position: bigint): void {
    this.#consumerPos = position;
    let reached = 0;
    while (reached < this.#waiters.length && hasReached(position, this.#waiters[reached]!.position))
      reached++;
    if (reached === 0) return;
    for (const waiter of this.#waiters.splice(0, reached)) waiter.settle.resolve();
  }

  /** Resolves once the consumer position is at or behind `position`. */
  wait(position: bigint, options: WaitOptions): Promise<void> {
    return waitFor<void>(this.#host.clock, options, `draining up to ${position}`, (settle) => {
      if (hasReached(this.#consumerPos, position)) {
        settle.resolve();
        return () => undefined;
      }
      const waiter = { position, settle };
      this.#insert(waiter);
      this.#begin();
      return () => {
        const index = this.#waiters.indexOf(waiter);
        if (index >= 0) this.#waiters.splice(index, 1);
        if (this.#waiters.length === 0) this.#end();
      };
    });
  }

  /** The positions waited for mean nothing any more, or nobody will tell. */
  failAll(error: RingbufError): void {
    for (const waiter of this.#waiters.splice(0)) waiter.settle.reject(error);
  }

  #insert(waiter: Waiter): void {
    let at = this.#waiters.length;
    while (at > 0 && !hasReached(waiter.position, this.#waiters[at - 1]!.position)) at--;
    this.#waiters.splice(at, 0, waiter);
  }

  #begin(): void {
    if (this.#unwatch !== undefined) return;
    this.#unwatch = this.#host.watch();
    this.#look();
  }

  #look(): void {
    const { clock, fallbackQueryMs } = this.#host;
    if (fallbackQueryMs === 0) return;
    this.#timer = clock.after(fallbackQueryMs, () => {
      void this.#host.query().then(() => {
        if (this.#unwatch !== undefined) this.#look();
      });
    });
  }

  #end(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#host.clock.clear(this.#timer);
  }
}

/** Whether the free-running u64 `position` is at or behind `target`. */
function hasReached(position: bigint, target: bigint): boolean {
  return BigInt.asIntN(64, position - target) >= 0n;
}
