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
 *
 * @param words the records, from position `start` on, not wrapped
 */
export function scanRecords(
  words: Int32Array,
  start: bigint,
  checksum: RecordChecksum,
  visit: ScanVisitor,
  searchBudget: number = SEARCH_BUDGET_BYTES,
): void {
  const low = lowHalf(start);
  const high = highHalf(start);
  const end = words.length * 4;
  let budget = searchBudget;

  /** Size of the record at `at` when it verifies, else 0. */
  const verified = (at: number): number => {
    const word = at >> 2;
    const header = words[word]!;
    const total = recordSize(header & LENGTH_MASK);
    if (total > end - at) return 0;
    checksum.begin((low + at) | 0, highAfter(low, high, at), header);
    if (coversPayload(header)) {
      checksum.payload(words, word + 2, word + (total >> 2));
      budget -= total;
    }
    return checksum.end() === words[word + 1] ? total : 0;
  };

  for (let at = 0; at < end;) {
    const total = verified(at);
    if (total > 0) {
      budget = searchBudget;
      visit(at, total, recordKind(words[at >> 2]!));
      at += total;
      continue;
    }
    let next = at + 8;
    budget = searchBudget;
    while (next < end && verified(next) === 0) next = budget > 0 ? next + 8 : end;
    visit(at, next - at, 'damaged');
    at = next;
  }
}
