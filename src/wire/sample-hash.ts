/**
 * The hash of a sequence of samples, as the ledger of a map with `"ledger":"hash"` has it. Order-sensitive over payload
 * bytes and lengths, and still a plain sum, so that a sample that is filled in later (SUBMIT) can be added later:
 *
 *     H = Σ murmur3_x86_32(payload, seed = number)  mod 2^48
 *
 * number = 0, 1, 2… of the record among all records of its producer, discarded ones included, which add nothing.
 * Source of the function: Austin Appleby's MurmurHash3 (public domain), x86, 32 bits.
 */
const MODULUS = 2 ** 48;

const C1 = 0xcc9e2d51 | 0;
const C2 = 0x1b873593;

/**
 * MurmurHash3 (x86, 32 bits) of a payload that starts on a word.
 *
 * @param words little-endian words that hold it
 * @param first word at which it starts; words are taken modulo `mask` + 1, as in a ring
 * @param mask words - 1, a power of two less one; -1 for words that do not wrap
 * @param bytes length of the payload; bytes behind it in its last word are ignored
 * @param seed u32
 * @param base word that `first` and `mask` count from
 */
export function hashPayload(
  words: Int32Array,
  first: number,
  mask: number,
  bytes: number,
  seed: number,
  base = 0,
): number {
  let hash = seed | 0;
  const whole = bytes >> 2;
  for (let word = 0; word < whole; word++) {
    let k = Math.imul(words[base + ((first + word) & mask)]!, C1);
    k = (k << 15) | (k >>> 17);
    hash ^= Math.imul(k, C2);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  const tail = bytes & 3;
  if (tail > 0) {
    let k = words[base + ((first + whole) & mask)]! & ~(-1 << (8 * tail));
    k = Math.imul(k, C1);
    k = (k << 15) | (k >>> 17);
    hash ^= Math.imul(k, C2);
  }
  hash ^= bytes;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Adds one sample's hash to a sum. */
export function addToSum(sum: number, hash: number): number {
  return (sum + hash) % MODULUS;
}

/** A sum as it is shown: 12 hexadecimal digits. */
export function formatSum(sum: number): string {
  return sum.toString(16).padStart(12, '0');
}

/**
 * The reference: computes what the daemon's ledger shows for a producer, from the producer's own samples.
 *
 *     const sent = new SampleHash();
 *     sent.add(bytes); // for each sample that was accepted, in order
 *     sent.digest(); // equals the line's hash.accepted
 */
export class SampleHash {
  #sum = 0;
  #records = 0;
  #words = new Int32Array(1024);

  /** Records so far, discarded ones included. */
  get records(): number {
    return this.#records;
  }

  /** The next sample of the producer. */
  add(payload: Uint8Array): void {
    const needed = (payload.length + 3) >> 2;
    if (needed > this.#words.length) this.#words = new Int32Array(2 * needed);
    new Uint8Array(this.#words.buffer).set(payload);
    const hash = hashPayload(this.#words, 0, -1, payload.length, this.#records++);
    this.#sum = addToSum(this.#sum, hash);
  }

  /** The next record of the producer was reserved and then discarded. */
  skip(): void {
    this.#records++;
  }

  /** 12 hexadecimal digits. */
  digest(): string {
    return formatSum(this.#sum);
  }
}
