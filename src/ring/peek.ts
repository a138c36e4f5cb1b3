/**
 * The look at one record: the rules of `__bpf_user_ringbuf_peek` (kernel/bpf/ringbuf.c), one a line, in their order.
 *
 * A function of plain values, so that it becomes part of the loop that calls it.
 */
import { Errno } from './errno.js';
import {
  BPF_RINGBUF_HDR_SZ,
  BUSY_MASK,
  CONSUMER_POS_WORD,
  DATA_WORD,
  DISCARD_MASK,
  DYNPTR_MAX_SIZE,
  LENGTH_MASK,
} from './layout.js';
import { distance, isAhead, loadLow } from './position.js';

// An imported binding is a cell that is read each time; a const of this file is a number to the compiler. It is worth
// 5 of 14 ns in a drain, which is why the files of the hot loops have some of these.
const { EINVAL, ENODATA, E2BIG } = Errno;
const DATA = DATA_WORD;
const LENGTH = LENGTH_MASK;
const DISCARD = DISCARD_MASK;
const BUSY = BUSY_MASK;
const LARGEST = DYNPTR_MAX_SIZE;
const ROUND_UP = BPF_RINGBUF_HDR_SZ + 7;

/**
 * Looks at the record `ahead` bytes behind the consumer position.
 *
 * @param producerWord word of the position up to which records may be seen
 * @param consumerLow low half of the consumer position
 * @returns the payload length of a ready sample; DISCARD_MASK plus the length of a discarded record; or -ENODATA, -EINVAL,
 *   -E2BIG
 */
export function peek(
  words: Int32Array,
  size: number,
  managed: boolean,
  shared: boolean,
  producerWord: number,
  consumerLow: number,
  ahead: number,
): number {
  // Pairs with the producer's advance: what lies before the position that is read here is complete, or BUSY.
  const producerLow = loadLow(words, producerWord, shared);
  // Producers move in steps of 8.
  if ((producerLow & 7) !== 0) return -EINVAL;
  const available = managed
    ? (producerLow - consumerLow - ahead) | 0
    : distanceToProducer(words, producerWord, ahead);
  // cons >= prod, compared unsigned.
  if (available <= 0) return -ENODATA;
  const header = loadHeader(words, (consumerLow + ahead) & (size - 1), shared);
  const length = header & LENGTH;
  const total = (length + ROUND_UP) & ~7;
  // The record ends behind the producer position.
  if (total > available) return -EINVAL;
  // The record is larger than the data area.
  if (total > size) return -E2BIG;
  // A dynptr cannot hold it.
  if (length > LARGEST) return -E2BIG;
  // Discarded, tested before BUSY. The length read here is the one released, whatever is written meanwhile.
  if ((header & DISCARD) !== 0) return length | DISCARD;
  // Reserved and not yet submitted.
  if ((header & BUSY) !== 0) return -ENODATA;
  return length;
}

/** Pairs with the store in the producer's submit and discard. */
function loadHeader(words: Int32Array, offset: number, shared: boolean): number {
  const word = DATA + (offset >> 2);
  return shared ? Atomics.load(words, word) : words[word]!;
}

/** More than any record: how much more makes no difference, and an int32 holds it. */
const FAR = 2 ** 31 - 1;

/** prod - cons in full u64 arithmetic, less `ahead`, at most FAR; 0 or less when the producer position is not ahead. */
function distanceToProducer(words: Int32Array, producerWord: number, ahead: number): number {
  if (!isAhead(words, producerWord, CONSUMER_POS_WORD)) return 0;
  const near = (words[producerWord]! - words[CONSUMER_POS_WORD]!) | 0;
  // Both halves of one lap of the low word: the usual case, in int32.
  if (near > 0 && words[producerWord + 1] === words[CONSUMER_POS_WORD + 1]) return near - ahead;
  return Math.min(distance(words, producerWord, CONSUMER_POS_WORD) - ahead, FAR);
}
