import { Op, type WakeupFrame } from '../wire/index.js';
import type { Clock } from './clock.js';
import type { Connection } from './connection.js';
import type { RingbufError } from './errors.js';

/** A drain made room, or somebody asked the daemon to say so. Positions and sizes are bytes. */
export interface Wakeup {
  /** The drain had BPF_RB_FORCE_WAKEUP, or room returned in another way than by a drain. */
  readonly forced: boolean;
  /** Whether the ring had any room. */
  readonly writable: boolean;
  /** The answer to a WATCH whose condition was met already. */
  readonly atOnce: boolean;
  /** Samples drained, summed over coalesced wakeups. */
  readonly drained: number;
  /** Number of the newest drain that it reports. */
  readonly drainNumber: bigint;
  readonly producerPos: bigint;
  readonly consumerPos: bigint;
  /** Free bytes of the ring at that moment. */
  readonly free: bigint;
}

interface Watch {
  minFree: number;
  wake(wakeup: Wakeup): void;
  /** The daemon confirmed it: from now on no wakeup is missed. */
  armed?(): void;
  failed?(error: RingbufError): void;
}

export interface WatcherHost {
  connection(): Connection | undefined;
  /** Bytes of the ring; 0 before the first WELCOME. */
  ringSize(): number;
  clock: Clock;
  /** Every wakeup that comes, before the watches see it. */
  heard(wakeup: Wakeup): void;
}

/**
 * All waits for room of one producer, on the one WATCH that a connection has. The daemon is asked for the smallest
 * min_free of all watches, and each watch then looks for itself whether a wakeup is for it. Every new watch sends WATCH
 * again, even unchanged: the daemon's wakeup "at once" is what closes the gap between an ENOSPC and the WATCH.
 */
export class Watcher {
  readonly #host: WatcherHost;
  readonly #watches = new Set<Watch>();
  /** Whether the daemon was told to watch on the present connection. */
  #on = false;
  /** The connection on which a WATCH is unanswered. */
  #telling: Connection | undefined;
  /** Whether the watches changed since. */
  #changed = false;

  constructor(host: WatcherHost) {
    this.#host = host;
  }

  /** Watches until the function returned is called, over all connections. */
  add(watch: Watch): () => void {
    this.#watches.add(watch);
    this.#tell();
    return () => void this.#watches.delete(watch);
  }

  /**
   * Calls `goOn` once, when `minFree` bytes are free or a forced wakeup came.
   * @param fallbackMs look at the positions so often besides; 0 = do not
   * @returns cancels it
   */
  whenRoom(minFree: number, fallbackMs: number, goOn: () => void): () => void {
    let timer: unknown;
    const stop = (): void => {
      unwatch();
      this.#host.clock.clear(timer);
      timer = undefined;
      stopped = true;
    };
    let stopped = false;
    const done = (): void => {
      if (stopped) return;
      stop();
      goOn();
    };
    const unwatch = this.add({ minFree, wake: done });
    const look = (): void => {
      timer = this.#host.clock.after(fallbackMs, () => {
        void this.#free().then((free) => {
          if (stopped) return;
          if (free !== undefined && free >= BigInt(minFree)) done();
          else look();
        });
      });
    };
    if (fallbackMs > 0) look();
    return stop;
  }

  /** A new connection: it knows of no watch yet. */
  connected(): void {
    this.#on = false;
    this.#telling = undefined;
    this.#tell();
  }

  wakeup(frame: WakeupFrame): void {
    const { forced, writable, atOnce, drained, seq, producerPos, consumerPos } = frame;
    const free = BigInt(this.#host.ringSize()) - BigInt.asUintN(64, producerPos - consumerPos);
    const wakeup = { forced, writable, atOnce, drained, drainNumber: seq, producerPos, consumerPos, free };
    this.#host.heard(wakeup);
    let wanted = false;
    for (const watch of [...this.#watches])
      if (this.#watches.has(watch) && (forced || watch.minFree === 0 || free >= BigInt(watch.minFree))) {
        wanted = true;
        watch.wake(wakeup);
      }
    // Off only now, and not when the last watch ended: more often than not the next one begins at once.
    if (!wanted && this.#watches.size === 0) this.#tell();
  }

  failAll(error: RingbufError): void {
    const watches = [...this.#watches];
    this.#watches.clear();
    for (const watch of watches) watch.failed?.(error);
  }

  /** Brings the daemon up to date, with one WATCH on its way at a time. */
  #tell(): void {
    const connection = this.#host.connection();
    if (connection === undefined) return;
    if (this.#telling === connection) {
      this.#changed = true;
      return;
    }
    const watches = [...this.#watches];
    const on = watches.length > 0;
    if (!on && !this.#on) return;
    this.#on = on;
    this.#changed = false;
    this.#telling = connection;
    const minFree = watches.reduce((least, watch) => Math.min(least, watch.minFree), Infinity);
    const told = connection.request({ op: Op.WATCH, on, minFree: on ? minFree : 0 }, (cause) => cause, true);
    told
      .then(
        () => {
          for (const watch of watches) if (this.#watches.has(watch)) watch.armed?.();
        },
        (error: RingbufError) => {
          // After a disconnect the next connection watches again.
          if (error.code !== 'REFUSED') return;
          for (const watch of watches) if (this.#watches.delete(watch)) watch.failed?.(error);
        },
      )
      .finally(() => {
        if (this.#telling !== connection) return;
        this.#telling = undefined;
        if (this.#changed) this.#tell();
      });
  }

  async #free(): Promise<bigint | undefined> {
    try {
      const info = await this.#host.connection()?.request({ op: Op.QUERY }, (cause) => cause, true);
      return info && info.ringSize - BigInt.asUintN(64, info.producerPos - info.consumerPos);
    } catch {
      return undefined;
    }
  }
}
