/** Words of a record, for code that walks records in a journal's own buffers. */
import { BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT } from '../../ring/index.js';

/** int32 masks for a header word. */
export const BUSY_MASK = BPF_RINGBUF_BUSY_BIT | 0;
export const DISCARD_MASK = BPF_RINGBUF_DISCARD_BIT | 0;
export const LENGTH_MASK = DISCARD_MASK - 1;

/** What a record is, by its header word. DISCARD counts before BUSY, as in a drain. */
export type RecordKind = 'sample' | 'discard' | 'reservation';

export function recordKind(header: number): RecordKind {
  if ((header & DISCARD_MASK) !== 0) return 'discard';
  return (header & BUSY_MASK) !== 0 ? 'reservation' : 'sample';
}

/** The halves of a position, as int32. */
export function lowHalf(position: bigint): number {
  return Number(BigInt.asIntN(32, position));
}

export function highHalf(position: bigint): number {
  return Number(BigInt.asIntN(32, position >> 32n));
}

/** The high half of the position `offset` bytes (0 ≤ offset < 2^31) behind the one with these halves. */
export function highAfter(low: number, high: number, offset: number): number {
  return (low >>> 0) + offset >= 2 ** 32 ? (high + 1) | 0 : high;
}
