import { recordSize } from '../../ring/index.js';
import { coversPayload, type RecordChecksum } from './checksum.js';
import { highAfter, highHalf, LENGTH_MASK, lowHalf, recordKind, type RecordKind } from './record-words.js';

/** What a scan says of the bytes from `offset` on. */
export type ScanVisitor = (offset: number, bytes: number, kind: RecordKind | 'damaged') => void;

/**
 * Bytes that the search for the end of a damaged stretch may checksum. A payload may be made up so that every 8 bytes look
 * like a long record; then the rest of the ring counts as damaged instead of the start taking hours.
 */
const SEARCH_BUDGET_BYTES = 2 ** 32;

/**
 * Walks records as they are on disk. Where one does not verify, everything up to the next 8-byte slot that does is
 * damaged: exactly the one record when its payload was hit, and the same when its length was.
 */
export class RecordScan {
  readonly #words: Int32Array;
  readonly #low: number;
  readonly #high: number;
  readonly #end: number;
  readonly #checksum: RecordChecksum;
  readonly #visit: ScanVisitor;
  readonly #searchBudget: number;
  #budget: number;
  #at = 0;

  /** @param words the records, from position `start` on, not wrapped */
  constructor(
    words: Int32Array,
    start: bigint,
    checksum: RecordChecksum,
    visit: ScanVisitor,
    searchBudget: number = SEARCH_BUDGET_BYTES,
  ) {
    this.#words = words;
    this.#low = lowHalf(start);
    this.#high = highHalf(start);
    this.#end = words.length * 4;
    this.#checksum = checksum;
    this.#visit = visit;
    this.#searchBudget = searchBudget;
    this.#budget = searchBudget;
  }

  /** Bytes walked so far. */
  get done(): number {
    return this.#at;
  }

  /** Goes on until `bytes` more are walked, or all. @returns whether there is more */
  walk(bytes: number): boolean {
    const words = this.#words;
    const end = this.#end;
    const until = Math.min(end, this.#at + bytes);
    let at = this.#at;
    while (at < until) {
      const total = this.#verified(at);
      this.#budget = this.#searchBudget;
      if (total > 0) {
        this.#visit(at, total, recordKind(words[at >> 2]!));
        at += total;
        continue;
      }
      let next = at + 8;
      while (next < end && this.#verified(next) === 0) next = this.#budget > 0 ? next + 8 : end;
      this.#visit(at, next - at, 'damaged');
      at = next;
    }
    this.#at = at;
    return at < end;
  }

  /** Size of the record at `at` when it verifies, else 0. */
  #verified(at: number): number {
    const words = this.#words;
    const checksum = this.#checksum;
    const word = at >> 2;
    const header = words[word]!;
    const total = recordSize(header & LENGTH_MASK);
    if (total > this.#end - at) return 0;
    checksum.begin((this.#low + at) | 0, highAfter(this.#low, this.#high, at), header);
    if (coversPayload(header)) {
      checksum.payload(words, word + 2, word + (total >> 2));
      this.#budget -= total;
    }
    return checksum.end() === words[word + 1] ? total : 0;
  }
}

/** Walks all of them at once, see {@link RecordScan}. */
export function scanRecords(...args: ConstructorParameters<typeof RecordScan>): void {
  new RecordScan(...args).walk(Infinity);
}

/** Bytes walked between two turns of the event loop: some milliseconds. */
const STEP_BYTES = 16 * 1024 * 1024;

/** Walks all of them, and lets others run in between. @param onDone told of the bytes walked */
export async function scanInSteps(scan: RecordScan, onDone: (bytes: number) => void): Promise<void> {
  while (scan.walk(STEP_BYTES)) {
    onDone(scan.done);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
