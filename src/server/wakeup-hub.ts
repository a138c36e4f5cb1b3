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

/** Watchers served before the event loop gets a turn. */
const SLICE = 128;

/**
 * Pushes WAKEUP frames to the watchers of one map. A pass over many watchers runs in slices; wakes that come while one
 * is under way are merged into the next pass, so that the work waiting here is bounded by two passes.
 */
export class WakeupHub {
  readonly #ring: UserRing;
  readonly #counters: MapCounters;
  readonly #clock: Clock;
  readonly #minFree = new Map<Watcher, number>();
  #order: Watcher[] = [];
  #cursor = 0;
  #running: Wake | undefined;
  #next: Wake | undefined;

  constructor(ring: UserRing, counters: MapCounters, clock: Clock) {
    this.#ring = ring;
    this.#counters = counters;
    this.#clock = clock;
  }

  get size(): number {
    return this.#minFree.size;
  }

  /**
   * Adds a watcher, or changes its min_free. If that much is free now, it is woken at once, so that no wakeup can be
   * missed between an ENOSPC and the WATCH.
   * @param minFree bytes; 0 = at every wake
   * @param drainNumber of the map's last drain
   */
  watch(watcher: Watcher, minFree: number, drainNumber: number): void {
    if (!this.#minFree.has(watcher)) this.#order.push(watcher);
    this.#minFree.set(watcher, minFree);
    if (this.#ring.free >= minFree) this.#send(watcher, this.#frame(false, true, 0, drainNumber));
  }

  unwatch(watcher: Watcher): void {
    if (!this.#minFree.delete(watcher)) return;
    const index = this.#order.indexOf(watcher);
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
      this.#running = wake;
      this.#runPass(wake, this.#order.length);
      // runPass may have finished it on the spot.
      return this.#running === wake ? wake.finished : undefined;
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

  #runPass(wake: Wake, left: number): void {
    const slice = Math.min(left, SLICE);
    const free = this.#ring.free;
    const frame = this.#frame(wake.forced, false, wake.drained, wake.drainNumber);
    for (let i = 0; i < slice && this.#order.length > 0; i++) {
      // The pass starts after the watcher served last, so that under constant wakes nobody is always first.
      if (this.#cursor >= this.#order.length) this.#cursor = 0;
      const watcher = this.#order[this.#cursor++]!;
      if (wake.forced || free >= this.#minFree.get(watcher)!) this.#send(watcher, frame);
      else this.#counters.wakeupsUnmet++;
    }
    left = Math.min(left - slice, this.#order.length);
    if (left > 0) {
      this.#clock.soon(() => this.#runPass(wake, left));
      return;
    }
    this.#running = this.#next;
    this.#next = undefined;
    wake.finish();
    const following = this.#running;
    if (following !== undefined) this.#clock.soon(() => this.#runPass(following, this.#order.length));
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
      consumerPos: this.#ring.consumerPosition,
    });
  }
}

function newWake(forced: boolean, drained: number, drainNumber: number): Wake {
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  return { forced, drained, drainNumber, finished, finish };
}
