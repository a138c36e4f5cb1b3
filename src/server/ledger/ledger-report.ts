/** The equation of a map, looked at: every term from where it happens, and whether they agree. */
import { BPF_RINGBUF_DISCARD_BIT, DATA_OFFSET, recordSize, type UserRing } from '../../ring/index.js';
import type { HostedMap } from '../hosted-map.js';
import type { LedgerLine, LineSource } from './ledger-line.js';

/** Samples, and the bytes of their records: header, payload, padding. */
export interface Amount {
  samples: number;
  bytes: number;
}

/** accepted = drained + discarded + dead_lettered + quarantined + buffered (+ unattributed, of a line). */
export interface Equation {
  accepted: Amount;
  drained: Amount;
  discarded: Amount;
  dead_lettered: Amount;
  quarantined: Amount;
  buffered: Amount;
}

export interface LineReport extends Equation {
  source: LineSource;
  producer: string | null;
  /** Whose end is told by the line `unattributed`. */
  unattributed: Amount;
  holds: boolean;
  /** Of maps that keep one. `complete`: nothing of the line was lost count of, so that the two can be compared. */
  hash: { accepted: string; drained: string; complete: boolean } | null;
}

/** One thing that was compared. */
export interface Check {
  check: string;
  holds: boolean;
  /** Both sides, when they differ. */
  detail: string | null;
}

export interface LedgerReport extends Equation {
  holds: boolean;
  checks: Check[];
  /** Whether `buffered.samples` was counted in the ring; otherwise it is what the books say. */
  counted: boolean;
}

/** Records counted at most by one look: some milliseconds. */
const MAX_COUNTED = 1_000_000;
const DATA_WORD = DATA_OFFSET >> 2;
const LENGTH_MASK = BPF_RINGBUF_DISCARD_BIT - 1;

/** Compares the books of a managed map with its ring and with the lines of its producers. */
export function reportLedger(map: HostedMap): LedgerReport {
  const { counters, ring, ledger } = map;
  // In the middle of a drain in a thread the ring is ahead of the books: then there is nothing to count.
  const records = ledger.isCurrent ? countRecords(ring) : undefined;
  const used = ledger.isCurrent ? ring.used : Number(ring.producerPosition - map.bookedPosition);
  const equation: Equation = {
    accepted: { samples: counters.acceptedSamples, bytes: counters.acceptedBytes },
    drained: {
      samples: counters.drainedSamples,
      bytes:
        counters.releasedBytes -
        counters.discardedBytes -
        counters.deadLetteredBytes -
        counters.quarantinedBytes,
    },
    discarded: { samples: counters.discardedSamples, bytes: counters.discardedBytes },
    dead_lettered: { samples: counters.deadLetteredSamples, bytes: counters.deadLetteredBytes },
    quarantined: { samples: counters.quarantinedSamples, bytes: counters.quarantinedBytes },
    buffered: { samples: records ?? counters.bufferedSamples, bytes: used },
  };
  const checks = [
    check('samples', equation.accepted.samples, sumOf(equation, 'samples')),
    check('bytes', equation.accepted.bytes, sumOf(equation, 'bytes')),
    ...checkLines(equation, [...ledger.lines()]),
  ];
  return {
    ...equation,
    holds: checks.every(({ holds }) => holds),
    checks,
    counted: records !== undefined,
  };
}

/** One line, as it is shown. */
export function reportLine(line: LedgerLine, withHash: boolean): LineReport {
  const equation: Equation & { unattributed: Amount } = {
    accepted: { samples: line.acceptedSamples, bytes: line.acceptedBytes },
    drained: { samples: line.drainedSamples, bytes: line.drainedBytes },
    discarded: { samples: line.discardedSamples, bytes: line.discardedBytes },
    dead_lettered: { samples: line.deadLetteredSamples, bytes: line.deadLetteredBytes },
    quarantined: { samples: line.quarantinedSamples, bytes: line.quarantinedBytes },
    unattributed: { samples: line.unattributedSamples, bytes: line.unattributedBytes },
    buffered: { samples: line.bufferedSamples, bytes: line.bufferedBytes },
  };
  return {
    source: line.source,
    producer: line.producer,
    ...equation,
    // What is in the ring of a line follows from the rest: it is impossible only when there is less than nothing.
    holds: line.bufferedSamples >= 0 && line.bufferedBytes >= 0,
    hash: withHash ? line.hashes : null,
  };
}

/** The lines together are the map: what is released is booked twice, by the drain and by the table of runs. */
function checkLines(map: Equation, lines: LedgerLine[]): Check[] {
  const sum = (of: (line: LedgerLine) => number): number => lines.reduce((all, line) => all + of(line), 0);
  const isPossible = lines.every(
    ({ bufferedSamples, bufferedBytes }) => bufferedSamples >= 0 && bufferedBytes >= 0,
  );
  return [
    // What went to the line `unattributed` is counted there again.
    check(
      'lines accepted',
      map.accepted.samples,
      sum((line) => line.acceptedSamples - line.unattributedSamples),
    ),
    check(
      'lines accepted bytes',
      map.accepted.bytes,
      sum((line) => line.acceptedBytes - line.unattributedBytes),
    ),
    check(
      'lines drained',
      map.drained.samples,
      sum((line) => line.drainedSamples),
    ),
    check(
      'lines drained bytes',
      map.drained.bytes,
      sum((line) => line.drainedBytes),
    ),
    check(
      'lines discarded',
      map.discarded.samples,
      sum((line) => line.discardedSamples),
    ),
    check(
      'lines dead-lettered',
      map.dead_lettered.samples,
      sum((line) => line.deadLetteredSamples),
    ),
    check(
      'lines quarantined',
      map.quarantined.samples,
      sum((line) => line.quarantinedSamples),
    ),
    { check: 'lines buffered', holds: isPossible, detail: isPossible ? null : 'less than nothing' },
  ];
}

function check(name: string, left: number, right: number): Check {
  const holds = left === right;
  return { check: name, holds, detail: holds ? null : `${left} is not ${right}` };
}

function sumOf(equation: Equation, unit: keyof Amount): number {
  const { drained, discarded, dead_lettered, quarantined, buffered } = equation;
  return drained[unit] + discarded[unit] + dead_lettered[unit] + quarantined[unit] + buffered[unit];
}

/** Records between consumer and producer position of a managed ring; `undefined` when there are too many to count. */
function countRecords(ring: UserRing): number | undefined {
  const { words, size, used } = ring;
  const mask = size - 1;
  const head = ring.consumerLow;
  let count = 0;
  for (let ahead = 0; ahead < used; count++) {
    if (count === MAX_COUNTED) return undefined;
    ahead += recordSize(words[DATA_WORD + (((head + ahead) & mask) >> 2)]! & LENGTH_MASK);
  }
  return count;
}
