// @ts-check
/** Numbers by chance that follow from a seed (xorshift32). */
export class Chance {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed >>> 0 || 1;
  }

  /** From 0 to below 1. */
  next() {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 2 ** 32;
  }

  /** A whole number from `low` to below `high`. @param {number} low @param {number} high */
  whole(low, high) {
    return low + Math.floor(this.next() * (high - low));
  }

  /** @param {number} probability 0 to 1 */
  happens(probability) {
    return this.next() < probability;
  }
}
