/**
 * The checksums of a journal file.
 *
 * A record's checksum (u32, in its pad word) is computed over the file's salt, the record's position, its header word
 * and, unless BUSY or DISCARD is set, its payload with the padding. So neither an old lap nor a forged payload
 * verifies, and a reservation can be verified whatever its payload holds so far.
 *
 * It is the sum of four lanes, since that is one vector of the processors that write journals. Each takes every fourth
 * word: exclusive-or, multiply by an odd constant, rotate. For a given word that is a bijection of the lane, for a given
 * lane one of the word. So a change of one word of the payload, a flipped bit above all, is seen for certain. Anything else
 * passes with a chance of 2^-32, but for a few pairs of bits: the top bit of a word and bit 12 of the lane's next one cancel.
 */
import { crc32 } from 'node:zlib';
import { BUSY_MASK, DISCARD_MASK } from './record-words.js';

/** Of the lanes. Odd, so that a multiplication loses nothing. */
const PRIME_A = 0x9e3779b1 | 0;
const PRIME_B = 0x85ebca77 | 0;
const PRIME_C = 0xc2b2ae3d | 0;
const PRIME_D = 0x27d4eb2f | 0;

/** Four random u32 of a file's header. */
export type Salt = Int32Array;

/**
 * Computes one record's checksum at a time: {@link begin}, {@link payload} as often as needed, {@link end}. Whole slices
 * of a commit get theirs from wasm/record-stager.ts, the same arithmetic.
 */
export class RecordChecksum {
  /** Of the file whose records they are. */
  readonly salt: Salt;
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;
  /** Lanes C and D take the next two words, not A and B. */
  #isOdd = false;

  constructor(salt: Salt) {
    this.salt = salt;
  }

  /**
   * @param low half of the record's position, as int32
   * @param high half of it
   * @param header the record's header word
   */
  begin(low: number, high: number, header: number): void {
    const { salt } = this;
    this.#a = mix(salt[0]!, low, PRIME_A);
    this.#b = mix(salt[1]!, header, PRIME_B);
    this.#c = mix(salt[2]!, high, PRIME_C);
    this.#d = mix(salt[3]!, low, PRIME_D);
    this.#isOdd = false;
  }

  /** Payload and padding: the words from index `from` up to `to`, an even number of them. */
  payload(words: Int32Array, from: number, to: number): void {
    if (from < to && this.#isOdd) {
      this.#c = mix(this.#c, words[from]!, PRIME_C);
      this.#d = mix(this.#d, words[from + 1]!, PRIME_D);
      this.#isOdd = false;
      from += 2;
    }
    let a = this.#a;
    let b = this.#b;
    let c = this.#c;
    let d = this.#d;
    let index = from;
    for (; index + 4 <= to; index += 4) {
      a = mix(a, words[index]!, PRIME_A);
      b = mix(b, words[index + 1]!, PRIME_B);
      c = mix(c, words[index + 2]!, PRIME_C);
      d = mix(d, words[index + 3]!, PRIME_D);
    }
    if (index < to) {
      a = mix(a, words[index]!, PRIME_A);
      b = mix(b, words[index + 1]!, PRIME_B);
      this.#isOdd = true;
    }
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#d = d;
  }

  /** The checksum, as int32. */
  end(): number {
    return (
      (last(this.#a, PRIME_A) + last(this.#b, PRIME_B) + last(this.#c, PRIME_C) + last(this.#d, PRIME_D)) | 0
    );
  }

  /** The checksum of a reservation or a discard, whose payload does not count. */
  ofHeader(low: number, high: number, header: number): number {
    this.begin(low, high, header);
    return this.end();
  }
}

/** A step of a lane. */
function mix(lane: number, word: number, prime: number): number {
  const product = Math.imul(lane ^ word, prime);
  return (product << 13) | (product >>> 19);
}

/** What a lane adds to the checksum: without it, bits of one value in the last words of two lanes would cancel each other. */
function last(lane: number, prime: number): number {
  return Math.imul(lane ^ (lane >>> 15), prime);
}

/** Whether a record's checksum covers its payload. */
export function coversPayload(header: number): boolean {
  return (header & (BUSY_MASK | DISCARD_MASK)) === 0;
}

/** Takes one more record's checksum into the digest of a commit: it stands for these records in this order. */
export function addToDigest(digest: number, checksum: number): number {
  const mixed = Math.imul(digest ^ checksum, PRIME_A);
  return (mixed << 15) | (mixed >>> 17);
}

/**
 * CRC-32 of the first `length` bytes of a structure, as if its own field `at` were 0. For header, commits, seals and
 * tables, which are few: a CRC sees every flipped bit and every burst of 32.
 */
export function structureCrc(bytes: Uint8Array, at: number, length: number): number {
  const before = crc32(bytes.subarray(0, at));
  const field = crc32(ZEROS, before);
  return crc32(bytes.subarray(at + 4, length), field);
}

const ZEROS = new Uint8Array(4);
