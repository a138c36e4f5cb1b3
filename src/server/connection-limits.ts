import { RingbufdError } from './errors.js';

/** Counts connections, in all and per remote address. */
export class ConnectionLimits {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  #total = 0;

  constructor(max: number, maxPerAddress: number) {
    this.#max = max;
    this.#maxPerAddress = maxPerAddress;
  }

  get total(): number {
    return this.#total;
  }

  /**
   * Takes a place; the returned function gives it back, once.
   * @throws RingbufdError LIMIT_CONNECTIONS
   */
  enter(address: string): () => void {
    const here = this.#byAddress.get(address) ?? 0;
    if (this.#total >= this.#max)
      throw new RingbufdError('LIMIT_CONNECTIONS', `${this.#total} connections are open`);
    if (here >= this.#maxPerAddress)
      throw new RingbufdError('LIMIT_CONNECTIONS', `${here} connections from ${address} are open`);
    this.#total++;
    this.#byAddress.set(address, here + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#total--;
      const now = (this.#byAddress.get(address) ?? 1) - 1;
      if (now === 0) this.#byAddress.delete(address);
      else this.#byAddress.set(address, now);
    };
  }
}
