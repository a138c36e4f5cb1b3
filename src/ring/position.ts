/**
 * Positions: u64 counters that only grow, kept as two int32 halves (low word first) inside the ring's own bytes.
 *
 * A JS number is exact to 2^53 and a BigInt allocates, so hot paths work on the halves: within one ring the distance
 * between two positions fits into 32 bits, and the low halves alone give it. BigInt is for callers who show a
 * position to somebody.
 *
 * When the ring is shared with another thread the low half is published and read with Atomics. The reader of a managed
 * map uses that low half alone and rebuilds the rest from its own position (0 ≤ prod - cons ≤ ring ≤ 2^30), so that
 * it never sees one new and one old half, not even when the other thread was terminated between the two stores.
 */
import { unsigned, wrapped } from './layout.js';

/** The u64 of two int32 halves. Not for hot paths. */
export function joinHalves(low: number, high: number): bigint {
  return (BigInt(unsigned(high)) << 32n) | BigInt(unsigned(low));
}

/** The u64 at word `index`, as a BigInt. Not for hot paths. */
export function loadPosition(words: Int32Array, index: number): bigint {
  return joinHalves(words[index]!, words[index + 1]!);
}

/** Stores a u64 at word `index`; the value is taken modulo 2^64. */
export function storePosition(words: Int32Array, index: number, position: bigint): void {
  words[index + 1] = Number(BigInt.asIntN(32, position >> 32n));
  words[index] = Number(BigInt.asIntN(32, position));
}

/** {@link storePosition} for a reader in another thread that looks at the low half only. */
export function publishPosition(words: Int32Array, index: number, position: bigint, shared: boolean): void {
  const low = Number(BigInt.asIntN(32, position));
  words[index + 1] = Number(BigInt.asIntN(32, position >> 32n));
  if (shared) Atomics.store(words, index, low);
  else words[index] = low;
}

/**
 * Moves the u64 at word `index` on by `bytes` (0 ≤ bytes < 2^31). The high half goes first: a reader in another thread
 * that looks at the low half only (see above) then never meets a low half whose carry is still missing.
 * On a shared ring the store of the low half is the release that pairs with {@link loadLow} on the other side.
 */
export function advance(words: Int32Array, index: number, bytes: number, shared: boolean): void {
  const before = words[index]!;
  const after = (before + bytes) | 0;
  if (wrapped(before, after)) words[index + 1] = (words[index + 1]! + 1) | 0;
  if (shared) Atomics.store(words, index, after);
  else words[index] = after;
}

/** The low half of a position that the other side publishes; pairs with the store in {@link advance}. */
export function loadLow(words: Int32Array, index: number, shared: boolean): number {
  return shared ? Atomics.load(words, index) : words[index]!;
}

/**
 * `a - b` modulo 2^64 of the positions at words `a` and `b`, as a number. Exact below 2^53; above, only its size
 * matters to the callers, which compare it with at most 2^30 + 8.
 */
export function distance(words: Int32Array, a: number, b: number): number {
  const lowA = unsigned(words[a]!);
  const lowB = unsigned(words[b]!);
  const borrow = lowA < lowB ? 1 : 0;
  const high = unsigned((words[a + 1]! - words[b + 1]! - borrow) | 0);
  return high * 2 ** 32 + unsigned((lowA - lowB) | 0);
}

/** Whether the u64 at word `a` is greater than the one at word `b`, both unsigned. */
export function isAhead(words: Int32Array, a: number, b: number): boolean {
  const highA = unsigned(words[a + 1]!);
  const highB = unsigned(words[b + 1]!);
  return highA !== highB ? highA > highB : unsigned(words[a]!) > unsigned(words[b]!);
}
