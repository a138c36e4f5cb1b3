import { createUserRing, DATA_OFFSET, recordSize, type UserRing } from '../../ring/index.js';
import type { CommitPlan } from './commit-plan.js';
import { LENGTH_MASK, lowHalf } from './record-words.js';

/**
 * The records of a ring that the journal's thread cannot read, in memory that it can. A ring in memory of the event loop
 * alone is copied into and drained faster, and while a drain is under way it cannot be moved.
 */
export class RingMirror {
  /** As large as the one that is followed; its positions mean nothing. */
  readonly ring: UserRing;
  /** What lies before it is here. */
  #end: bigint;

  /**
   * @param start nothing before it will be asked for, but for what has changed since
   * @throws RangeError when there is no memory for it
   */
  constructor(size: number, start: bigint) {
    this.ring = createUserRing({ maxEntries: size }, { mode: 'managed', shared: true });
    this.#end = start;
  }

  /** The records up to `end` are here afterwards. */
  follow(ring: UserRing, end: bigint): void {
    const lap = end - BigInt(ring.size);
    const from = lap > this.#end ? lap : this.#end;
    if (from >= end) return;
    this.#copy(ring, from, Number(end - from));
    this.#end = end;
  }

  /** All that a commit writes is here afterwards. */
  followPlan(ring: UserRing, { rangeEnd, headers }: CommitPlan): void {
    this.follow(ring, rangeEnd);
    // Reservations whose payload has come since they were copied.
    for (const [position, header] of headers) this.#copy(ring, position, recordSize(header & LENGTH_MASK));
  }

  #copy(ring: UserRing, from: bigint, length: number): void {
    const { bytes, size } = ring;
    const offset = lowHalf(from) & (size - 1);
    const first = Math.min(length, size - offset);
    this.ring.bytes.set(
      bytes.subarray(DATA_OFFSET + offset, DATA_OFFSET + offset + first),
      DATA_OFFSET + offset,
    );
    this.ring.bytes.set(bytes.subarray(DATA_OFFSET, DATA_OFFSET + length - first), DATA_OFFSET);
  }
}
