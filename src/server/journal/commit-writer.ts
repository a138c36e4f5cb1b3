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
import { DATA_OFFSET, recordSize } from '../../ring/index.js';
import { coversPayload, RecordChecksum, type Salt } from './checksum.js';
import type { CommitPlan } from './commit-plan.js';
import { completeCommit, encodeSeal } from './commit-record.js';
import { SyncFailed } from './failure.js';
import type { Durability, LoopTally, SyncTally } from './journal.js';
import type { WritableFile } from './journal-file.js';
import { commitSlotAt, dataAt, sealAt, tableAt } from './layout.js';
import { highHalf, LENGTH_MASK, lowHalf } from './record-words.js';
import { addRingPayload, RecordStager, type HeaderWords } from './record-stager.js';
import type { RecordCode } from './record-code.js';
import type { Staging } from './staging.js';

/** Where the commits of one file are carried out. */
export interface Committer {
  /**
   * Records are in the ring that the next commit will add: what of them is written before it is asked for does not have
   * to be written then. A hint, of which nothing has to follow.
   * @param start where the last commit that was asked for ends
   * @param end of a record
   */
  ahead(start: bigint, end: bigint, ring: UserRing): void;
  /**
   * Brings a commit to the disk. The same plan may be tried again: the same bytes go to the same places.
   * @param ring as the plan describes it; nothing that the plan needs is written over meanwhile
   * @throws what a write threw; {@link SyncFailed}
   */
  commit(plan: CommitPlan, ring: UserRing): Promise<void>;
}

/** The one of an open file. */
export interface FileCommitter extends Committer {
  /** Of the file, since it was opened. */
  readonly syncs: SyncTally;
  readonly loop: LoopTally;
  /** See `Journal`. */
  allocate(bytes: number): ArrayBufferLike;
  /**
   * Not while a commit is under way; there is none afterwards.
   * @returns once the descriptor may be closed, and its number be given to another file
   */
  close(): Promise<void>;
}

/** What has to be known of a file. */
export interface CommitFile {
  readonly durability: Exclude<Durability, 'memory'>;
  readonly salt: Salt;
  readonly tableBytes: number;
}

const NO_HEADERS: HeaderWords = new Map();

/** Records that are on their way to the disk, or there, and that no commit speaks of yet. */
interface Ahead {
  /** Of the ring that they were read from: it may be moved. */
  readonly buffer: ArrayBufferLike;
  readonly start: bigint;
  readonly stager: RecordStager;
}

export class CommitWriter implements Committer {
  readonly #file: WritableFile;
  readonly #kind: CommitFile;
  readonly #checksum: RecordChecksum;
  readonly #staging: Staging;
  readonly #codeOf: (ring: UserRing) => RecordCode | undefined;
  readonly #dataAt: number;
  #ahead: Ahead | undefined;
  #writing: Promise<void> | undefined;
  #committing = false;

  /** @param codeOf for rings whose records get their checksums where they lie, and are written from there */
  constructor(
    file: WritableFile,
    kind: CommitFile,
    staging: Staging,
    codeOf: (ring: UserRing) => RecordCode | undefined = () => undefined,
  ) {
    this.#codeOf = codeOf;
    this.#file = file;
    this.#kind = kind;
    this.#checksum = new RecordChecksum(kind.salt);
    this.#staging = staging;
    this.#dataAt = dataAt(kind.tableBytes);
  }

  /** What is being written ahead, if anything is; never rejects. */
  get writing(): Promise<void> | undefined {
    return this.#writing;
  }

  ahead(start: bigint, end: bigint, ring: UserRing): void {
    // A commit may rewrite headers first, and sync: what is behind it waits for the next one.
    if (this.#committing) return;
    if (this.#ahead?.start !== start || this.#ahead.buffer !== ring.buffer) {
      if (this.#writing !== undefined) return;
      this.#ahead = {
        buffer: ring.buffer,
        start,
        stager: this.#stagerFor(ring, start, end, NO_HEADERS),
      };
    }
    this.#ahead.stager.extend(end);
    this.#writing ??= this.#writeAhead(this.#ahead);
  }

  async commit(plan: CommitPlan, ring: UserRing): Promise<void> {
    this.#committing = true;
    try {
      await this.#writing;
      await this.#commit(plan, ring, this.#takeAhead(plan, ring));
    } finally {
      this.#committing = false;
    }
  }

  async #commit(plan: CommitPlan, ring: UserRing, records: RecordStager): Promise<void> {
    const { number, headers, table, record } = plan;
    for (const position of headers.keys())
      if (position < plan.before) {
        await this.#rewrite(ring, headers, plan.before);
        break;
      }
    if (records.isInRing) await this.#writeFromRing(ring, records);
    else await this.#writeRecords(records);
    if (table !== undefined)
      for (const copy of [0, 1] as const)
        await this.#file.write(tableAt(table.generation, copy, this.#kind.tableBytes), table.bytes);
    await this.#file.write(commitSlotAt(number), completeCommit(record, records.digest));
    if (this.#kind.durability === 'synced') {
      await this.#sync();
      await this.#file.write(sealAt(number), encodeSeal(number));
    }
  }

