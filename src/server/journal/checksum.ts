/**
 * The checksums of a journal file.
 *
 * A record's checksum (u32, in its pad word) is computed over the file's salt, the record's position, its header word
 * and, unless BUSY or DISCARD is set, its payload with the padding. So neither an old lap nor a forged payload
 * verifies, and a reservation can be verified whatever its payload holds so far.
 *
 *     bit 31                                          2   1         0
 *         | 30 bits of a multiply-and-rotate hash      | parity of | parity of |
 *         | over 32-bit words in two lanes             | header    | payload   |
 *
 * The parity bits make it certain that a single flipped bit is seen: in the payload it turns bit 0 around, in the header
 * word bit 1 (whatever it does to the length), and in the checksum itself the bit alone differs. Anything else passes
 * with a chance of 2^-32. Two lanes because a multiplication takes three cycles and the lanes do not wait for each other.
 */
import { crc32 } from 'node:zlib';
import { BUSY_MASK, DISCARD_MASK } from './record-words.js';

const PRIME_A = 0x9e3779b1 | 0;
const PRIME_B = 0x85ebca77 | 0;

/** Four random u32 of a file's header. */
export type Salt = Int32Array;

/**
 * Computes one record's checksum at a time: {@link begin}, {@link payload} as often as needed, {@link end}. Whole slices
 * of a commit get theirs from wasm/record-stager.ts, the same arithmetic.
 */
export class RecordChecksum {
  /** Of the salt, what goes into a record's checksum. */
  readonly saltA: number;
  readonly saltB: number;
  #a = 0;
  #b = 0;
  #parity = 0;
  #header = 0;

  constructor(salt: Salt) {
    this.saltA = salt[0]!;
    this.saltB = salt[1]!;
  }

  /**
   * @param low half of the record's position, as int32
   * @param high half of it
   * @param header the record's header word
   */
  begin(low: number, high: number, header: number): void {
    let a = Math.imul(this.saltA ^ low, PRIME_A);
    a = Math.imul(((a << 13) | (a >>> 19)) ^ header, PRIME_B);
    this.#a = (a << 13) | (a >>> 19);
    let b = Math.imul(this.saltB ^ header, PRIME_B);
    b = Math.imul(((b << 15) | (b >>> 17)) ^ high, PRIME_A);
    this.#b = ((b << 15) | (b >>> 17)) ^ low;
    this.#parity = 0;
    this.#header = header;
  }

  /** Payload and padding: the words from index `from` up to `to`, an even number of them. */
  payload(words: Int32Array, from: number, to: number): void {
    let a = this.#a;
    let b = this.#b;
    let parity = this.#parity;
    for (let index = from; index < to; index += 2) {
      const first = words[index]!;
      const second = words[index + 1]!;
      parity ^= first ^ second;
      a = Math.imul(a ^ first, PRIME_A);
      a = (a << 13) | (a >>> 19);
      b = Math.imul(b ^ second, PRIME_B);
      b = (b << 15) | (b >>> 17);
    }
    this.#a = a;
    this.#b = b;
    this.#parity = parity;
  }

  /** The checksum, as int32. */
  end(): number {
    let hash = Math.imul(this.#a, PRIME_B) ^ Math.imul((this.#b << 16) | (this.#b >>> 16), PRIME_A);
    hash ^= hash >>> 15;
    return (hash & ~3) | (parityOf(this.#header) << 1) | parityOf(this.#parity);
  }

  /** The checksum of a reservation or a discard, whose payload does not count. */
  ofHeader(low: number, high: number, header: number): number {
    this.begin(low, high, header);
    return this.end();
  }
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

/** 1 when an odd number of bits is set. */
function parityOf(word: number): number {
  let folded = word ^ (word >>> 16);
  folded ^= folded >>> 8;
  folded ^= folded >>> 4;
  return (0x6996 >>> (folded & 15)) & 1;
}
