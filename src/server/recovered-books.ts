/** The books of a map across a restart: what a journal keeps of them, and how they go on. */
import { BPF_RINGBUF_DISCARD_BIT, DATA_OFFSET, recordSize, type UserRing } from '../ring/index.js';
import type { KeptCounters, KeptRun, RecoveredMap } from './journal/journal.js';
import type { LedgerLine } from './ledger/ledger-line.js';
import type { MapLedger } from './ledger/map-ledger.js';
import type { MapCounters } from './map-counters.js';

/** Payload length in a record's header: below the BUSY and DISCARD bits. */
const LENGTH_MASK = BPF_RINGBUF_DISCARD_BIT - 1;

/** The part of the counters that a journal keeps. */
export function keptCounters(counters: MapCounters): KeptCounters {
  const { acceptedSamples, acceptedBytes, drainedSamples, discardedSamples, discardedBytes } = counters;
  const { releasedBytes, deadLetteredSamples, deadLetteredBytes } = counters;
  const { quarantinedSamples, quarantinedBytes } = counters;
  return {
    acceptedSamples,
    acceptedBytes,
    drainedSamples,
    discardedSamples,
    discardedBytes,
    releasedBytes,
    deadLetteredSamples,
    deadLetteredBytes,
    quarantinedSamples,
    quarantinedBytes,
  };
}

/** A stretch of the ring that was set aside: drains skip it as discards, which are none. */
export interface SetAside {
  /** Position behind it. */
  readonly end: bigint;
  discards: number;
  /** Of these discards, as records. */
  bytes: number;
}

/** Records of one line that lie back to back. Places are counted in bytes from the consumer position. */
interface Stretch {
  line: LedgerLine;
  readonly from: number;
  readonly to: number;
  records: number;
  bytes: number;
}

/** What was set aside, with its place. */
interface PlacedAside extends SetAside {
  readonly from: number;
  readonly to: number;
}

/**
 * Goes on with the books that a journal has kept. What was set aside is booked as quarantined when a drain comes by. How
 * many samples were in a damaged stretch nobody can see, but the books know how many there must have been.
 *
 * A producer whose records in the ring are not those that its books say (some were damaged, or the journal has lost count
 * of whose they were) keeps its numbers; what is in the ring of it goes on in the line `before_restart`.
 * @returns what was set aside, in the order of the ring
 */
export function takeUpBooks(
  counters: MapCounters,
  ledger: MapLedger,
  recovered: RecoveredMap,
  ring: UserRing,
): SetAside[] {
  Object.assign(counters, recovered.counters);
  const before = ledger.beforeRestart;
  const lines = ledger.restore(recovered.producers);
  const stretches = stretchesOf(recovered.runs, ring, (handle) => lines.get(handle) ?? before);
  const aside = recovered.quarantined
    .map(({ position, bytes }): PlacedAside => {
      const from = Number(position - ring.consumerPosition);
      return { end: position + BigInt(bytes), from, to: from + bytes, discards: 0, bytes: 0 };
    })
    .sort((a, b) => a.from - b.from);
  const { hit, discards } = countRecords(ring, stretches, aside);
  const left = stretches.reduce((sum, stretch) => sum + stretch.records, 0);
  counters.quarantinedSamples += counters.bufferedSamples - left;
  for (const line of lines.values()) {
    const own = stretches.filter((stretch) => stretch.line === line);
    const sum = (of: 'records' | 'bytes'): number => own.reduce((all, stretch) => all + stretch[of], 0);
    if (!hit.has(line) && sum('records') === line.bufferedSamples && sum('bytes') === line.bufferedBytes)
      continue;
    line.loseCount();
    for (const stretch of own) stretch.line = before;
  }
  bookTheRest(before, counters, [...lines.values()]);
  const head = ring.consumerLow;
  ledger.takeUp(
    stretches
      .filter(({ records }) => records > 0)
      .map(({ line, from, records, bytes }) => ({ line, start: (head + from) | 0, records, bytes })),
  );
  if (discards > 0)
    walk(ring, (at, bytes, isDiscard) => {
      if (isDiscard) ledger.foundDiscard((head + at) | 0, bytes);
    });
  return aside;
}

