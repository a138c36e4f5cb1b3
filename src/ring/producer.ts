/**
 * The producer's side: reserve, submit, discard, output. Same verbs and results as libbpf's user_ring_buffer__*.
 *
 * The producer position moves on at reserve, before the payload is there; the BUSY bit in the header keeps the
 * consumer from passing it. A user ring may be filled to its last byte: full and empty differ by the positions.
 *
 *   empty               cons = prod
 *                       |
 *                       v
 *                       +---------------------------+
 *                       |                           |
 *                       +---------------------------+
 *   wrapped             prod (mod size)   cons (mod size)
 *                       v                 v
 *                       +---------------------------+
 *                       ####                 #######|   the record at the end goes on at the start
 *                       +---------------------------+
 *   exactly full        cons = prod (mod size), prod - cons = size
 *                       v
 *                       +---------------------------+
 *                       |###########################|
 *                       +---------------------------+
 */
import { Errno } from './errno.js';
import {
  BPF_RINGBUF_HDR_SZ,
  BPF_RINGBUF_DISCARD_BIT,
  BUSY_MASK,
  DATA_OFFSET,
  DATA_WORD,
  DISCARD_MASK,
  LENGTH_MASK,
  PRODUCER_POS_WORD,
  recordSize,
  unsigned,
} from './layout.js';
import { advance, loadLow } from './position.js';
import type { UserRing } from './user-ring.js';

/**
 * A reservation: the offset of its record in the data area. No two open reservations share one, so it serves as the
 * handle for {@link Producer.submit} and {@link Producer.discard}.
 */
export type ReservationOffset = number;

/** Bytes before the record in a message of {@link Producer.outputMessage}. */
export const MESSAGE_HEAD_BYTES = 16;

export class Producer {
  readonly #ring: UserRing;
  readonly #mask: number;
  readonly #freedWord: number;

  constructor(ring: UserRing) {
    this.#ring = ring;
    this.#freedWord = ring.freedWord;
    this.#mask = ring.size - 1;
  }

