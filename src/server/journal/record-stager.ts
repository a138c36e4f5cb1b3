import { DATA_OFFSET, recordSize, type UserRing } from '../../ring/index.js';
import { addToDigest, type RecordChecksum } from './checksum.js';
import { highAfter, highHalf, LENGTH_MASK, lowHalf } from './record-words.js';
import type { Slice, SliceChecksums } from './staging.js';

const DATA_WORD = DATA_OFFSET / 4;

/** By position: the header word that a record gets on disk, whatever the ring says. */
export type HeaderWords = ReadonlyMap<bigint, number>;

/**
 * Makes the records of a range ready for the disk, slice by slice: the ring's bytes, with the checksum in each pad and
 * the header words that were asked for. A slice ends at the end of the ring or of its buffer; a record that does not end
 * in it is checksummed from the ring's memory, where it lies whole.
 */
export class RecordStager {
  readonly #ring: UserRing;
  readonly #checksum: RecordChecksum;
  readonly #checksums: SliceChecksums;
  readonly #headers: HeaderWords;
  #end: bigint;
  #position: bigint;
  /** Bytes from {@link #position} to the next record's start. */
  #untilRecord = 0;
  #digest = 0;

  /**
   * @param checksum for the records that do not end in their slice
   * @param checksums for all others
   * @param range from the start of a record to the end of one
   */
  constructor(
    ring: UserRing,
    checksum: RecordChecksum,
    checksums: SliceChecksums,
    range: { start: bigint; end: bigint },
    headers: HeaderWords,
  ) {
    this.#ring = ring;
    this.#checksum = checksum;
    this.#checksums = checksums;
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
   * @returns where they go, counted from the start of the data area, and how many they are
   */
  fill(slice: Slice): { offset: number; length: number } {
    const { size, bytes } = this.#ring;
    const low = lowHalf(this.#position);
    const high = highHalf(this.#position);
    const offset = low & (size - 1);
    const left = Number(this.#end - this.#position);
    const length = Math.min(left, size - offset, slice.bytes.length);
    slice.bytes.set(bytes.subarray(DATA_OFFSET + offset, DATA_OFFSET + offset + length));
    if (this.#headers.size > 0) this.#putHeaders(slice.words, length);
    const { saltA, saltB } = this.#checksum;
    let at = this.#checksums.stage(
      slice.address,
      this.#untilRecord,
      length,
      low,
      high,
      saltA,
      saltB,
      this.#digest,
    );
    this.#digest = this.#checksums.digestOf();
    if (at < length) at += this.#finish(slice.words, at, (low + at) | 0, highAfter(low, high, at));
    this.#untilRecord = at - length;
    this.#position += BigInt(length);
    return { offset, length };
  }

  /** Puts the header words that were asked for over those that start in this slice. */
  #putHeaders(words: Int32Array, length: number): void {
    for (const [position, header] of this.#headers) {
      const at = position - this.#position;
      if (at >= 0n && at < BigInt(length)) words[Number(at) >> 2] = header;
    }
  }

  /** Gives the record at byte `at` of the slice, which ends behind it, its checksum; returns its size. */
  #finish(words: Int32Array, at: number, low: number, high: number): number {
    const header = words[at >> 2]!;
    const total = recordSize(header & LENGTH_MASK);
    const checksum = this.#checksum;
    checksum.begin(low, high, header);
    addRingPayload(this.#ring, checksum, low, total);
    const pad = checksum.end();
    words[(at >> 2) + 1] = pad;
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
