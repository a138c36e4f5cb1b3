import type { ReleasedSoFar, UserRing } from '../ring/index.js';
import type { Fate } from './ledger/ledger-line.js';
import type { MapLedger } from './ledger/map-ledger.js';
import type { MapCounters } from './map-counters.js';
import type { SetAside } from './recovered-books.js';

const NOTHING: ReleasedSoFar = { drained: 0, discarded: 0, discardedBytes: 0 };

/** How a drain reports what it has released, in a thread modulo 2^32. */
const MODULUS = 2 ** 32;

/**
 * Books what drains release, in the counters of the map and in its ledger, as often as somebody looks: the books are
 * right in the middle of a long drain, too.
 */
export class ReleaseBooks {
  readonly #ring: UserRing;
  readonly #counters: MapCounters;
  readonly #ledger: MapLedger;
  /** What of the drain under way is booked already. */
  #booked = NOTHING;
  #position: bigint;
  /** Of what the start has set aside, what no drain has come by yet. */
  readonly #setAside: SetAside[];

  /** @param setAside in the order of the ring */
  constructor(ring: UserRing, counters: MapCounters, ledger: MapLedger, setAside: readonly SetAside[] = []) {
    this.#ring = ring;
    this.#counters = counters;
    this.#ledger = ledger;
    this.#position = ring.consumerPosition;
    this.#setAside = [...setAside];
  }

  /** The consumer position that belongs to the books. A thread that drains may have moved the ring's on. */
  get position(): bigint {
    return this.#position;
  }

  /** A drain begins. */
  begin(): void {
    this.#booked = NOTHING;
    this.#position = this.#ring.consumerPosition;
  }

  /**
   * Books what was released since the last time.
   * @param soFar by the drain under way
   * @param consumerLow low half of the consumer position behind it; absent: where it is now
   * @param fate what became of the samples among it
   */
  book(soFar: ReleasedSoFar, consumerLow?: number, fate: Fate = 'drained'): void {
    const { drained, discarded, discardedBytes } = this.#booked;
    // Read once: a thread that drains moves it on meanwhile, and what it releases between two reads would be booked nowhere.
    const position = consumerLow === undefined ? this.#ring.consumerPosition : this.#positionOf(consumerLow);
    const step = {
      samples: soFar.drained - drained,
      discarded: soFar.discarded - discarded,
      discardedBytes: sinceThen(discardedBytes, soFar.discardedBytes),
      bytes: Number(position - this.#position),
    };
    if (step.bytes === 0) return;
    this.#booked = { ...soFar };
    this.#position = position;
    const counters = this.#counters;
    if (fate === 'drained') {
      counters.drainedSamples += step.samples;
    } else {
      counters.deadLetteredSamples += step.samples;
      counters.deadLetteredBytes += step.bytes - step.discardedBytes;
    }
    counters.discardedSamples += step.discarded;
    counters.discardedBytes += step.discardedBytes;
    counters.releasedBytes += step.bytes;
    if (this.#ring.mode === 'managed') this.#ledger.released(step, Number(BigInt.asIntN(32, position)), fate);
    while (this.#setAside[0] !== undefined && this.#setAside[0].end <= position)
      this.#quarantine(this.#setAside.shift()!);
  }

  /** A drain has come by what a start had set aside: it was skipped as discards, which are none. */
  #quarantine({ discards, bytes }: SetAside): void {
    for (const books of [this.#counters, this.#ledger.beforeRestart]) {
      books.discardedSamples -= discards;
      books.discardedBytes -= bytes;
      books.quarantinedSamples += discards;
      books.quarantinedBytes += bytes;
    }
  }

  #positionOf(low: number): bigint {
    const distance = (low - Number(BigInt.asIntN(32, this.#position))) | 0;
    return BigInt.asUintN(64, this.#position + BigInt(distance));
  }
}

function sinceThen(before: number, now: number): number {
  return now >= before ? now - before : now - before + MODULUS;
}
