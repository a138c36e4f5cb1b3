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
const BUSY: i32 = 0x80000000;
const DISCARD: i32 = 0x40000000;
const LENGTH_MASK: i32 = 0x3fffffff;

let digest: i32 = 0;

/** Digest of the records staged by the last call of {@link stage}. */
export function digestOf(): i32 {
  return digest;
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
  saltA: i32,
  saltB: i32,
  before: i32,
): i32 {
  digest = before;
  let sum = before;
  while (at < length) {
    const record = base + at;
    const header = load<i32>(record);
    const total = ((header & LENGTH_MASK) + 15) & ~7;
    const hasPayload = (header & (BUSY | DISCARD)) == 0;
    if (hasPayload && at + total > length) break;
    const recordLow = low + at;
    const recordHigh = high + i32(u32(recordLow) < u32(low));

    let a = (saltA ^ recordLow) * PRIME_A;
    a = (rotl<i32>(a, 13) ^ header) * PRIME_B;
    a = rotl<i32>(a, 13);
    let b = (saltB ^ header) * PRIME_B;
    b = (rotl<i32>(b, 15) ^ recordHigh) * PRIME_A;
    b = rotl<i32>(b, 15) ^ recordLow;
    let parity: i64 = 0;
    if (hasPayload) {
      const end = record + total;
      for (let word = record + 8; word < end; word += 8) {
        const pair = load<i64>(word);
        parity ^= pair;
        a = rotl<i32>((a ^ i32(pair)) * PRIME_A, 13);
        b = rotl<i32>((b ^ i32(pair >>> 32)) * PRIME_B, 15);
      }
    }
    let hash = (a * PRIME_B) ^ (rotl<i32>(b, 16) * PRIME_A);
    hash ^= hash >>> 15;
    hash = (hash & ~3) | ((popcnt<i32>(header) & 1) << 1) | i32(popcnt<i64>(parity) & 1);
    store<i32>(record, hash, 4);
    sum = rotl<i32>((sum ^ hash) * PRIME_A, 15);
    at += total;
  }
  digest = sum;
  return at;
}
