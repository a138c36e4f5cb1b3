/**
 * A run: records back to back, as they travel in an OUTPUT frame and as they lie in the ring. Checked once, whole,
 * before a byte of it is stored; storing is then a copy.
 */
import { Errno } from './errno.js';
import { BPF_RINGBUF_HDR_SZ, DYNPTR_MAX_SIZE, LENGTH_MASK, recordSize } from './layout.js';

// Numbers to the compiler, where imported bindings are not: see peek.ts.
/** recordSize() rounds up to 8 behind the header. */
const ROUND_UP = BPF_RINGBUF_HDR_SZ + 7;
/** Bits of a length word that no record of a run may have: BUSY, DISCARD, and what no dynptr can hold. */
const TOO_LONG = ~DYNPTR_MAX_SIZE;

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
  const whole = end & ~7;
  let records = 0;
  let at = 0;
  while (at < whole) {
    const length = run.getInt32(at, true);
    const total = (length + ROUND_UP) & ~7;
    if ((length & TOO_LONG) !== 0 || run.getInt32(at + 4, true) !== 0 || total > end - at || total > ringSize)
      return refusal(length, run.getInt32(at + 4, true), end - at);
    if ((length & 7) !== 0 && !isPaddingZero(run, at + total, -length & 7)) return -Errno.EINVAL;
    at = (at + total) | 0;
    records = (records + 1) | 0;
  }
  // Less than a header is left: a record takes a multiple of 8.
  return at === end ? records : -Errno.EINVAL;
}

/**
 * Whether the bytes from `at` on are one good record and nothing else: {@link checkRun} would answer 1. For frames of one
 * sample, where making a view of the record would cost more than the check.
 */
export function isOneRecord(bytes: Uint8Array, at: number, ringSize: number): boolean {
  const size = bytes.length - at;
  if (size < BPF_RINGBUF_HDR_SZ || size > ringSize) return false;
  // What is set in the top byte is BUSY, DISCARD, or more than a dynptr holds.
  if ((bytes[at + 3]! | bytes[at + 4]! | bytes[at + 5]! | bytes[at + 6]! | bytes[at + 7]!) !== 0)
    return false;
  const length = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
  if (((length + ROUND_UP) & ~7) !== size) return false;
  for (let rest = at + BPF_RINGBUF_HDR_SZ + length; rest < bytes.length; rest++)
    if (bytes[rest] !== 0) return false;
  return true;
}

/** Which rule a record breaks. @param left bytes from its header to the end of the run */
function refusal(length: number, pad: number, left: number): number {
  // One comparison for BUSY (negative) and DISCARD (above the mask).
  if (length < 0 || length > LENGTH_MASK || pad !== 0) return -Errno.EINVAL;
  return recordSize(length) > left ? -Errno.EINVAL : -Errno.E2BIG;
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
