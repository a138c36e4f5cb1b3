import { Op, type WakeupFrame } from '../wire/index.js';
import type { UserRing } from '../ring/index.js';
import type { Clock } from './clock.js';
import { EncodedFrame } from './encoded-frame.js';
import type { MapCounters } from './map-counters.js';

/** A connection that asked to be woken. */
export interface Watcher {
  /** Queues the frame, or merges it into one that is still queued. Returns whether it was merged. */
  wakeup(frame: EncodedFrame<WakeupFrame>): boolean;
}

/** A wake that is to reach all watchers. */
interface Wake {
  forced: boolean;
  drained: number;
  drainNumber: number;
  finished: Promise<void>;
  finish: () => void;
}

interface Entry {
  readonly watcher: Watcher;
  minFree: number;
  /** Number of the last pass that came by here, or that was under way when the watcher joined. */
  pass: number;
}

/**
 * Pushes WAKEUP frames to the watchers of one map. A pass over many watchers runs in slices; wakes that come while one
 * is under way are merged into the next pass, so that the work waiting here is bounded by two passes.
 *
 * No wakeup is lost: a watcher that was there when a wake came is looked at once after it, with the room there is then;
 * one that joins later, or asks again, is looked at when it does.
 */
export class WakeupHub {
  readonly #ring: UserRing;
  readonly #room: () => number;
  readonly #counters: MapCounters;
  readonly #clock: Clock;
  readonly #sliceSize: number;
  readonly #entries = new Map<Watcher, Entry>();
  #order: Entry[] = [];
  #cursor = 0;
  /** Number of the current pass, or of the last one. */
  #pass = 0;
  /** Watchers that the current pass has not come by yet. */
  #left = 0;
  #running: Wake | undefined;
  #next: Wake | undefined;

  /**
   * @param room bytes that a newcomer could store now, which min_free is compared with
   * @param sliceSize watchers served before the event loop gets a turn
   */
  constructor(ring: UserRing, room: () => number, counters: MapCounters, clock: Clock, sliceSize = 128) {
    this.#ring = ring;
    this.#room = room;
    this.#counters = counters;
    this.#clock = clock;
    this.#sliceSize = sliceSize;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Adds a watcher, or changes its min_free. If that much is free now, it is woken at once, so that no wakeup can be
   * missed between an ENOSPC and the WATCH.
   * @param minFree bytes; 0 = at every wake
   * @param drainNumber of the map's last drain
   */
  watch(watcher: Watcher, minFree: number, drainNumber: number): void {
    const known = this.#entries.get(watcher);
    if (known !== undefined) {
      known.minFree = minFree;
    } else {
      const entry = { watcher, minFree, pass: this.#pass };
      this.#entries.set(watcher, entry);
      this.#order.push(entry);
    }
    if (this.#room() >= minFree) this.#send(watcher, this.#frame(false, true, 0, drainNumber));
  }

  unwatch(watcher: Watcher): void {
    const entry = this.#entries.get(watcher);
    if (entry === undefined) return;
    this.#entries.delete(watcher);
    if (this.#running !== undefined && entry.pass !== this.#pass) this.#left--;
    const index = this.#order.indexOf(entry);
    this.#order.splice(index, 1);
    if (index < this.#cursor) this.#cursor--;
  }

  /**
   * Wakes every watcher whose min_free is met (all of them when forced).
   * @param drained samples that the drain released
   * @returns a promise when the pass goes on after this turn of the event loop: it resolves once all frames are queued
   */
  wake(forced: boolean, drained: number, drainNumber: number): Promise<void> | undefined {
    if (forced) this.#counters.wakeupsForced++;
    if (this.#order.length === 0) return undefined;
    if (this.#running === undefined) {
      const wake = newWake(forced, drained, drainNumber);
      this.#begin(wake);
      return this.#isRunning(wake) ? wake.finished : undefined;
    }
    if (this.#next === undefined) {
      this.#next = newWake(forced, drained, drainNumber);
    } else {
      this.#next.forced ||= forced;
      this.#next.drained += drained;
      this.#next.drainNumber = drainNumber;
    }
    return this.#next.finished;
  }

  /** Not after a pass that was short enough to finish on the spot. */
  #isRunning(wake: Wake): boolean {
    return this.#running === wake;
  }

  #begin(wake: Wake): void {
    this.#running = wake;
    this.#pass++;
    this.#left = this.#order.length;
    this.#slice(wake);
  }

  #slice(wake: Wake): void {
    const room = this.#room();
    const frame = this.#frame(wake.forced, false, wake.drained, wake.drainNumber);
    for (let served = 0; served < this.#sliceSize && this.#left > 0;) {
      // The pass starts after the watcher served last, so that under constant wakes nobody is always first.
      if (this.#cursor >= this.#order.length) this.#cursor = 0;
      const entry = this.#order[this.#cursor++]!;
      if (entry.pass === this.#pass) continue;
      entry.pass = this.#pass;
      this.#left--;
      served++;
      if (wake.forced || room >= entry.minFree) this.#send(entry.watcher, frame);
      else this.#counters.wakeupsUnmet++;
    }
    if (this.#left > 0) {
      this.#clock.soon(() => this.#slice(wake));
      return;
    }
    this.#running = undefined;
    const next = this.#next;
    this.#next = undefined;
    wake.finish();
    if (next === undefined) return;
    // Claimed now, begun after the event loop had its turn.
    this.#running = next;
    this.#clock.soon(() => this.#begin(next));
  }

  #send(watcher: Watcher, frame: EncodedFrame<WakeupFrame>): void {
    if (watcher.wakeup(frame)) this.#counters.wakeupsCoalesced++;
    else this.#counters.wakeupsSent++;
  }

  #frame(forced: boolean, atOnce: boolean, drained: number, drainNumber: number): EncodedFrame<WakeupFrame> {
    return new EncodedFrame<WakeupFrame>({
      op: Op.WAKEUP,
      forced,
      writable: this.#ring.writable,
      atOnce,
      drained,
      seq: BigInt(drainNumber),
      producerPos: this.#ring.producerPosition,
      consumerPos: this.#ring.freedPosition,
    });
  }
}

function newWake(forced: boolean, drained: number, drainNumber: number): Wake {
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  return { forced, drained, drainNumber, finished, finish };
}