/** The runs of a journal as places in the ring. What they do not reach is nobody's. */
function stretchesOf(
  runs: readonly KeptRun[],
  ring: UserRing,
  lineOf: (handle: number) => LedgerLine,
): Stretch[] {
  const stretches: Stretch[] = [];
  let at = 0;
  const add = (handle: number, bytes: number): void => {
    if (bytes <= 0) return;
    stretches.push({ line: lineOf(handle), from: at, to: at + bytes, records: 0, bytes: 0 });
    at += bytes;
  };
  add(0, ring.used - runs.reduce((sum, { bytes }) => sum + bytes, 0));
  for (const { handle, bytes } of runs) add(handle, bytes);
  return stretches;
}

/**
 * Counts the records of each stretch and of what was set aside.
 * @returns lines whose records do not lie as they should (one was set aside, or reaches into the next stretch), and how
 *   many discards there are
 */
function countRecords(
  ring: UserRing,
  stretches: readonly Stretch[],
  aside: readonly PlacedAside[],
): { hit: Set<LedgerLine>; discards: number } {
  const hit = new Set<LedgerLine>();
  let discards = 0;
  let current = 0;
  let nextAside = 0;
  walk(ring, (at, bytes, isDiscard) => {
    while (stretches[current]!.to <= at) current++;
    const stretch = stretches[current]!;
    stretch.records++;
    stretch.bytes += bytes;
    for (let over = current; at + bytes > stretches[over]!.to; over++)
      hit.add(stretch.line).add(stretches[over + 1]!.line);
    if (!isDiscard) return;
    discards++;
    while (aside[nextAside] !== undefined && aside[nextAside]!.to <= at) nextAside++;
    const found = aside[nextAside];
    if (found === undefined || at < found.from) return;
    found.discards++;
    found.bytes += bytes;
    hit.add(stretch.line);
  });
  return { hit, discards };
}

/** Walks the records of a managed ring. There may be a hundred million: no object for each. */
function walk(ring: UserRing, visit: (at: number, bytes: number, isDiscard: boolean) => void): void {
  const { words, used } = ring;
  const mask = ring.size - 1;
  const head = ring.consumerLow;
  for (let at = 0; at < used;) {
    const header = words[(DATA_OFFSET + ((head + at) & mask)) >> 2]!;
    const bytes = recordSize(header & LENGTH_MASK);
    visit(at, bytes, (header & BPF_RINGBUF_DISCARD_BIT) !== 0);
    at += bytes;
  }
}

/** What the books of the map have and no producer has. */
function bookTheRest(line: LedgerLine, counters: MapCounters, others: readonly LedgerLine[]): void {
  const rest = (whole: number, of: (other: LedgerLine) => number): number =>
    others.reduce((left, other) => left - of(other), whole);
  line.acceptedSamples = rest(counters.acceptedSamples, (o) => o.acceptedSamples - o.unattributedSamples);
  line.acceptedBytes = rest(counters.acceptedBytes, (o) => o.acceptedBytes - o.unattributedBytes);
  const gone = counters.discardedBytes + counters.deadLetteredBytes + counters.quarantinedBytes;
  line.drainedSamples = rest(counters.drainedSamples, (o) => o.drainedSamples);
  line.drainedBytes = rest(counters.releasedBytes - gone, (o) => o.drainedBytes);
  line.discardedSamples = rest(counters.discardedSamples, (o) => o.discardedSamples);
  line.discardedBytes = rest(counters.discardedBytes, (o) => o.discardedBytes);
  line.deadLetteredSamples = rest(counters.deadLetteredSamples, (o) => o.deadLetteredSamples);
  line.deadLetteredBytes = rest(counters.deadLetteredBytes, (o) => o.deadLetteredBytes);
  line.quarantinedSamples = counters.quarantinedSamples;
  line.quarantinedBytes = counters.quarantinedBytes;
}
