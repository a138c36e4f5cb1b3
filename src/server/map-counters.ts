import type { ErrnoName } from '../ring/index.js';

/** Why something was refused or dropped: the `reason` label. A closed list keeps the metrics' cardinality bounded. */
export const refusalReasons = {
  ring_full: 'no room now (ENOSPC)',
  journal: 'a journal without room on the disk (ENOSPC)',
  journal_failed: 'a map that is read-only because its journal failed (EIO)',
  never_fits: 'larger than the ring, a dynptr or the frame limit allow',
  bad_run: 'an OUTPUT or a body that is not a run of records',
  bad_frame: 'a message that is not a frame of the protocol, or whose fields are out of range',
  sequence: 'an OUTPUT out of sequence; its connection is closed',
  ignored_after_error: 'an OUTPUT that came while an earlier one was open after an ERROR',
  not_allowed: 'an operation that a map of this mode does not take',
  bad_argument: 'a WRITE past twice the ring size',
  reservation_unknown: 'SUBMIT or DISCARD at a position that this connection has not reserved',
  reservation_expired: 'SUBMIT or DISCARD after the lease',
  reservation_size: 'SUBMIT with another size than the reserved one',
  reservation_limit: 'RESERVE over limits.max_reservations_per_connection',
  fenced: 'a message of a connection that was being closed by the daemon',
  connection_lost: 'a message that waited for room, or behind one that did, when its connection ended',
  drain_busy: 'a drain while another one was under way',
  bad_flags: 'a drain with unknown flag bits',
  bad_ctx: 'a drain whose ctx its handler refused',
  handler_changing: 'a drain through a handler that was being replaced or removed, or a second change of it',
  handler_disabled: 'a drain through a handler that is disabled',
  dead_letter: 'a dead letter that its map did not take; the sample stays where it is',
  map_busy: 'the removal of a map during a drain',
} as const;
export type RefusalReason = keyof typeof refusalReasons;

/**
 * The numbers of one map, plain fields that hot paths add to; events.ts turns them into metrics when somebody looks.
 * Samples are conserved: accepted = drained + discarded + dead-lettered + quarantined + buffered, where accepted counts
 * what took room in the ring (a reservation when it was made), and buffered is what lies between consumer and producer
 * position.
 */
export class MapCounters {
  acceptedSamples = 0;
  /** Bytes that they took in the ring: headers, payloads and padding. */
  acceptedBytes = 0;
  acceptedFrames = 0;
  drainedSamples = 0;
  discardedSamples = 0;
  /** Bytes of the discarded records that drains skipped. */
  discardedBytes = 0;
  /** Samples that left the ring for a dead-letter map, and the bytes of their records. */
  deadLetteredSamples = 0;
  /** Dead letters that were in this map and went back; they are drained, too. */
  replayedSamples = 0;
  deadLetteredBytes = 0;
  /** Samples that could not be verified after a crash, and the bytes of their records. */
  quarantinedSamples = 0;
  quarantinedBytes = 0;
  /** Bytes that were given back: of records drained, discarded, dead-lettered and quarantined. */
  releasedBytes = 0;
  reservations = 0;
  /** Reservations that became discards because their lease ran out. */
  leasesExpired = 0;
  /** Reservations that became discards because their connection ended. */
  reservationsAbandoned = 0;
  /** Commits of the journal that became durable. */
  journalCommits = 0;
  /** Damaged copies of the journal's header that the start wrote anew. */
  journalHeadersRepaired = 0;
  /** Journal files that held nothing to go on with, and were set aside at the start. */
  journalFilesSetAside = 0;
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
  /** Samples that shadows have answered for. */
  shadowCalls = 0;
  /** Of them, those that they answered otherwise than the real handler. */
  shadowDiffered = 0;
  /** Samples that drains have released without a shadow's seeing them. */
  shadowSkipped = 0;
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
    return (
      this.acceptedSamples -
      this.drainedSamples -
      this.discardedSamples -
      this.deadLetteredSamples -
      this.quarantinedSamples
    );
  }
}
