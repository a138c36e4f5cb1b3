/**
 * How far a map's records may be read by the thread that writes them, in memory that it shares with the event loop: a
 * message for each frame would cost both sides more than most of what a frame asks of them. One is sent only when the
 * thread does not look by itself.
 */

/** Position words. The loop writes START before END, the thread reads END before START: a new END is never taken for an old START. */
const START = 0;
const END = 1;
const POSITIONS_BYTES = 2 * BigUint64Array.BYTES_PER_ELEMENT;
/** A word behind them. 1: nobody will look before a message comes. */
const ASLEEP = 0;

export class ShownRecords {
  /** What the other side makes its {@link ShownRecords} of. */
  readonly buffer: SharedArrayBuffer;
  readonly #positions: BigUint64Array;
  readonly #flags: Int32Array;

  /** @param buffer of the other side; absent: nothing is shown yet, and nobody looks */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(POSITIONS_BYTES + 2 * Int32Array.BYTES_PER_ELEMENT);
    this.#positions = new BigUint64Array(this.buffer, 0, 2);
    this.#flags = new Int32Array(this.buffer, POSITIONS_BYTES);
    if (buffer === undefined) this.#flags[ASLEEP] = 1;
  }

  /**
   * The event loop: shows the records from `start`, where the last commit that was asked for ends, up to `end`.
   * @returns whether the thread has to be told, because it does not look
   */
  show(start: bigint, end: bigint): boolean {
    Atomics.store(this.#positions, START, start);
    Atomics.store(this.#positions, END, end);
    return Atomics.exchange(this.#flags, ASLEEP, 0) === 1;
  }

  /**
   * The thread: where the records end that are shown from `start` on.
   * @returns `undefined` when none are behind `end`, or when a commit that was asked for comes before them
   */
  endBehind(start: bigint, end: bigint): bigint | undefined {
    const shown = Atomics.load(this.#positions, END);
    return Atomics.load(this.#positions, START) === start && shown > end ? shown : undefined;
  }

  /**
   * The thread: it has seen nothing behind `end`, and wants to be told from now on.
   * @returns false: something has come in this moment, and it is to look again
   */
  sleep(start: bigint, end: bigint): boolean {
    Atomics.store(this.#flags, ASLEEP, 1);
    if (this.endBehind(start, end) === undefined) return true;
    // When the loop has found it asleep, a message is on its way: that is as good.
    return Atomics.exchange(this.#flags, ASLEEP, 0) === 0;
  }
}
