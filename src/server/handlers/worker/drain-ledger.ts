/**
 * What a drain in another thread has done, exact at any moment, also when that thread was ended in the middle of one.
 *
 * The draining thread writes down what will be true behind the next release, then releases. The books hold two entries,
 * each with the consumer position (low half) that it belongs to; the older one is written over. So whoever reads the
 * consumer position finds the entry that belongs to it, and that entry is complete: it was written before the
 * release that made it valid, and is not written again before the next one.
 */
import type { DrainReport, ReleasedSoFar, ReleaseLedger, UserRing } from '../../../ring/index.js';

/** Maps that one handler may emit into. */
export const MAX_EMIT_TARGETS = 4;

/** Released so far in one drain. */
export interface ReleasedCounts extends ReleasedSoFar {
  /** Low half of the consumer position behind them. */
  consumerLow: number;
  /** Bytes in the emit log of each target, up to the last released sample. */
  emitted: number[];
}

const LOW = 0;
const DRAINED = 1;
const DISCARDED = 2;
/** Modulo 2^32. */
const DISCARDED_BYTES = 3;
const EMITTED = 4;
const ENTRY_WORDS = EMITTED + MAX_EMIT_TARGETS;
/** Behind the entries: 1 once the drain is to end. */
const END_ASKED = 2 * ENTRY_WORDS;
/** Positions are multiples of 8: this is none. */
const NO_POSITION = 1;
/** Tries of a reader that is overtaken by the draining thread. */
const MAX_TRIES = 8;

export class DrainLedger implements ReleaseLedger {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  /** Bytes in the emit logs so far; the draining thread's own. */
  readonly emitted: number[] = new Array<number>(MAX_EMIT_TARGETS).fill(0);
  /** Word at which the older entry starts. */
  #older = ENTRY_WORDS;

  constructor(buffer = new SharedArrayBuffer((END_ASKED + 1) * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** Before a drain, in the thread that watches it. @param consumerLow where the drain begins */
  open(consumerLow: number): void {
    this.#words.fill(0);
    this.#words[LOW] = consumerLow;
    this.#words[ENTRY_WORDS + LOW] = NO_POSITION;
  }

  /** Asks the draining thread to end behind the sample at hand. In the thread that watches. */
  askEnd(): void {
    Atomics.store(this.#words, END_ASKED, 1);
  }

  /** In the thread that drains. */
  get endAsked(): boolean {
    return Atomics.load(this.#words, END_ASKED) === 1;
  }

  /** Before a drain, in the thread that drains. */
  begin(): void {
    this.#older = ENTRY_WORDS;
    this.emitted.fill(0);
  }

  /** In the thread that drains. */
  note(consumerLow: number, report: Readonly<DrainReport>): void {
    const words = this.#words;
    const entry = this.#older;
    Atomics.store(words, entry + LOW, NO_POSITION);
    words[entry + DRAINED] = report.drained;
    words[entry + DISCARDED] = report.discarded;
    words[entry + DISCARDED_BYTES] = report.discardedBytes;
    for (let target = 0; target < MAX_EMIT_TARGETS; target++)
      words[entry + EMITTED + target] = this.emitted[target]!;
    Atomics.store(words, entry + LOW, consumerLow);
    this.#older = ENTRY_WORDS - entry;
  }

  /**
   * What was released up to now. In the thread that watches; exact once the drain has ended.
   * @returns `undefined` when the drain moves on too fast to be read
   */
  read(ring: UserRing): ReleasedCounts | undefined {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const low = ring.consumerLow;
      for (const entry of [0, ENTRY_WORDS]) {
        if (Atomics.load(this.#words, entry + LOW) !== low) continue;
        const counts = {
          consumerLow: low,
          discardedBytes: Atomics.load(this.#words, entry + DISCARDED_BYTES) >>> 0,
          drained: Atomics.load(this.#words, entry + DRAINED),
          discarded: Atomics.load(this.#words, entry + DISCARDED),
          emitted: Array.from({ length: MAX_EMIT_TARGETS }, (_, target) =>
            Atomics.load(this.#words, entry + EMITTED + target),
          ),
        };
        if (ring.consumerLow === low) return counts;
      }
    }
    return undefined;
  }
}