  /** What is left to be written of a commit's records: all, unless they were written ahead as the commit wants them. */
  #takeAhead({ rangeStart, rangeEnd, headers }: CommitPlan, ring: UserRing): RecordStager {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (
      ahead === undefined ||
      ahead.start !== rangeStart ||
      ahead.buffer !== ring.buffer ||
      ahead.stager.end > rangeEnd ||
      [...headers.keys()].some((position) => position >= rangeStart)
    )
      return this.#stagerFor(ring, rangeStart, rangeEnd, headers);
    ahead.stager.extend(rangeEnd);
    return ahead.stager;
  }

  /** Nobody waits for this: what fails here is written anew by the commit, which says so. */
  async #writeAhead({ stager }: Ahead): Promise<void> {
    try {
      await this.#writeRecords(stager);
    } catch {
      this.#ahead = undefined;
    } finally {
      this.#writing = undefined;
    }
  }

  #stagerFor(ring: UserRing, start: bigint, end: bigint, headers: HeaderWords): RecordStager {
    const codeOfRing = headers.size === 0 ? this.#codeOf(ring) : undefined;
    const code = codeOfRing ?? this.#staging.code;
    return new RecordStager(ring, this.#checksum, code, { start, end }, headers, codeOfRing !== undefined);
  }

  /** Steps 1 and 2. */
  async #rewrite(ring: UserRing, headers: HeaderWords, end: bigint): Promise<void> {
    const checksum = this.#checksum;
    const old = [...headers].filter(([position]) => position < end);
    const samples = old.filter(([, header]) => coversPayload(header));
    for (const [position, header] of samples)
      await this.#writePayload(ring, position + 8n, recordSize(header & LENGTH_MASK) - 8);
    // Also for discards alone: the last commit's seal has to be on the disk before a record that its digest covers changes.
    if (this.#kind.durability === 'synced') await this.#sync();
    for (const [position, header] of old) {
      const low = lowHalf(position);
      checksum.begin(low, highHalf(position), header);
      if (coversPayload(header)) addRingPayload(ring, checksum, low, recordSize(header & LENGTH_MASK));
      const words = Int32Array.of(header, checksum.end());
      await this.#file.write(this.#dataAt + (low & (ring.size - 1)), new Uint8Array(words.buffer));
    }
  }

  /** Copies, since a write from shared memory is not to be relied on. */
  async #writePayload(ring: UserRing, start: bigint, length: number): Promise<void> {
    const staging = this.#staging;
    for (let done = 0; done < length;) {
      const slice = await staging.acquire();
      try {
        const offset = (lowHalf(start) + done) & (ring.size - 1);
        const count = Math.min(length - done, ring.size - offset, slice.bytes.length);
        const from = ring.bytes.length - ring.size + offset;
        slice.bytes.set(ring.bytes.subarray(from, from + count));
        await this.#file.write(this.#dataAt + offset, slice.bytes.subarray(0, count));
        done += count;
      } finally {
        staging.release(slice);
      }
    }
  }

  /** Step 3, without a copy. */
  async #writeFromRing({ bytes }: UserRing, stager: RecordStager): Promise<void> {
    while (!stager.done) {
      const { offset, length } = stager.stageInRing();
      const from = DATA_OFFSET + offset;
      await this.#file.write(this.#dataAt + offset, bytes.subarray(from, from + length));
    }
  }

  /** Step 3. The next slice is made ready while the last one is being written. */
  async #writeRecords(stager: RecordStager): Promise<void> {
    const staging = this.#staging;
    let writing: Promise<void> = Promise.resolve();
    while (!stager.done) {
      const slice = await staging.acquire();
      const { offset, length } = stager.fill(slice);
      const last = writing;
      writing = this.#file
        .write(this.#dataAt + offset, slice.bytes.subarray(0, length))
        .finally(() => staging.release(slice));
      // Whichever fails first is the commit's failure, but no write may outlive the commit.
      const [before] = await Promise.allSettled([last]);
      if (before.status === 'fulfilled') continue;
      await Promise.allSettled([writing]);
      throw before.reason;
    }
    await writing;
  }

  async #sync(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (error) {
      throw new SyncFailed(error);
    }
  }
}
