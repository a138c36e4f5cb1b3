import type { KeptCounters } from './journal/journal.js';
import type { MapLedger } from './ledger/map-ledger.js';
import type { MapCounters } from './map-counters.js';
import type { MapDrains } from './map-drains.js';
import type { KeptMoment } from './map-journal.js';
import { keptCounters } from './recovered-books.js';

/** The newest position that may be kept as the consumer position of a journalled map, and the books up to it. */
export class MapCheckpoint {
  readonly #drains: MapDrains;
  readonly #counters: MapCounters;
  readonly #ledger: MapLedger;
  #position: bigint;
  #books: KeptCounters;

  constructor(drains: MapDrains, counters: MapCounters, ledger: MapLedger, position: bigint) {
    this.#drains = drains;
    this.#counters = counters;
    this.#ledger = ledger;
    this.#position = position;
    this.#books = keptCounters(counters);
  }

  /** Moves on to what is released, unless a drain is at a place that must not be kept, and tells it. */
  take(): KeptMoment {
    const { mayCheckpoint, bookedPosition } = this.#drains;
    if (mayCheckpoint) {
      this.#position = bookedPosition;
      this.#books = keptCounters(this.#counters);
    }
    const { acceptedSamples, acceptedBytes } = this.#counters;
    return {
      position: this.#position,
      counters: { ...this.#books, acceptedSamples, acceptedBytes },
      runs: this.#ledger.runsFrom(this.#position),
      touched: this.#ledger.checkpoint(mayCheckpoint),
    };
  }
}
