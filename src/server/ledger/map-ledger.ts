/**
 * The ledger of one map: what became of every record that it accepted, in total and producer by producer. Nothing of it
 * is taken from the numbers that it is compared with: what was accepted is counted where it is stored, what was released
 * where it is released, and what is in the ring is counted in the ring (ledger-report.ts).
 */
import { BPF_RINGBUF_DISCARD_BIT, BPF_RINGBUF_HDR_SZ, DATA_OFFSET, recordSize } from '../../ring/index.js';
import type { UserRing } from '../../ring/index.js';
import type { KeptBooks, KeptProducer, KeptRun } from '../journal/journal.js';
import { NO_BOOKS } from '../journal/producer-entries.js';
import { addToSum, hashPayload } from '../../wire/index.js';
import { LedgerLine, type Fate } from './ledger-line.js';
import { RunLog } from './run-log.js';
import { RunTable, type Released } from './run-table.js';

/** `hash`: also a hash per producer of what was accepted and of what was drained; costs a pass over every payload each. */
export type LedgerMode = 'count' | 'hash';

const DATA_WORD = DATA_OFFSET >> 2;
const HEADER_WORDS = BPF_RINGBUF_HDR_SZ >> 2;
/** Payload length in a record's header: below the BUSY and DISCARD bits. */
const LENGTH_MASK = BPF_RINGBUF_DISCARD_BIT - 1;

export class MapLedger {
  readonly mode: LedgerMode;
  readonly anonymous = new LedgerLine('anonymous');
  readonly rest = new LedgerLine('rest');
  readonly daemon = new LedgerLine('daemon');
  readonly beforeRestart = new LedgerLine('before_restart');
  readonly forgotten = new LedgerLine('forgotten');
  readonly unattributed = new LedgerLine('unattributed');
  readonly #ring: UserRing;
  readonly #runs: RunTable;
  readonly #producers = new Map<string, LedgerLine>();
  /** Low half of the consumer position up to which releases are booked. */
  #position: number;
  /** Numbers of the records that are reserved and not yet submitted, by low half of their position; for the hash. */
  readonly #reserved = new Map<number, number>();
  /** Journalled maps. */
  #log: RunLog | undefined;
  #changes: LedgerLine[] = [];
  #handles = 0;
  readonly #step: Released = { samples: 0, discarded: 0, discardedBytes: 0, bytes: 0 };

  /**
   * @param maxRuns entries of the table of runs
   * @param journalled producers are kept: {@link checkpoint}, {@link takeUp}
   */
  constructor(ring: UserRing, mode: LedgerMode, maxRuns: number, journalled = false) {
    this.mode = mode;
    this.#ring = ring;
    this.#runs = new RunTable(this.unattributed, maxRuns);
    this.#position = ring.consumerLow;
    if (journalled) this.#log = new RunLog(ring.consumerPosition);
  }

  /** The line of a producer id; null: of all connections without one. */
  lineOf(producer: string | null): LedgerLine {
    if (producer === null) return this.anonymous;
    let line = this.#producers.get(producer);
    if (line === undefined) {
      line = new LedgerLine('producer', producer);
      this.#producers.set(producer, line);
      if (this.#log !== undefined) {
        line.handle = ++this.#handles;
        line.changes = this.#changes;
      }
    }
    return line;
  }

  /** The state of a producer id was forgotten: so is its line, but not its numbers. */
  forget(producer: string): void {
    const line = this.#producers.get(producer);
    if (line === undefined) return;
    this.#producers.delete(producer);
    this.forgotten.absorb(line);
    this.#runs.replace(line, this.forgotten);
  }

  /** What a journal keeps of a producer. */
  booksOf(producer: string): KeptBooks {
    return this.#producers.get(producer)?.books ?? NO_BOOKS;
  }

  /** The producers whose books have changed. @param released whether what was released is kept, too, with this commit */
  checkpoint(released: boolean): string[] {
    const changed = this.#changes.splice(0);
    const producers = changed.map(({ producer }) => producer!);
    // What a thread has released belongs to a later checkpoint: it is told of again then.
    if (released) for (const line of changed) line.checkpoint();
    else this.#changes.push(...changed);
    return producers;
  }

  /** Whose the records are, from the checkpoint at `position` on. */
  runsFrom(position: bigint): KeptRun[] {
    return this.#log?.from(position) ?? [];
  }

  /** Lines of producers that a journal has kept, by handle. */
  restore(kept: readonly KeptProducer[]): Map<number, LedgerLine> {
    const lines = new Map<number, LedgerLine>();
    for (const { id, books } of kept) {
      if (books.handle === 0) continue;
      const line = this.lineOf(id);
      line.restore(books);
      lines.set(books.handle, line);
      this.#handles = Math.max(this.#handles, books.handle);
    }
    return lines;
  }

  /** The records that a start found in the ring. They are in the books of their lines already. */
  takeUp(found: readonly { line: LedgerLine; start: number; records: number; bytes: number }[]): void {
    for (const { line, start, records, bytes } of found) this.#runs.accepted(line, records, bytes, start);
    const runs = found.map(({ line, bytes }) => ({ handle: line.handle, bytes }));
    this.#log = new RunLog(this.#ring.consumerPosition, runs);
  }

