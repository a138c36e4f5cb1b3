/**
 * Byte layout of a user ring buffer, as the kernel maps it into user space. The only offset literals in ringbufd.
 *
 *   byte        0                4096               8192                      8192 + max_entries
 *               | consumer page   | producer page    | data area                |
 *               | u64 position    | u64 position     | records                  |
 *         + 64  | u64 freed       | u64 visible      |
 *
 * The second position of each page is ringbufd's own, in bytes that the kernel leaves alone. Only journalled rings use
 * it: a drain sees records up to `visible`, free space counts from `freed`, and both follow the journal.
 *
 * One record, little-endian, always starting on a multiple of 8:
 *
 *      0               4               8                                   8 + len
 *      +-+-+-----------+---------------+-----------------------------------+----------+
 *      |B|D|    len    |      pad      |  payload (len bytes)              | padding  |
 *      +-+-+-----------+---------------+-----------------------------------+----------+
 *       | |                                                                 to 8 bytes
 *       | DISCARD (bit 30): drains skip the record
 *       BUSY (bit 31): reserved, not yet submitted
 *
 * Bit 31 is the sign bit of a JS int32. Words are kept as int32 everywhere; the helpers below are the only place
 * where one is turned into an unsigned number.
 *
 * Source: Linux `struct bpf_ringbuf` and `struct bpf_ringbuf_hdr` (kernel/bpf/ringbuf.c), include/uapi/linux/bpf.h.
 */

/** Bytes of a page in the layout. Fixed, whatever the host's page size is. */
export const RINGBUF_PAGE_SIZE = 4096;
/** Byte offset of the u64 consumer position. */
export const CONSUMER_POS_OFFSET = 0;
/** Byte offset of the u64 producer position. */
export const PRODUCER_POS_OFFSET = RINGBUF_PAGE_SIZE;
/** Byte offset of the u64 up to which drains of a journalled ring see records: a cache line of its own. */
export const VISIBLE_POS_OFFSET = PRODUCER_POS_OFFSET + 64;
/** Byte offset of the u64 from which the free space of a journalled ring counts. */
export const FREED_POS_OFFSET = CONSUMER_POS_OFFSET + 64;
/** Byte offset of the data area. */
export const DATA_OFFSET = 2 * RINGBUF_PAGE_SIZE;

/** The same offsets as indices into an Int32Array over the ring's bytes. */
export const CONSUMER_POS_WORD = CONSUMER_POS_OFFSET / 4;
export const PRODUCER_POS_WORD = PRODUCER_POS_OFFSET / 4;
export const VISIBLE_POS_WORD = VISIBLE_POS_OFFSET / 4;
export const FREED_POS_WORD = FREED_POS_OFFSET / 4;
export const DATA_WORD = DATA_OFFSET / 4;

export const BPF_RINGBUF_HDR_SZ = 8;
export const BPF_RINGBUF_BUSY_BIT = 2 ** 31;
export const BPF_RINGBUF_DISCARD_BIT = 2 ** 30;
export const BPF_MAX_USER_RINGBUF_SAMPLES = 131072;

export const BPF_RB_NO_WAKEUP = 1;
export const BPF_RB_FORCE_WAKEUP = 2;

export const BPF_RB_AVAIL_DATA = 0;
export const BPF_RB_RING_SIZE = 1;
export const BPF_RB_CONS_POS = 2;
export const BPF_RB_PROD_POS = 3;

export const BPF_F_NUMA_NODE = 4;

/** Largest payload that a dynptr can hold, in bytes: a longer sample can be reserved but never drained. */
export const DYNPTR_MAX_SIZE = 2 ** 24 - 1;
/** Largest ring that ringbufd hosts, in bytes. Keeps prod - cons of a managed map inside a positive int32. */
export const MAX_RING_SIZE = 2 ** 30;

/** int32 masks for a header word. */
export const BUSY_MASK = 1 << 31;
export const DISCARD_MASK = 1 << 30;
export const LENGTH_MASK = DISCARD_MASK - 1;

/** Bytes that a record takes for a payload of `length` bytes (0 ≤ length < 2^30): header, payload, padding. */
export function recordSize(length: number): number {
  return (length + BPF_RINGBUF_HDR_SZ + 7) & ~7;
}

/** Bytes of zero padding behind a payload of `length` bytes: 0 to 7. */
export function paddingSize(length: number): number {
  return -length & 7;
}

/** The unsigned value of an int32. */
export function unsigned(word: number): number {
  return word >>> 0;
}

/** Whether the 32-bit counter `before` wrapped on its way to `after` (an addition of less than 2^32). */
export function wrapped(before: number, after: number): boolean {
  return after >>> 0 < before >>> 0;
}
