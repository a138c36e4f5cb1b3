import type { RingbufError } from './errors.js';

/** What to do with an output that the ring has no room for. See `ConnectOptions.whenFull`. */
export type WhenFull = 'wait' | 'fail';

/** Bytes, or text that is sent as UTF-8. */
export type Sample = Uint8Array | string;

export interface OutputOptions {
  /** Store all samples or none. They must fit into one frame. Default false. */
  atomic?: boolean;
  /** Overrides `ConnectOptions.whenFull` for this call. */
  whenFull?: WhenFull;
  /**
   * Rejects with the signal's reason and drops what was not sent. What was sent may be stored or not: the outcome is no
   * longer reported.
   */
  signal?: AbortSignal;
}

/** The daemon's acknowledgement of one `output` call. */
export interface OutputReceipt {
  /** Samples stored: all of the call's. */
  readonly accepted: number;
  /**
   * A map position at or behind the end of the call's last record: once the consumer position has reached it, all of
   * the call's samples were drained. Exact for the last call that an acknowledgement covers, later than need be for
   * the others, because acknowledgements are cumulative.
   */
  readonly producerPos: bigint;
}

/**
 * One call of `output`: the promise behind one or more frames. Its frames are stored in order, so that what is stored
 * is always a prefix of its samples.
 */
export class OutputCall {
  readonly promise: Promise<OutputReceipt>;
  readonly whenFull: WhenFull;
  #resolve!: (receipt: OutputReceipt) => void;
  #reject!: (reason: unknown) => void;
  #framesLeft: number;
  #accepted = 0;
  #settled = false;
  readonly #signal: AbortSignal | undefined;
  #onSettled: (() => void) | undefined;

  /** @param signal that ends the call; whoever makes it does that */
  constructor(frames: number, whenFull: WhenFull, signal?: AbortSignal) {
    this.#framesLeft = frames;
    this.#signal = signal;
    this.whenFull = whenFull;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Samples known to be stored. */
  get accepted(): number {
    return this.#accepted;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /**
   * Whether nothing more of it is to be sent. One signal may end many calls: when the first of them is ended, the others
   * are given up already.
   */
  get givenUp(): boolean {
    return this.#settled || this.#signal?.aborted === true;
  }

  /** Calls `run` once, when the promise settles. */
  onSettled(run: () => void): void {
    this.#onSettled = run;
  }

  /** `samples` more are stored, though not yet a whole frame. */
  addAccepted(samples: number): void {
    this.#accepted += samples;
  }

  /** One of its frames is stored whole, the last `samples` of it just now. */
  frameStored(samples: number, producerPos: bigint): void {
    this.#accepted += samples;
    if (--this.#framesLeft === 0 && this.#settle()) this.#resolve({ accepted: this.#accepted, producerPos });
  }

  fail(reason: RingbufError | { readonly abortedBy: unknown }): void {
    if (this.#settle()) this.#reject('abortedBy' in reason ? reason.abortedBy : reason);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#onSettled?.();
    return true;
  }
}
