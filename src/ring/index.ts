/**
 * The exact user ring buffer of Linux, in one thread or between two.
 *
 * Invariants
 * - Positions are u64 and only grow; a record starts on a multiple of 8.
 * - On a managed ring 0 ≤ prod - cons ≤ size. On a direct ring whoever writes may break everything; a drain then
 *   answers with an errno and never reads outside the data area.
 * - The producer alone moves the producer position, the consumer alone the consumer position; neither waits.
 * - One drain at a time; a second one gets EBUSY.
 *
 * Format: layout.ts.
 *
 * Life of a sample: reserve writes `len | BUSY` and moves the producer position on; the payload is filled in; submit
 * clears BUSY (or discard sets DISCARD); a drain peeks at the head, hands a {@link Dynptr} to the callback, and releases
 * the record by moving the consumer position on. `output` and `outputRun` do the first three steps at once.
 */
export { Errno, errnoName, type ErrnoName } from './errno.js';
export {
  BPF_F_NUMA_NODE,
  BPF_MAX_USER_RINGBUF_SAMPLES,
  BPF_RB_AVAIL_DATA,
  BPF_RB_CONS_POS,
  BPF_RB_FORCE_WAKEUP,
  BPF_RB_NO_WAKEUP,
  BPF_RB_PROD_POS,
  BPF_RB_RING_SIZE,
  BPF_RINGBUF_BUSY_BIT,
  BPF_RINGBUF_DISCARD_BIT,
  BPF_RINGBUF_HDR_SZ,
  CONSUMER_POS_OFFSET,
  DATA_OFFSET,
  DYNPTR_MAX_SIZE,
  MAX_RING_SIZE,
  PRODUCER_POS_OFFSET,
  RINGBUF_PAGE_SIZE,
  paddingSize,
  recordSize,
} from './layout.js';
export {
  checkAttributes,
  createUserRing,
  UserRing,
  type RingMode,
  type RingQuery,
  type UserRingAttributes,
} from './user-ring.js';
export { joinHalves } from './position.js';
export { MESSAGE_HEAD_BYTES, Producer, type ReservationOffset } from './producer.js';
export {
  Consumer,
  type DrainReport,
  type ReleasedSoFar,
  type ReleaseLedger,
  type SampleCallback,
  type Verdict,
} from './consumer.js';
export { Dynptr } from './dynptr.js';
export { SampleRun } from './sample-run.js';
export { checkRun, isOneRecord, prefixThatFits, skipRecords, type RunPrefix } from './run.js';
export { records, type RecordView } from './records.js';
export { isValidDrainFlags, shouldWake } from './wakeup.js';
