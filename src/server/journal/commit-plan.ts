/**
 * What one commit brings to the disk, made ready where the map lives. Plain data, so that it can be carried out elsewhere
 * (commit-writer.ts) while the map goes on.
 */
import { encodeCommit, type CommitRecord } from './commit-record.js';
import type { Durability, JournalSnapshot } from './journal.js';
import { COMMIT_SLOTS } from './layout.js';
import { ProducerBook } from './producer-book.js';
import type { HeaderWords } from './record-stager.js';
import type { Recovery } from './recovery.js';

export interface CommitPlan {
  readonly number: number;
  /** Where the records end that are on the disk already. */
  readonly before: bigint;
  /** The records that are to be added. */
  readonly rangeStart: bigint;
  readonly rangeEnd: bigint;
  /** Header words of reservations that have ended, added by this commit or by earlier ones. */
  readonly headers: HeaderWords;
  /** A new producer table. */
  readonly table: { readonly generation: number; readonly bytes: Uint8Array } | undefined;
  /** The commit record, without its digest. */
  readonly record: Uint8Array;
}

/** Plans the commits of one file, one after the other. */
export class CommitPlanner {
  readonly #durability: Exclude<Durability, 'memory'>;
  readonly #tableBytes: number;
  readonly #book: ProducerBook;
  #last: Pick<CommitRecord, 'number' | 'producerPos'>;
  #newestNumber: number;

  /** @param tableBytes what the file has room for */
  constructor(
    durability: Exclude<Durability, 'memory'>,
    tableBytes: number,
    recovery: Pick<Recovery, 'last' | 'states' | 'newestNumber'>,
  ) {
    this.#durability = durability;
    this.#tableBytes = tableBytes;
    this.#book = new ProducerBook(recovery.states, recovery.last.table);
    this.#last = recovery.last;
    this.#newestNumber = recovery.newestNumber;
  }

  /** Where the records of the last commit that was planned end. */
  get end(): bigint {
    return this.#last.producerPos;
  }

  /**
   * Plans the commit behind the last one that was planned, which has to be on the disk before this one is carried out.
   * @param headers header words of reservations that have ended
   */
  plan(snapshot: JournalSnapshot, headers: HeaderWords): CommitPlan {
    const last = this.#last;
    const { consumerPos, producerPos, counters, runs } = snapshot;
    this.#book.apply(snapshot);
    const table = this.#book.tableIsDue ? this.#takeTable() : undefined;
    const number = nextNumber(this.#newestNumber, last.number);
    const rangeStart = consumerPos > last.producerPos ? consumerPos : last.producerPos;
    const record = encodeCommit(
      {
        number,
        producerPos,
        consumerPos,
        rangeStart,
        durability: this.#durability,
        counters,
        runs,
        table: this.#book.table,
      },
      this.#book.changes,
    );
    this.#newestNumber = number;
    this.#last = { number, producerPos };
    return { number, before: last.producerPos, rangeStart, rangeEnd: producerPos, headers, table, record };
  }

  #takeTable(): CommitPlan['table'] {
    const { bytes, reference } = this.#book.takeTable();
    if (bytes.length > this.#tableBytes)
      throw new RangeError(
        `a producer table of ${bytes.length} bytes, the file has room for ${this.#tableBytes}`,
      );
    return { generation: reference.generation, bytes };
  }
}

/** Behind every number that the file has seen, and not in the slot of the commit that has to stay. */
function nextNumber(newest: number, last: number): number {
  const next = newest + 1;
  return next % COMMIT_SLOTS === last % COMMIT_SLOTS ? next + 1 : next;
}
