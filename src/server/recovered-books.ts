/** The books of a map across a restart: what a journal keeps of them, and how they go on. */
import { recordSize, records, type RecordView, type UserRing } from '../ring/index.js';
import type { KeptCounters, RecoveredMap } from './journal/journal.js';
import type { MapLedger } from './ledger/map-ledger.js';
import type { MapCounters } from './map-counters.js';

/** The part of the counters that a journal keeps. */
export function keptCounters(counters: MapCounters): KeptCounters {
  const { acceptedSamples, acceptedBytes, drainedSamples, discardedSamples, releasedBytes } = counters;
  const { deadLetteredSamples, quarantinedSamples, quarantinedBytes } = counters;
  return {
    acceptedSamples,
    acceptedBytes,
    drainedSamples,
    discardedSamples,
    releasedBytes,
    deadLetteredSamples,
    quarantinedSamples,
    quarantinedBytes,
  };
}

/** A stretch of the ring that was set aside: drains skip it as discards, which are none. */
export interface SetAside {
  /** Position behind it. */
  readonly end: bigint;
  readonly discards: number;
  /** Of these discards, as records. */
  readonly bytes: number;
}

/**
 * Goes on with the books that a journal has kept. What was set aside is booked as quarantined when a drain comes by. How
 * many samples were in a damaged stretch nobody can see, but the books know how many there must have been.
 * @returns what was set aside, in the order of the ring
 */
export function takeUpBooks(
  counters: MapCounters,
  ledger: MapLedger,
  recovered: RecoveredMap,
  ring: UserRing,
): SetAside[] {
  Object.assign(counters, recovered.counters);
  const left = [...records(ring)];
  counters.quarantinedSamples += counters.bufferedSamples - left.length;
  const line = ledger.beforeRestart;
  line.acceptedSamples = counters.acceptedSamples - left.length;
  line.acceptedBytes = counters.acceptedBytes - ring.used;
  line.drainedSamples = counters.drainedSamples;
  line.drainedBytes = counters.releasedBytes - counters.quarantinedBytes;
  line.discardedSamples = counters.discardedSamples;
  line.deadLetteredSamples = counters.deadLetteredSamples;
  line.quarantinedSamples = counters.quarantinedSamples;
  line.quarantinedBytes = counters.quarantinedBytes;
  if (left.length > 0) ledger.accepted(line, left.length, ring.used);
  for (const { position, length, state } of left)
    if (state === 'discarded') ledger.discarded(Number(BigInt.asIntN(32, position)), recordSize(length));
  return recovered.quarantined
    .map((stretch) => setAsideIn(left, stretch.position, stretch.position + BigInt(stretch.bytes)))
    .sort((a, b) => (a.end < b.end ? -1 : 1));
}

function setAsideIn(left: readonly RecordView[], from: bigint, to: bigint): SetAside {
  const discards = left.filter(
    ({ position, state }) => position >= from && position < to && state === 'discarded',
  );
  const bytes = discards.reduce((sum, { length }) => sum + recordSize(length), 0);
  return { end: to, discards: discards.length, bytes };
}
