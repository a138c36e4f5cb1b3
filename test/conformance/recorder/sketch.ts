const HEADER = 8;
export const BUSY = 0x80000000;
export const DISCARD = 0x40000000;
export const LARGEST_SAMPLE = 2 ** 24 - 1;
export const LARGEST_DRAIN = 131072;
const VALID_FLAGS = 3n;

export const roundUp8 = (n: number): number => Math.ceil(n / 8) * 8;
export const u64 = (n: bigint): bigint => BigInt.asUintN(64, n);

/**
 * Where the generator believes a ring stands after the ops so far, so that it can aim at edges: the last free byte, the
 * end of the ring, the head record. Nothing is checked against it, and it is not `src/ring` on purpose: a mistake they
 * shared would steer the scripts away from itself. A mistake here only makes the aim worse.
 */
export class Sketch {
  readonly size: number;
  prod = 0n;
  cons = 0n;
  /** Loop turns of all drains, to keep replays quick. */
  turns = 0;
  readonly #bytes: Uint8Array;
  #successes = 0;

  constructor(size: number) {
    this.size = size;
    this.#bytes = new Uint8Array(size);
  }

  /** prod - cons: huge when the producer stands behind the consumer. */
  get used(): bigint {
    return u64(this.prod - this.cons);
  }

  get free(): number {
    return Math.max(0, this.size - Number(this.used));
  }

  offset(position: bigint): number {
    return Number(position & BigInt(this.size - 1));
  }

  /** From the producer position to the end of the data area. */
  get untilEnd(): number {
    return this.size - this.offset(this.prod);
  }

  /** The header's offset, or undefined when the ring refuses. */
  reserve(size: number): number | undefined {
    if (size >= DISCARD) return undefined;
    const total = roundUp8(size + HEADER);
    const free = Number(BigInt.asUintN(32, BigInt(this.size) - this.used));
    if (total > this.size || total > free) return undefined;
    const start = this.offset(this.prod);
    this.#setWord(start, size | BUSY);
    this.#setWord(start + 4, 0);
    this.#fill(start + HEADER, size, (this.#successes++ * 37 + 11) & 255);
    this.prod = u64(this.prod + BigInt(total));
    return start;
  }

  commit(start: number, discard: boolean): void {
    const length = this.#word(start) & ~BUSY;
    this.#setWord(start, discard ? length | DISCARD : length);
  }

  write(offset: number, bytes: Uint8Array): void {
    bytes.forEach((byte, i) => (this.#bytes[(offset + i) % this.size] = byte));
  }

  header(position: bigint): number {
    return this.#word(this.offset(position)) >>> 0;
  }

  drain(flags: bigint, stopAfter: number): void {
    if (flags & ~VALID_FLAGS || this.prod % 8n !== 0n) return;
    for (let turn = 0, calls = 0; turn < LARGEST_DRAIN && this.cons < this.prod; turn++) {
      const header = this.header(this.cons);
      const length = header & ~(BUSY | DISCARD);
      const total = roundUp8(length + HEADER);
      const bad = total > this.prod - this.cons || total > this.size || length > LARGEST_SAMPLE;
      const discarded = (header & DISCARD) !== 0;
      if (bad || (!discarded && (header & BUSY) !== 0)) return;
      this.cons += BigInt(total);
      this.turns++;
      if (!discarded && ++calls >= stopAfter && stopAfter >= 0) return;
    }
  }

  /** Byte by byte: a hostile position may put a header anywhere, and past the end of the data area. */
  #word(offset: number): number {
    return [3, 2, 1, 0].reduce((word, i) => (word << 8) | this.#bytes[(offset + i) % this.size]!, 0);
  }

  #setWord(offset: number, word: number): void {
    for (let i = 0; i < 4; i++) this.#bytes[(offset + i) % this.size] = word >> (8 * i);
  }

  /** A payload may pass the end of the data area: it goes on at the beginning. */
  #fill(start: number, length: number, byte: number): void {
    const from = start % this.size;
    const first = Math.min(length, this.size - from);
    this.#bytes.fill(byte, from, from + first);
    this.#bytes.fill(byte, 0, length - first);
  }
}