  /** Every line, those of producers with an id in the order in which they came. */
  *lines(): IterableIterator<LedgerLine> {
    yield* this.#producers.values();
    yield* [this.anonymous, this.rest, this.daemon, this.beforeRestart, this.forgotten, this.unattributed];
  }

  /** Entries of the table of runs, and those that were given up because there were too many. */
  get runs(): { used: number; merged: number } {
    return { used: this.#runs.size, merged: this.#runs.merged };
  }

  /** Whether every release of the ring is booked: not so for moments of a drain in a thread. */
  get isCurrent(): boolean {
    return this.#position === this.#ring.consumerLow;
  }

  /** Before bytes of the ring are written over: a drain in a thread may have released what the hash has not seen yet. */
  beforeStore(): void {
    if (this.mode === 'hash' && !this.isCurrent) this.#walkTo(this.#ring.consumerLow, 'drained');
  }

  /** Records of a checked run were stored just now, at the end of the ring. */
  accepted(line: LedgerLine, records: number, bytes: number): void {
    const start = (this.#ring.producerLow - bytes) | 0;
    line.acceptedSamples += records;
    line.acceptedBytes += bytes;
    this.#runs.accepted(line, records, bytes, start);
    this.#log?.accepted(line.handle, bytes);
    if (this.mode === 'hash') this.#hashStored(line, line.acceptedSamples - records, start);
  }

  /** A record was reserved just now, at the end of the ring. */
  reserved(line: LedgerLine, bytes: number): void {
    const start = (this.#ring.producerLow - bytes) | 0;
    if (this.mode === 'hash') this.#reserved.set(start, line.acceptedSamples);
    line.acceptedSamples++;
    line.acceptedBytes += bytes;
    this.#runs.accepted(line, 1, bytes, start);
    this.#log?.accepted(line.handle, bytes);
    line.openReservations++;
    line.touch();
  }

  /** The record at `position` (low half) was submitted. */
  submitted(position: number): void {
    const line = this.#runs.lineAt(position);
    line.openReservations--;
    line.touch();
    const number = this.#reserved.get(position);
    if (number === undefined) return;
    this.#reserved.delete(position);
    line.acceptedHash = addToSum(line.acceptedHash, this.#hashAt(position, number));
  }

  /** The record at `position` (low half) was discarded. */
  discarded(position: number, bytes: number): void {
    this.#reserved.delete(position);
    const line = this.#runs.lineAt(position);
    line.openReservations--;
    line.touch();
    this.#runs.discarded(position, bytes);
  }

  /** The record at `position` (low half) was a discard when the start found it. */
  foundDiscard(position: number, bytes: number): void {
    this.#runs.discarded(position, bytes);
  }

  /** Records were released, up to the consumer position `consumerLow` (low half). */
  released(step: Released, consumerLow: number, fate: Fate): void {
    if (this.mode === 'hash') {
      this.#walkTo(consumerLow, fate);
      return;
    }
    if (step.bytes > 0) this.#runs.released(step, fate);
    this.#position = consumerLow;
  }

  /** Books what lies between the last release and `consumerLow`, record by record: all of it is still in the ring. */
  #walkTo(consumerLow: number, fate: Fate): void {
    const step = this.#step;
    // Signed: what was booked before a store may be ahead of what a thread reported.
    while (((consumerLow - this.#position) | 0) > 0) {
      const position = this.#position;
      const header = this.#headerAt(position);
      const isDiscard = (header & BPF_RINGBUF_DISCARD_BIT) !== 0;
      step.bytes = recordSize(header & LENGTH_MASK);
      step.samples = isDiscard ? 0 : 1;
      step.discarded = isDiscard ? 1 : 0;
      step.discardedBytes = isDiscard ? step.bytes : 0;
      if (!isDiscard && fate === 'drained') {
        const line = this.#runs.lineAt(position);
        line.drainedHash = addToSum(line.drainedHash, this.#hashAt(position, line.recordsOut));
      }
      this.#runs.released(step, fate);
      this.#position = (position + step.bytes) | 0;
    }
  }

  #hashStored(line: LedgerLine, firstNumber: number, start: number): void {
    let position = start;
    for (let number = firstNumber; number < line.acceptedSamples; number++) {
      line.acceptedHash = addToSum(line.acceptedHash, this.#hashAt(position, number));
      position = (position + recordSize(this.#headerAt(position) & LENGTH_MASK)) | 0;
    }
  }

  /** @param number of the record among those of its producer: the seed */
  #hashAt(position: number, number: number): number {
    const mask = (this.#ring.size >> 2) - 1;
    const length = this.#headerAt(position) & LENGTH_MASK;
    return hashPayload(
      this.#ring.words,
      (position >> 2) + HEADER_WORDS,
      mask,
      length,
      number % 2 ** 32,
      DATA_WORD,
    );
  }

  #headerAt(position: number): number {
    return this.#ring.words[DATA_WORD + ((position & (this.#ring.size - 1)) >> 2)]!;
  }
}
