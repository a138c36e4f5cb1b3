import { DATA_OFFSET, DATA_WORD } from './layout.js';
import type { UserRing } from './user-ring.js';

// Numbers to the compiler, where imported bindings are not: see peek.ts.
const DATA = DATA_WORD;
const DATA_BYTE = DATA_OFFSET;

/**
 * A bounds-checked read view of one sample, handed to the drain callback and dead once the callback has returned.
 *
 * The kernel maps the data pages twice, so that a sample that wraps looks contiguous there. Here a sample that wraps is
 * two segments; the accessors hide that. One Dynptr per ring is re-aimed for each sample: no allocation per
 * sample, and a callback that keeps it sees a dead view (or the next sample, inside the next callback), never memory
 * outside a sample. Keep bytes with {@link copy}.
 *
 * Every accessor throws a RangeError outside the sample, as `bpf_dynptr_read` returns -E2BIG there; a throwing
 * callback ends the drain with EIO and leaves its sample at the head.
 */
export class Dynptr {
  readonly #ring: UserRing;
  readonly #mask: number;
  #words: Int32Array;
  #bytes: Uint8Array;
  /** Where the payload is: its offset in the data area, or any number of laps more. */
  #start = 0;
  #length = -1;

  constructor(ring: UserRing) {
    this.#ring = ring;
    this.#mask = ring.size - 1;
    this.#words = ring.words;
    this.#bytes = ring.bytes;
  }

  /** Payload bytes of the sample. Source: `bpf_dynptr_size`. */
  get size(): number {
    if (this.#length < 0)
      throw new RangeError('this sample was released: a Dynptr lives inside its callback only');
    return this.#length;
  }

  /** The byte at `offset`. */
  readUint8(offset: number): number {
    this.#check(offset, 1);
    return this.#bytes[DATA_BYTE + ((this.#start + offset) & this.#mask)]!;
  }

  /** The little-endian int32 at `offset`; one load when `offset` is a multiple of 4. */
  readInt32(offset: number): number {
    this.#check(offset, 4);
    if ((offset & 3) === 0) return this.#words[DATA + (((this.#start + offset) & this.#mask) >> 2)]!;
    return this.#readMisaligned(offset);
  }

  #readMisaligned(offset: number): number {
    return (
      this.readUint8(offset) |
      (this.readUint8(offset + 1) << 8) |
      (this.readUint8(offset + 2) << 16) |
      (this.readUint8(offset + 3) << 24)
    );
  }

  /**
   * Copies `length` bytes from `offset` on into `target` at `targetOffset`. Source: `bpf_dynptr_read`.
   * Returns the bytes copied, always `length`.
   */
  read(target: Uint8Array, targetOffset = 0, offset = 0, length = this.size - offset): number {
    if (length === 0 && offset === this.size) return 0;
    this.#check(offset, length);
    if (targetOffset < 0 || length > target.length - targetOffset)
      throw new RangeError(`${length} bytes do not fit into a target of ${target.length} at ${targetOffset}`);
    const bytes = this.#bytes;
    const from = (this.#start + offset) & this.#mask;
    const untilEnd = Math.min(length, this.#mask + 1 - from);
    target.set(bytes.subarray(DATA_BYTE + from, DATA_BYTE + from + untilEnd), targetOffset);
    if (untilEnd < length)
      target.set(bytes.subarray(DATA_BYTE, DATA_BYTE + length - untilEnd), targetOffset + untilEnd);
    return length;
  }

  /** The first `limit` bytes of the sample (all by default), in memory of their own. */
  copy(limit = this.size): Uint8Array {
    const length = Math.min(limit, this.size);
    const target = new Uint8Array(length);
    this.read(target, 0, 0, length);
    return target;
  }

  /** Looks up where the ring's bytes are now. For the consumer only, before a drain: during one they stay. */
  attach(): void {
    this.#words = this.#ring.words;
    this.#bytes = this.#ring.bytes;
  }

  /** Aims the view at a payload of `length` bytes at position `start` (its low half). For the consumer only. */
  aim(start: number, length: number): this {
    this.#start = start;
    this.#length = length;
    return this;
  }

  /** Makes every accessor throw until the next {@link aim}. For the consumer only. */
  kill(): void {
    this.#length = -1;
  }

  #check(offset: number, length: number): void {
    // A dead view has length -1, so that this one comparison refuses it too; written so that NaN is refused as well.
    if (!(offset >= 0 && length >= 0 && offset + length <= this.#length)) this.#refuse(offset, length);
  }

  #refuse(offset: number, length: number): never {
    throw new RangeError(
      `bytes ${offset} to ${offset + length} are outside this sample of ${this.size} bytes`,
    );
  }
}
