import { Errno } from '../ring/errno.js';
import { BPF_RINGBUF_HDR_SZ } from '../ring/layout.js';
import {
  deliveredSamples,
  HandlerOp,
  type AnswerFrame,
  type DeliverFrame,
  type FailureFrame,
} from '../wire/index.js';

/** What is known of a delivery beside its samples and its ctx. */
export interface DeliveryInfo {
  readonly map: string;
  readonly handler: string;
  /** Positions of another incarnation mean nothing in this one. */
  readonly incarnation: string;
  /** Number of the delivery, which grows over all clients of the handler. */
  readonly delivery: bigint;
  /** Where the record of the first sample starts. */
  readonly position: bigint;
  /**
   * Where the record of the sample `index` starts. A sample that is delivered again has the same incarnation and position
   * again: with both, a handler that must not do things twice can tell.
   */
  positionOf(index: number): bigint;
  /** Aborted when the daemon gave the delivery up or the connection was lost: its samples will be delivered again. */
  readonly signal: AbortSignal;
}

/** 0: go on. 1: all of them are handled, stop behind them. Or how many were handled, and whether to stop there. */
export type BatchVerdict = 0 | 1 | { consumed: number; stop?: boolean };

/**
 * Handles the samples of one delivery. They are views of the message that brought them: nothing else uses that memory.
 * What it throws, and a verdict that is none, fails the delivery: none of its samples is released.
 * @param ctx the ctx of the drain, `{}` when it has none
 */
export type OnBatch = (
  samples: readonly Uint8Array[],
  ctx: unknown,
  info: DeliveryInfo,
) => Promise<BatchVerdict>;

/** Characters of an error's message that are sent; the daemon keeps no more. */
const MAX_MESSAGE_LENGTH = 512;

/** One delivery, opened. */
export class Delivery {
  readonly number: bigint;
  readonly #frame: DeliverFrame;
  readonly #samples: readonly Uint8Array[];
  readonly #ctx: unknown;
  readonly #cancel = new AbortController();

  private constructor(frame: DeliverFrame, samples: readonly Uint8Array[], ctx: unknown) {
    this.number = frame.seq;
    this.#frame = frame;
    this.#samples = samples;
    this.#ctx = ctx;
  }

  /** Returns `undefined` for a frame whose run or ctx is not what it should be. */
  static open(frame: DeliverFrame): Delivery | undefined {
    const samples = deliveredSamples(frame);
    if (samples === undefined) return undefined;
    try {
      const ctx: unknown = frame.ctx.length === 0 ? {} : JSON.parse(new TextDecoder().decode(frame.ctx));
      return new Delivery(frame, samples, ctx);
    } catch {
      return undefined;
    }
  }

  cancel(): void {
    this.#cancel.abort();
  }

  /** Calls the handler and turns what it does into the answer. Never throws. */
  async handle(
    onBatch: OnBatch,
    of: { map: string; handler: string; incarnation: string },
  ): Promise<AnswerFrame | FailureFrame> {
    const { run, position } = this.#frame;
    const samples = this.#samples;
    const info: DeliveryInfo = {
      ...of,
      delivery: this.number,
      position,
      positionOf(index) {
        const sample = samples[index];
        if (sample === undefined) throw new RangeError(`sample ${index} of ${samples.length}`);
        return position + BigInt(sample.byteOffset - run.byteOffset - BPF_RINGBUF_HDR_SZ);
      },
      signal: this.#cancel.signal,
    };
    try {
      return this.#answer(await onBatch(samples, this.#ctx, info));
    } catch (error) {
      return this.#failure(Errno.EIO, error instanceof Error ? error.message : String(error));
    }
  }

  /** @param verdict what the handler returned, whatever its type says */
  #answer(verdict: unknown): AnswerFrame | FailureFrame {
    const given = this.#samples.length;
    if (verdict === 0 || verdict === 1) return this.#success(given, verdict === 1);
    if (typeof verdict === 'object' && verdict !== null) {
      const { consumed, stop = false } = verdict as { consumed?: unknown; stop?: unknown };
      if (isCount(consumed) && consumed <= given && typeof stop === 'boolean')
        return this.#success(consumed, stop);
    }
    return this.#failure(Errno.EINVAL, `the verdict is none of 0, 1 and {consumed: 0 to ${given}, stop}`);
  }

  #success(consumed: number, stop: boolean): AnswerFrame {
    return { op: HandlerOp.ANSWER, seq: this.number, failed: false, consumed, stop };
  }

  #failure(errno: number, message: string): FailureFrame {
    const clipped = message.slice(0, MAX_MESSAGE_LENGTH);
    return { op: HandlerOp.ANSWER, seq: this.number, failed: true, errno, message: clipped };
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
