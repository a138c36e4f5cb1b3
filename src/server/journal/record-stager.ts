import { DATA_OFFSET, recordSize, type UserRing } from '../../ring/index.js';
import { addToDigest, type RecordChecksum } from './checksum.js';
import { highAfter, highHalf, LENGTH_MASK, lowHalf } from './record-words.js';
import type { RecordCode } from './record-code.js';
import type { Slice } from './staging.js';

const DATA_WORD = DATA_OFFSET / 4;

/** By position: the header word that a record gets on disk, whatever the ring says. */
export type HeaderWords = ReadonlyMap<bigint, number>;

/** Bytes of the data area, from `offset` on. */
export interface Stretch {
  readonly offset: number;
  readonly length: number;
}

/**
 * Makes the records of a range ready for the disk, stretch by stretch: the ring's bytes, with the checksum in each pad and
 * the header words that were asked for, in a slice or where they lie. A stretch ends at the end of the ring or of its slice;
 * a record that does not end in it is checksummed from the ring's memory, where it lies whole.
 */
export class RecordStager {
  /** The code works in the ring's memory: {@link stageInRing}, else {@link fill}. */
  readonly isInRing: boolean;
  readonly #ring: UserRing;
  readonly #checksum: RecordChecksum;
  readonly #code: RecordCode;
  readonly #headers: HeaderWords;
  #end: bigint;
  #position: bigint;
  /** Bytes from {@link #position} to the next record's start. */
  #untilRecord = 0;
  #digest = 0;

  /**
   * @param checksum for the records that do not end in their stretch
   * @param code for all others, in the memory of the slices or of the ring
   * @param range from the start of a record to the end of one
   */
  constructor(
    ring: UserRing,
    checksum: RecordChecksum,
    code: RecordCode,
    range: { start: bigint; end: bigint },
    headers: HeaderWords,
    isInRing = false,
  ) {
    this.isInRing = isInRing;
    this.#ring = ring;
    this.#checksum = checksum;
    this.#code = code;
    this.#headers = headers;
    this.#position = range.start;
    this.#end = range.end;
  }

  get end(): bigint {
    return this.#end;
  }

  /** More records have come behind the range. @param end of a record, not before {@link end} */
  extend(end: bigint): void {
    if (end > this.#end) this.#end = end;
  }

  get done(): boolean {
    return this.#position >= this.#end;
  }

  /** Of the records staged so far. */
  get digest(): number {
    return this.#digest;
  }

  /**
   * Fills `slice` with the next bytes.
   * @returns where they go
   */
  fill(slice: Slice): Stretch {
    const { bytes } = this.#ring;
    const { offset, length } = this.#next(slice.bytes.length);
    slice.bytes.set(bytes.subarray(DATA_OFFSET + offset, DATA_OFFSET + offset + length));
    if (this.#headers.size > 0) this.#putHeaders(slice.words, length);
    this.#stage(slice.address, slice.words, 0, length);
    return { offset, length };
  }

  /**
   * Gives the next records their checksums where they lie, at the start of the code's memory. Not with header words that
   * were asked for.
   * @returns where they lie, and go
   */
  stageInRing(): Stretch {
    const { offset, length } = this.#next(Infinity);
    const address = DATA_OFFSET + offset;
    this.#stage(address, this.#ring.words, address >> 2, length);
    return { offset, length };
  }

  #next(most: number): Stretch {
    const { size } = this.#ring;
    const offset = lowHalf(this.#position) & (size - 1);
    return { offset, length: Math.min(Number(this.#end - this.#position), size - offset, most) };
  }

  /** @param first index in `words` of the word at `address` */
  #stage(address: number, words: Int32Array, first: number, length: number): void {
    const low = lowHalf(this.#position);
    const high = highHalf(this.#position);
    const { salt } = this.#checksum;
    let at = this.#code.stage(
      address,
      this.#untilRecord,
      length,
      low,
      high,
      salt[0]!,
      salt[1]!,
      salt[2]!,
      salt[3]!,
      this.#digest,
    );
    this.#digest = this.#code.digestOf();
    if (at < length) at += this.#finish(words, first + (at >> 2), (low + at) | 0, highAfter(low, high, at));
    this.#untilRecord = at - length;
    this.#position += BigInt(length);
  }

  /** Puts the header words that were asked for over those that start in this slice. */
  #putHeaders(words: Int32Array, length: number): void {
    for (const [position, header] of this.#headers) {
      const at = position - this.#position;
      if (at >= 0n && at < BigInt(length)) words[Number(at) >> 2] = header;
    }
  }

  /** Gives the record at word `at`, which ends behind the stretch, its checksum; returns its size. */
  #finish(words: Int32Array, at: number, low: number, high: number): number {
    const header = words[at]!;
    const total = recordSize(header & LENGTH_MASK);
    const checksum = this.#checksum;
    checksum.begin(low, high, header);
    addRingPayload(this.#ring, checksum, low, total);
    const pad = checksum.end();
    words[at + 1] = pad;
    this.#digest = addToDigest(this.#digest, pad);
    return total;
  }
}

/** Takes the payload of the record at `low` from the ring's memory. */
export function addRingPayload(ring: UserRing, checksum: RecordChecksum, low: number, total: number): void {
  const start = (low + 8) & (ring.size - 1);
  const words = total - 8;
  const first = Math.min(words, ring.size - start);
  checksum.payload(ring.words, DATA_WORD + (start >> 2), DATA_WORD + ((start + first) >> 2));
  checksum.payload(ring.words, DATA_WORD, DATA_WORD + ((words - first) >> 2));
}
