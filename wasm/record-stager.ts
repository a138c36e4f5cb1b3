/* eslint-disable */
// @ts-nocheck: this is AssemblyScript.
/**
 * The inner loop of src/server/journal/record-stager.ts, in AssemblyScript: gives each record of a slice its checksum. The
 * same arithmetic in JavaScript, with which it is compared, is src/server/journal/checksum.ts.
 *
 * `npm run build:wasm` compiles it into src/server/journal/record-stager-wasm.ts; a test sees to it that the two agree.
 */

const PRIME_A: i32 = 0x9e3779b1;
const PRIME_B: i32 = 0x85ebca77;
const PRIME_C: i32 = 0xc2b2ae3d;
const PRIME_D: i32 = 0x27d4eb2f;
const BUSY: i32 = 0x80000000;
const DISCARD: i32 = 0x40000000;
const LENGTH_MASK: i32 = 0x3fffffff;

let digest: i32 = 0;

/** Digest of the records staged by the last call of {@link stage}. */
export function digestOf(): i32 {
  return digest;
}

/** A step of all four lanes. */
function mix(lanes: v128, words: v128, primes: v128): v128 {
  const product = i32x4.mul(v128.xor(lanes, words), primes);
  return v128.or(i32x4.shl(product, 13), i32x4.shr_u(product, 19));
}

/**
 * Stages the records from `at` on, until the first one whose payload does not end in the slice.
 * @param base address of the slice
 * @param at offset in the slice of the first record
 * @param length bytes in the slice
 * @param low low half of the position at the slice's start
 * @param high high half of it
 * @param before digest of the records before these
 * @returns offset behind the last record that was staged
 */
export function stage(
  base: i32,
  at: i32,
  length: i32,
  low: i32,
  high: i32,
  salt0: i32,
  salt1: i32,
  salt2: i32,
  salt3: i32,
  before: i32,
): i32 {
  let sum = before;
  const primes = i32x4(PRIME_A, PRIME_B, PRIME_C, PRIME_D);
  const salt = i32x4(salt0, salt1, salt2, salt3);
  while (at < length) {
    const record = base + at;
    const header = load<i32>(record);
    const total = ((header & LENGTH_MASK) + 15) & ~7;
    const hasPayload = (header & (BUSY | DISCARD)) == 0;
    if (hasPayload && at + total > length) break;
    const recordLow = low + at;
    const recordHigh = high + i32(u32(recordLow) < u32(low));

    let lanes = mix(salt, i32x4(recordLow, header, recordHigh, recordLow), primes);
    if (hasPayload) {
      const end = record + total;
      let word = record + 8;
      for (; word + 64 <= end; word += 64) {
        lanes = mix(lanes, v128.load(word), primes);
        lanes = mix(lanes, v128.load(word, 16), primes);
        lanes = mix(lanes, v128.load(word, 32), primes);
        lanes = mix(lanes, v128.load(word, 48), primes);
      }
      for (; word + 16 <= end; word += 16) lanes = mix(lanes, v128.load(word), primes);
      // Two words are left: lanes C and D stay.
      if (word < end) lanes = v128.shuffle<i64>(mix(lanes, v128.load64_zero(word), primes), lanes, 0, 3);
    }
    lanes = i32x4.mul(v128.xor(lanes, i32x4.shr_u(lanes, 15)), primes);
    lanes = i32x4.add(lanes, v128.shuffle<i32>(lanes, lanes, 2, 3, 0, 1));
    const hash = i32x4.extract_lane(lanes, 0) + i32x4.extract_lane(lanes, 1);
    store<i32>(record, hash, 4);
    sum = rotl<i32>((sum ^ hash) * PRIME_A, 15);
    at += total;
  }
  digest = sum;
  return at;
}
