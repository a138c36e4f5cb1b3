import {
  BPF_RINGBUF_HDR_SZ,
  BUSY_MASK,
  DATA_OFFSET,
  DATA_WORD,
  DISCARD_MASK,
  LENGTH_MASK,
  recordSize,
} from './layout.js';
import type { UserRing } from './user-ring.js';

/** A record as it lies in the ring. `discarded` wins over `busy`, as it does for a drain. */
export interface RecordView {
  /** Position of its header. */
  position: bigint;
  /** Payload bytes. */
  length: number;
  state: 'ready' | 'busy' | 'discarded';
  /** The first `limit` payload bytes, copied. */
  payload(limit?: number): Uint8Array;
}

/**
 * The records between consumer and producer position, from the head on, without consuming any. Ends before a record
 * that a drain would refuse. For looking at a ring; nothing is allocated ahead of what is asked for.
 */
export function* records(ring: UserRing): Generator<RecordView, void, void> {
  const mask = ring.size - 1;
  // Looked at once: another thread may be draining. What it releases stays as it is until this thread writes there.
  const head = ring.consumerPosition;
  const low = Number(BigInt.asIntN(32, head));
  const end = Math.min(Number(BigInt.asUintN(64, ring.producerPosition - head)), ring.size);
  let ahead = 0;
  while (ahead + BPF_RINGBUF_HDR_SZ <= end) {
    const offset = (low + ahead) & mask;
    const header = ring.words[DATA_WORD + (offset >> 2)]!;
    const length = header & LENGTH_MASK;
    if (ahead + recordSize(length) > end) return;
    yield {
      position: head + BigInt(ahead),
      length,
      state: header & DISCARD_MASK ? 'discarded' : header & BUSY_MASK ? 'busy' : 'ready',
      payload: (limit = length) => copyWrapped(ring, offset + BPF_RINGBUF_HDR_SZ, Math.min(limit, length)),
    };
    ahead += recordSize(length);
  }
}

function copyWrapped(ring: UserRing, start: number, length: number): Uint8Array {
  const from = start & (ring.size - 1);
  const untilEnd = Math.min(length, ring.size - from);
  const copy = new Uint8Array(length);
  copy.set(ring.bytes.subarray(DATA_OFFSET + from, DATA_OFFSET + from + untilEnd));
  copy.set(ring.bytes.subarray(DATA_OFFSET, DATA_OFFSET + length - untilEnd), untilEnd);
  return copy;
}
