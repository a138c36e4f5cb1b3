import { formatSum } from '../../wire/index.js';
import type { KeptBooks } from '../journal/journal.js';
import { NO_BOOKS } from '../journal/producer-entries.js';

type Checkpoint = Omit<
  KeptBooks,
  'handle' | 'openReservations' | 'acceptedSamples' | 'acceptedBytes' | 'acceptedHash'
>;

/** Who put samples into a map, as far as the ledger tells them apart. */
export type LineSource =
  /** A producer with an id. */
  | 'producer'
  /** All connections without one. */
  | 'anonymous'
  /** POST /v1/maps/{map}/samples. */
  | 'rest'
  /** What handlers emitted, dead letters, replays. */
  | 'daemon'
  /** What came before the daemon was started and is in no line of a producer: a journal keeps the books of those alone. */
  | 'before_restart'
  /** Producers whose state was forgotten (producers.state_ttl_ms). */
  | 'forgotten'
  /** Samples whose producer the table of runs has lost count of (limits.max_ledger_runs_per_map). */
  | 'unattributed';

/** Where a record can go. */
export type Fate = 'drained' | 'dead_lettered';

/**
 * What became of the records of one producer. Plain fields that hot paths add to. Of each line, in samples and in bytes:
 * accepted = drained + discarded + dead_lettered + quarantined + unattributed + buffered.
 */
export class LedgerLine {
  acceptedSamples = 0;
  acceptedBytes = 0;
  drainedSamples = 0;
  drainedBytes = 0;
  discardedSamples = 0;
  discardedBytes = 0;
  deadLetteredSamples = 0;
  deadLetteredBytes = 0;
  quarantinedSamples = 0;
  quarantinedBytes = 0;
  /** Moved to the line `unattributed` while they were in the ring: what became of them is told there. */
  unattributedSamples = 0;
  unattributedBytes = 0;
  /** Hash of what was accepted and of what was drained; on maps that keep one. */
  acceptedHash = 0;
  drainedHash = 0;
  /** Records that have left the ring, or this line: the number of the next one that leaves it. */
  recordsOut = 0;
  /** What the journal calls the line; 0: it is not kept. */
  handle = 0;
  /** Reservations neither submitted nor discarded. */
  openReservations = 0;
  /** A restart found open reservations: whether a hash has them nobody knows. */
  interrupted = false;
  /** Journalled maps: where it notes that something has changed. */
  changes: LedgerLine[] | undefined;
  #changed = false;
  /** Drained, discarded, dead-lettered and unattributed as they were at the last checkpoint. */
  #checkpoint: Checkpoint = NO_BOOKS;

  constructor(
    readonly source: LineSource,
    /** The producer id, of a `producer`. */
    readonly producer: string | null = null,
  ) {}

  /** Samples in the ring, by the books. */
  get bufferedSamples(): number {
    return (
      this.acceptedSamples -
      this.drainedSamples -
      this.discardedSamples -
      this.deadLetteredSamples -
      this.quarantinedSamples -
      this.unattributedSamples
    );
  }

  /** Bytes in the ring, by the books. */
  get bufferedBytes(): number {
    return (
      this.acceptedBytes -
      this.drainedBytes -
      this.discardedBytes -
      this.deadLetteredBytes -
      this.quarantinedBytes -
      this.unattributedBytes
    );
  }

  /** Both hashes as they are shown. They can be compared as long as nothing of the line was lost count of. */
  get hashes(): { accepted: string; drained: string; complete: boolean } {
    const isOne =
      this.source !== 'forgotten' && this.source !== 'unattributed' && this.source !== 'before_restart';
    return {
      accepted: formatSum(this.acceptedHash),
      drained: formatSum(this.drainedHash),
      complete: isOne && this.unattributedSamples === 0 && !this.interrupted,
    };
  }

  /** Something has changed that the journal keeps. */
  touch(): void {
    if (this.#changed || this.changes === undefined) return;
    this.#changed = true;
    this.changes.push(this);
  }

  /** What has left the ring belongs to a consumer position that is kept now. */
  checkpoint(): void {
    const { drainedSamples, drainedBytes, discardedSamples, discardedBytes } = this;
    const { deadLetteredSamples, deadLetteredBytes, unattributedSamples, unattributedBytes, drainedHash } =
      this;
    this.#changed = false;
    this.#checkpoint = {
      drainedSamples,
      drainedBytes,
      discardedSamples,
      discardedBytes,
      deadLetteredSamples,
      deadLetteredBytes,
      unattributedSamples,
      unattributedBytes,
      drainedHash,
    };
  }

  /** As a journal keeps it. */
  get books(): KeptBooks {
    const { handle, acceptedSamples, acceptedBytes, acceptedHash } = this;
    const openReservations = this.interrupted ? Math.max(1, this.openReservations) : this.openReservations;
    return { ...this.#checkpoint, handle, openReservations, acceptedSamples, acceptedBytes, acceptedHash };
  }

  /** Goes on with what a journal has kept. Its reservations are discards now. */
  restore({ openReservations, ...books }: KeptBooks): void {
    Object.assign(this, books);
    this.interrupted = openReservations > 0;
    this.recordsOut =
      books.drainedSamples + books.discardedSamples + books.deadLetteredSamples + books.unattributedSamples;
    this.checkpoint();
  }

  /** What is left of it in the ring is lost count of. */
  loseCount(): void {
    const { bufferedSamples, bufferedBytes } = this;
    this.unattributedSamples += bufferedSamples;
    this.unattributedBytes += bufferedBytes;
    this.recordsOut += bufferedSamples;
    this.touch();
  }

  /** Books a record, or some, that left the ring through a handler. */
  leave(fate: Fate, samples: number, bytes: number): void {
    if (fate === 'drained') {
      this.drainedSamples += samples;
      this.drainedBytes += bytes;
    } else {
      this.deadLetteredSamples += samples;
      this.deadLetteredBytes += bytes;
    }
    this.recordsOut += samples;
    this.touch();
  }

  discard(samples: number, bytes: number): void {
    this.discardedSamples += samples;
    this.discardedBytes += bytes;
    this.recordsOut += samples;
    this.touch();
  }

  /** Takes over the numbers of a line that ends. */
  absorb(line: LedgerLine): void {
    this.acceptedSamples += line.acceptedSamples;
    this.acceptedBytes += line.acceptedBytes;
    this.drainedSamples += line.drainedSamples;
    this.drainedBytes += line.drainedBytes;
    this.discardedSamples += line.discardedSamples;
    this.discardedBytes += line.discardedBytes;
    this.deadLetteredSamples += line.deadLetteredSamples;
    this.deadLetteredBytes += line.deadLetteredBytes;
    this.quarantinedSamples += line.quarantinedSamples;
    this.quarantinedBytes += line.quarantinedBytes;
    this.unattributedSamples += line.unattributedSamples;
    this.unattributedBytes += line.unattributedBytes;
  }
}
