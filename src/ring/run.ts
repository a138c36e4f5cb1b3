/**
 * A run: records back to back, as they travel in an OUTPUT frame and as they lie in the ring. Checked once, whole,
 * before a byte of it is stored; storing is then a copy.
 */
import { Errno } from './errno.js';
import { BPF_RINGBUF_HDR_SZ, DYNPTR_MAX_SIZE, LENGTH_MASK, paddingSize, recordSize } from './layout.js';

/**
 * Checks a run and counts its records.
 *
 * @param run a view of exactly the run's bytes, at any alignment
 * @param ringSize bytes of the ring that it is meant for
 * @returns the number of records, or -EINVAL (header cut off, BUSY or DISCARD set, pad word or padding not zero, length
 *   past the end) or -E2BIG (a whole record that this ring or a dynptr could never hold). The rules are tried in the
 *   order of the kernel's peek: past the end comes before too big.
 */
export function checkRun(run: DataView, ringSize: number): number {
  const end = run.byteLength;
  let records = 0;
  let at = 0;
  while (at < end) {
    if (end - at < BPF_RINGBUF_HDR_SZ) return -Errno.EINVAL;
    const length = run.getInt32(at, true);
    // One comparison for BUSY (negative) and DISCARD (above the mask).
    if (length < 0 || length > LENGTH_MASK) return -Errno.EINVAL;
    if (run.getInt32(at + 4, true) !== 0) return -Errno.EINVAL;
    const total = recordSize(length);
    if (total > end - at) return -Errno.EINVAL;
    if (total > ringSize || length > DYNPTR_MAX_SIZE) return -Errno.E2BIG;
    if ((length & 7) !== 0 && !isPaddingZero(run, at + total, paddingSize(length))) return -Errno.EINVAL;
    at += total;
    records++;
  }
  return records;
}

/** Whether the `count` (1 to 7) bytes that end at `end` are zero: the top bytes of the record's last two words. */
function isPaddingZero(run: DataView, end: number, count: number): boolean {
  const last = run.getInt32(end - 4, true);
  if (count < 4) return (last & (-1 << (32 - 8 * count))) === 0;
  if (last !== 0) return false;
  return count === 4 || (run.getInt32(end - 8, true) & (-1 << (64 - 8 * count))) === 0;
}

/** A prefix of a run: whole records only. */
export interface RunPrefix {
  records: number;
  bytes: number;
}

/** The longest prefix of a checked run, from byte `from` on, that fits into `room` bytes. */
export function prefixThatFits(run: DataView, from: number, room: number): RunPrefix {
  let records = 0;
  let at = from;
  while (at < run.byteLength) {
    const total = recordSize(run.getInt32(at, true));
    if (at - from + total > room) break;
    at += total;
    records++;
  }
  return { records, bytes: at - from };
}

/** Byte offset behind the first `records` records of a checked run; -1 when it has fewer. */
export function skipRecords(run: DataView, records: number): number {
  let at = 0;
  for (let i = 0; i < records; i++) {
    if (at >= run.byteLength) return -1;
    at += recordSize(run.getInt32(at, true));
  }
  return at;
}