  /**
   * Bytes free, as libbpf computes them: in 32 bits. Pairs with the release of {@link Consumer}: its position is read
   * before anything is written into the room it gave back.
   */
  get #room(): number {
    const { words, shared } = this.#ring;
    const used = words[PRODUCER_POS_WORD]! - loadLow(words, this.#freedWord, shared);
    return unsigned(this.#ring.size - used);
  }

  /**
   * Reserves a record for `size` payload bytes: header `size | BUSY`, pad 0, producer position moved on.
   *
   * @returns the reservation, or -E2BIG (a top bit set, or more than the ring), -ENOSPC (not now),
   *   -EINVAL (not a whole number of bytes). Source: libbpf `user_ring_buffer__reserve`.
   */
  reserve(size: number): ReservationOffset {
    if (!(size >= 0) || !Number.isInteger(size)) return -Errno.EINVAL;
    if (size >= BPF_RINGBUF_DISCARD_BIT) return -Errno.E2BIG;
    const total = recordSize(size);
    if (total > this.#ring.size) return -Errno.E2BIG;
    if (total > this.#room) return -Errno.ENOSPC;
    const { words, shared } = this.#ring;
    const offset = words[PRODUCER_POS_WORD]! & this.#mask;
    if ((offset & 7) === 0) {
      const header = DATA_WORD + (offset >> 2);
      words[header] = size | BUSY_MASK;
      words[header + 1] = 0;
    } else {
      this.#storeMisaligned(offset, size | BUSY_MASK);
      this.#storeMisaligned(offset + 4, 0);
    }
    advance(words, PRODUCER_POS_WORD, total, shared);
    return offset;
  }

  /**
   * Fills the payload of an open reservation, from its byte `at` on. The caller stays within the reserved size.
   */
  fill(reservation: ReservationOffset, payload: Uint8Array, at = 0): void {
    this.#copyIn((reservation + BPF_RINGBUF_HDR_SZ + at) & this.#mask, payload);
  }

  /** Clears BUSY: the sample may be drained. Source: libbpf `user_ring_buffer__submit`. */
  submit(reservation: ReservationOffset): void {
    this.#commit(reservation, 0);
  }

  /** Clears BUSY and sets DISCARD: drains skip the record. Source: libbpf `user_ring_buffer__discard`. */
  discard(reservation: ReservationOffset): void {
    this.#commit(reservation, DISCARD_MASK);
  }

  /** Payload bytes of the record at `reservation`. */
  sizeOf(reservation: ReservationOffset): number {
    return this.#ring.words[DATA_WORD + (reservation >> 2)]! & LENGTH_MASK;
  }

  /**
   * reserve, fill and submit in one.
   * @returns 0, or what {@link reserve} refused with
   */
  output(payload: Uint8Array): number {
    const reservation = this.reserve(payload.length);
    if (reservation < 0) return reservation;
    this.fill(reservation, payload);
    this.submit(reservation);
    return 0;
  }

  /**
   * Stores a run whose records are already in ring format and already checked ({@link checkRun}): one or two copies and
   * one new producer position, whatever the number of records.
   * @returns 0, or -ENOSPC with nothing stored when it does not fit as a whole
   */
  outputRun(run: Uint8Array): number {
    // On a direct ring whose positions are absurd, room may exceed the ring.
    if (run.length > this.#room || run.length > this.#ring.size) return -Errno.ENOSPC;
    const { words, shared } = this.#ring;
    this.#copyIn(words[PRODUCER_POS_WORD]! & this.#mask, run);
    // Pairs with the load of the producer position in the consumer's peek: the records are complete before they show.
    advance(words, PRODUCER_POS_WORD, run.length, shared);
    return 0;
  }

  /**
   * {@link outputRun} for the one record that lies in a message behind a head of {@link MESSAGE_HEAD_BYTES}: an array of its
   * own for the record would cost more than all the rest. The message is copied as a whole, and what its head has covered
   * is put back.
   * @param message whose record was checked with isOneRecord
   * @returns 0 or -ENOSPC
   */
  outputMessage(message: Uint8Array): number {
    const size = message.length - MESSAGE_HEAD_BYTES;
    if (size > this.#room || size > this.#ring.size) return -Errno.ENOSPC;
    const { words, bytes, shared, journalled } = this.#ring;
    const offset = words[PRODUCER_POS_WORD]! & this.#mask;
    // A thread that drains, or that writes the journal of these records, would see the head where records are. Before the
    // data area the producer page is empty.
    const isRead =
      shared || (journalled && ((words[PRODUCER_POS_WORD]! - this.#ring.shownLow) | 0) < MESSAGE_HEAD_BYTES);
    if (isRead || offset + size > this.#mask + 1) return this.outputRun(message.subarray(MESSAGE_HEAD_BYTES));
    const head = DATA_WORD + ((offset - MESSAGE_HEAD_BYTES) >> 2);
    const first = words[head]!;
    const second = words[head + 1]!;
    const third = words[head + 2]!;
    const fourth = words[head + 3]!;
    bytes.set(message, DATA_OFFSET + offset - MESSAGE_HEAD_BYTES);
    words[head] = first;
    words[head + 1] = second;
    words[head + 2] = third;
    words[head + 3] = fourth;
    advance(words, PRODUCER_POS_WORD, size, shared);
    return 0;
  }

  /**
   * Raw bytes into the data area, which is mapped twice as in the kernel: `offset` + length may reach 2 × size and
   * wraps. For direct maps; nothing is checked but the bounds.
   * @returns 0, or -EINVAL outside the mapping
   */
  write(offset: number, bytes: Uint8Array): number {
    if (!(offset >= 0) || !Number.isInteger(offset) || offset + bytes.length > 2 * this.#ring.size)
      return -Errno.EINVAL;
    // Of a write longer than the ring only its last lap stays visible, as with two mappings of the same pages.
    const skipped = Math.max(0, bytes.length - this.#ring.size);
    this.#copyIn((offset + skipped) & this.#mask, bytes.subarray(skipped));
    return 0;
  }

  #commit(reservation: ReservationOffset, discardBit: number): void {
    // What else the header holds stays, DISCARD included: whoever writes into a direct ring may have changed it.
    if ((reservation & 3) !== 0) {
      const word = this.#loadMisaligned(reservation);
      this.#storeMisaligned(reservation, (word & ~BUSY_MASK) | discardBit);
      return;
    }
    const header = DATA_WORD + (reservation >> 2);
    const { words, shared } = this.#ring;
    const value = (words[header]! & ~BUSY_MASK) | discardBit;
    // Pairs with the header load in the consumer's peek: the payload is complete before BUSY is gone.
    if (shared) Atomics.store(words, header, value);
    else words[header] = value;
  }

  /**
   * A word of a header off the grid, where only a direct ring's raw producer position can put one. It may pass the end of
   * the data area. No drain gets to such a record while the position is misaligned, but its bytes are there.
   */
  #loadMisaligned(offset: number): number {
    let word = 0;
    for (let i = 3; i >= 0; i--)
      word = (word << 8) | this.#ring.bytes[DATA_OFFSET + ((offset + i) & this.#mask)]!;
    return word;
  }

  #storeMisaligned(offset: number, word: number): void {
    for (let i = 0; i < 4; i++) this.#ring.bytes[DATA_OFFSET + ((offset + i) & this.#mask)] = word >> (8 * i);
  }

  #copyIn(offset: number, source: Uint8Array): void {
    const bytes = this.#ring.bytes;
    const untilEnd = this.#mask + 1 - offset;
    if (source.length <= untilEnd) {
      bytes.set(source, DATA_OFFSET + offset);
    } else {
      bytes.set(source.subarray(0, untilEnd), DATA_OFFSET + offset);
      bytes.set(source.subarray(untilEnd), DATA_OFFSET);
    }
  }
}
