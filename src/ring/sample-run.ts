import { Dynptr } from './dynptr.js';
import { recordSize } from './layout.js';
import type { UserRing } from './user-ring.js';

/**
 * A run of ready samples at the head of a ring, not yet released: what a batch handler is given. Lengths are kept from
 * the moment they were peeked, so that what is released is what was seen, whatever a hostile producer writes meanwhile.
 */
export class SampleRun {
  readonly #starts: Int32Array;
  /** Payload length; a discarded record is stored as -1 - length. */
  readonly #lengths: Int32Array;
  readonly #dynptr: Dynptr;
  readonly #mask: number;
  #records = 0;
  #samples = 0;
  /** Records at the start of the run that were released. */
  #released = 0;

  /** @param capacity records that one run may hold */
  constructor(ring: UserRing, capacity = 4096) {
    this.#starts = new Int32Array(capacity);
    this.#lengths = new Int32Array(capacity);
    this.#dynptr = new Dynptr(ring);
    this.#mask = ring.size - 1;
  }

  /** Records in the run, discarded ones included. */
  get records(): number {
    return this.#records;
  }

  /** Samples in the run. */
  get samples(): number {
    return this.#samples;
  }

  get full(): boolean {
    return this.#records === this.#lengths.length;
  }

  /**
   * Calls `visit` with each sample, in order. The Dynptr is re-aimed for each; it is dead when the visit is over.
   * @param visit gets the sample, its number in the run, and its record's distance from the head in bytes
   */
  forEach(visit: (sample: Dynptr, index: number, distance: number) => void): void {
    let distance = 0;
    let index = 0;
    try {
      for (let record = 0; record < this.#records; record++) {
        const length = this.lengthOf(record);
        if (this.isSample(record)) visit(this.#dynptr.aim(this.#starts[record]!, length), index++, distance);
        distance += recordSize(length);
      }
    } finally {
      this.#dynptr.kill();
    }
  }

  /** The sample of one record. One Dynptr serves the whole run: it is re-aimed by the next call. */
  sampleAt(record: number): Dynptr {
    return this.#dynptr.aim(this.#starts[record]!, this.lengthOf(record));
  }

  isSample(record: number): boolean {
    return this.#lengths[record]! >= 0;
  }

  lengthOf(record: number): number {
    const length = this.#lengths[record]!;
    return length >= 0 ? length : -1 - length;
  }

  /** For the consumer: empties the run. */
  clear(): void {
    this.#records = 0;
    this.#samples = 0;
    this.#released = 0;
    this.#dynptr.kill();
    this.#dynptr.attach();
  }

  /** For the consumer: the number of the next record to release; it counts as released from now on. */
  takeNext(): number {
    return this.#released++;
  }

  /** For the consumer: whether records are left to release. */
  get hasMore(): boolean {
    return this.#released < this.#records;
  }

  /** For the consumer: adds a sample whose payload starts at position `start` (low half); returns its record's size. */
  addSample(start: number, length: number): number {
    this.#starts[this.#records] = start & this.#mask;
    this.#lengths[this.#records++] = length;
    this.#samples++;
    return recordSize(length);
  }

  /** For the consumer: adds a discarded record; returns its size. */
  addDiscarded(length: number): number {
    this.#lengths[this.#records++] = -1 - length;
    return recordSize(length);
  }
}
