/**
 * What one commit is on disk, in this order:
 *
 *   1. when reservations that earlier commits hold have ended: the payloads of those that were submitted; synced: fdatasync
 *   2. their headers, with the checksums
 *   3. the records between the last commit's producer position and this one's
 *   4. a new producer table, when the changes no longer fit
 *   5. the commit record, twice
 *   6. synced: fdatasync, then the seal
 *
 * Nothing is written over that the last durable commit needs: records behind its producer position go where its consumer
 * position has released the room, table, slot and seal take turns, and a reservation's checksum does not cover the
 * payload that 1 writes. docs/DURABILITY.md argues why that is enough.
 */
import type { UserRing } from '../../ring/index.js';
import { recordSize } from '../../ring/index.js';
import { coversPayload, type RecordChecksum } from './checksum.js';
import { encodeCommit, encodeSeal, type CommitRecord } from './commit-record.js';
import { SyncFailed } from './failure.js';
import type { FileHeader } from './file-header.js';
import type { Durability, JournalSnapshot } from './journal.js';
import type { JournalFile } from './journal-file.js';
import { COMMIT_SLOTS, commitSlotAt, dataAt, sealAt, tableAt } from './layout.js';
import { ProducerBook } from './producer-book.js';
import { highHalf, LENGTH_MASK, lowHalf } from './record-words.js';
import { addRingPayload, RecordStager, type HeaderWords } from './record-stager.js';
import type { Recovery } from './recovery.js';
import type { Staging } from './staging.js';

export interface CommitWriterOptions {
  header: FileHeader;
  ring: UserRing;
  durability: Exclude<Durability, 'memory'>;
  checksum: RecordChecksum;
  staging: Staging;
  recovery: Pick<Recovery, 'last' | 'states' | 'newestNumber'>;
  /** Runs a write, again and again while the disk is full. */
  write: (action: () => Promise<void>) => Promise<void>;
}

export class CommitWriter {
  readonly #file: JournalFile;
  readonly #options: CommitWriterOptions;
  readonly #book: ProducerBook;
  readonly #dataAt: number;
  #last: CommitRecord;
  #newestNumber: number;

  constructor(file: JournalFile, options: CommitWriterOptions) {
    this.#file = file;
    this.#options = options;
    this.#book = new ProducerBook(options.recovery.states, options.recovery.last.table);
    this.#dataAt = dataAt(options.header.tableBytes);
    this.#last = options.recovery.last;
    this.#newestNumber = options.recovery.newestNumber;
  }

  /**
   * Brings a snapshot to the disk.
   * @param headers header words of reservations that have ended
   * @throws what a write or a sync threw, but for a full disk, which is waited for
   */
  async commit(snapshot: JournalSnapshot, headers: HeaderWords): Promise<void> {
    const last = this.#last;
    const { consumerPos, producerPos, counters, runs } = snapshot;
    this.#book.apply(snapshot);
    for (const position of headers.keys())
      if (position < last.producerPos) {
        await this.#rewrite(headers, last.producerPos);
        break;
      }
    const rangeStart = consumerPos > last.producerPos ? consumerPos : last.producerPos;
    const digest = await this.#writeRecords(rangeStart, producerPos, headers);
    if (this.#book.tableIsDue) await this.#writeTable();
    const record: CommitRecord = {
      number: nextNumber(this.#newestNumber, last.number),
      producerPos,
      consumerPos,
      rangeStart,
      digest,
      durability: this.#options.durability,
      counters,
      runs,
      table: this.#book.table,
    };
    this.#newestNumber = record.number;
    await this.#write(commitSlotAt(record.number), encodeCommit(record, this.#book.changes));
    if (this.#options.durability === 'synced') {
      await this.#sync();
      await this.#write(sealAt(record.number), encodeSeal(record.number));
    }
    this.#last = record;
  }

  /** Steps 1 and 2. */
  async #rewrite(headers: HeaderWords, end: bigint): Promise<void> {
    const { ring, checksum, durability } = this.#options;
    const old = [...headers].filter(([position]) => position < end);
    const samples = old.filter(([, header]) => coversPayload(header));
    for (const [position, header] of samples)
      await this.#writePayload(position + 8n, recordSize(header & LENGTH_MASK) - 8);
    // Also for discards alone: the last commit's seal has to be on the disk before a record that its digest covers changes.
    if (durability === 'synced') await this.#sync();
    for (const [position, header] of old) {
      const low = lowHalf(position);
      checksum.begin(low, highHalf(position), header);
      if (coversPayload(header)) addRingPayload(ring, checksum, low, recordSize(header & LENGTH_MASK));
      const words = Int32Array.of(header, checksum.end());
      await this.#write(this.#dataAt + (low & (ring.size - 1)), new Uint8Array(words.buffer));
    }
  }

  /** Copies, since a write from shared memory is not to be relied on. */
  async #writePayload(start: bigint, length: number): Promise<void> {
    const { ring, staging } = this.#options;
    for (let done = 0; done < length;) {
      const slice = await staging.acquire();
      try {
        const offset = (lowHalf(start) + done) & (ring.size - 1);
        const count = Math.min(length - done, ring.size - offset, slice.bytes.length);
        const from = ring.bytes.length - ring.size + offset;
        slice.bytes.set(ring.bytes.subarray(from, from + count));
        await this.#write(this.#dataAt + offset, slice.bytes.subarray(0, count));
        done += count;
      } finally {
        staging.release(slice);
      }
    }
  }

  /** Step 3; returns the digest of the records. The next slice is made ready while the last one is being written. */
  async #writeRecords(start: bigint, end: bigint, headers: HeaderWords): Promise<number> {
    const { ring, checksum, staging } = this.#options;
    const stager = new RecordStager(ring, checksum, staging.checksums, { start, end }, headers);
    let writing: Promise<void> = Promise.resolve();
    while (!stager.done) {
      const slice = await staging.acquire();
      const { offset, length } = stager.fill(slice);
      const last = writing;
      writing = this.#write(this.#dataAt + offset, slice.bytes.subarray(0, length)).finally(() =>
        staging.release(slice),
      );
      // Whichever fails first is the commit's failure, but no write may outlive the commit.
      const [before] = await Promise.allSettled([last]);
      if (before.status === 'fulfilled') continue;
      await Promise.allSettled([writing]);
      throw before.reason;
    }
    await writing;
    return stager.digest;
  }

  async #writeTable(): Promise<void> {
    const { tableBytes } = this.#options.header;
    const { bytes, reference } = this.#book.takeTable();
    if (bytes.length > tableBytes)
      throw new RangeError(`a producer table of ${bytes.length} bytes, the file has room for ${tableBytes}`);
    for (const copy of [0, 1] as const)
      await this.#write(tableAt(reference.generation, copy, tableBytes), bytes);
  }

  #write(at: number, bytes: Uint8Array): Promise<void> {
    return this.#options.write(() => this.#file.write(at, bytes));
  }

  async #sync(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (error) {
      throw new SyncFailed(error);
    }
  }
}

/** Behind every number that the file has seen, and not in the slot of the commit that has to stay. */
function nextNumber(newest: number, last: number): number {
  const next = newest + 1;
  return next % COMMIT_SLOTS === last % COMMIT_SLOTS ? next + 1 : next;
}
