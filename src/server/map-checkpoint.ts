import type { KeptCounters } from './journal/journal.js';
import type { MapCounters } from './map-counters.js';
import type { MapDrains } from './map-drains.js';
import { keptCounters } from './recovered-books.js';

/** The newest position that may be kept as the consumer position of a journalled map, and the books up to it. */
export class MapCheckpoint {
  readonly #drains: MapDrains;
  readonly #counters: MapCounters;
  #position: bigint;
  #books: KeptCounters;

  constructor(drains: MapDrains, counters: MapCounters, position: bigint) {
    this.#drains = drains;
    this.#counters = counters;
    this.#position = position;
    this.#books = keptCounters(counters);
  }

  /** Moves on to what is released, unless a drain is at a place that must not be kept, and tells it. */
  take(): { position: bigint; counters: KeptCounters } {
    if (this.#drains.mayCheckpoint) {
      this.#position = this.#drains.bookedPosition;
      this.#books = keptCounters(this.#counters);
    }
    const { acceptedSamples, acceptedBytes } = this.#counters;
    return { position: this.#position, counters: { ...this.#books, acceptedSamples, acceptedBytes } };
  }
}
