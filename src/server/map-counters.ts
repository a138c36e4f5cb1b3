import type { ErrnoName } from '../ring/index.js';

/** Why something was refused or dropped: the `reason` label. A closed list keeps the metrics' cardinality bounded. */
export type RefusalReason =
  | 'ring_full'
  | 'never_fits'
  | 'bad_run'
  | 'bad_frame'
  | 'sequence'
  | 'ignored_after_error'
  | 'not_allowed'
  | 'bad_argument'
  | 'reservation_unknown'
  | 'reservation_expired'
  | 'reservation_size'
  | 'reservation_limit'
  | 'producer_limit'
  | 'fenced'
  | 'connection_lost'
  | 'drain_busy'
  | 'bad_flags'
  | 'map_busy';

/**
 * The numbers of one map, plain fields that hot paths add to; events.ts turns them into metrics when somebody looks.
 * Samples are conserved: accepted = drained + discarded + buffered, where accepted counts what took room in the ring
 * (a reservation when it was made), and buffered is what lies between consumer and producer position.
 */
export class MapCounters {
  acceptedSamples = 0;
  /** Bytes that they took in the ring: headers, payloads and padding. */
  acceptedBytes = 0;
  acceptedFrames = 0;
  drainedSamples = 0;
  discardedSamples = 0;
  reservations = 0;
  /** Reservations that became discards because their lease ran out. */
  leasesExpired = 0;
  /** Reservations that became discards because their connection ended. */
  reservationsAbandoned = 0;
  drains = 0;
  /** Drains whose callback answered 1. */
  stops = 0;
  /** Drains that completed turns and woke nobody because of NO_WAKEUP. */
  wakeupsSuppressed = 0;
  /** Drains that woke because of FORCE_WAKEUP. */
  wakeupsForced = 0;
  /** WAKEUP frames queued to watchers. */
  wakeupsSent = 0;
  /** WAKEUP frames merged into one that a slow client had not taken yet. */
  wakeupsCoalesced = 0;
  /** Watchers left asleep by a wake because less than their min_free was free. */
  wakeupsUnmet = 0;
  /** OUTPUT frames that had to wait for room (on_full=block, plain mode). */
  blockedFrames = 0;
  takeovers = 0;
  /** Raw WRITE and COMMIT frames of a direct map. */
  rawWrites = 0;
  readonly refused = new Map<string, number>();
  readonly drainErrors = new Map<ErrnoName, number>();

  /** Counts `n` things refused or dropped. */
  refuse(errno: ErrnoName, reason: RefusalReason, n = 1): void {
    const key = `${errno}|${reason}`;
    this.refused.set(key, (this.refused.get(key) ?? 0) + n);
  }

  drainError(errno: ErrnoName): void {
    this.drainErrors.set(errno, (this.drainErrors.get(errno) ?? 0) + 1);
  }

  /** Samples between consumer and producer position, by the books. */
  get bufferedSamples(): number {
    return this.acceptedSamples - this.drainedSamples - this.discardedSamples;
  }
}
