import { Type, type Static } from 'typebox';
import type { Dynptr, Verdict } from '../../ring/index.js';
import { RingbufdError } from '../errors.js';
import { checkShape } from '../check-shape.js';
import type { HandlerKind, SampleHandler } from './handler.js';

const CaptureConfig = Type.Object(
  {
    max: Type.Integer({ minimum: 1, maximum: 65536, default: 4096, description: 'samples kept' }),
    head_bytes: Type.Integer({
      minimum: 0,
      maximum: 65536,
      default: 16,
      description: 'first bytes kept of each sample',
    }),
    keep: Type.Union([Type.Literal('newest'), Type.Literal('first')], {
      default: 'newest',
      description: 'which samples stay when there are more than max',
    }),
  },
  { additionalProperties: false },
);

const CaptureCtx = Type.Object(
  {
    stop_after: Type.Optional(Type.Integer({ minimum: -1 })),
    reset: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);

/** Payload bytes that one capture handler may keep: GET shows them all, as twice as many digits, in one answer. */
const MAX_CAPTURE_BYTES = 4 * 1024 * 1024;

class CaptureHandler implements SampleHandler {
  readonly shape = 'sample';
  readonly #max: number;
  readonly #headBytes: number;
  readonly #keepNewest: boolean;
  /** A circle of at most #max entries; #next is where the newest goes. */
  #captured: { len: number; head: Uint8Array }[] = [];
  #next = 0;
  #samples = 0;
  #callsLeft = Infinity;

  constructor(config: Static<typeof CaptureConfig>) {
    this.#max = config.max;
    this.#headBytes = config.head_bytes;
    this.#keepNewest = config.keep === 'newest';
  }

  begin(ctx: unknown): void {
    const { stop_after: stopAfter = -1, reset = false } = checkShape(CaptureCtx, ctx, 'HANDLER_CTX', 'ctx');
    if (reset) {
      this.#captured = [];
      this.#next = 0;
      this.#samples = 0;
    }
    this.#callsLeft = stopAfter < 0 ? Infinity : Math.max(1, stopAfter);
  }

  readonly onSample = (sample: Dynptr): Verdict => {
    this.#samples++;
    if (this.#captured.length < this.#max) {
      this.#captured.push({ len: sample.size, head: sample.copy(this.#headBytes) });
    } else if (this.#keepNewest) {
      this.#captured[this.#next] = { len: sample.size, head: sample.copy(this.#headBytes) };
      this.#next = (this.#next + 1) % this.#max;
    }
    return --this.#callsLeft <= 0 ? 1 : 0;
  };

  state(): Record<string, unknown> {
    const inOrder = [...this.#captured.slice(this.#next), ...this.#captured.slice(0, this.#next)];
    return {
      calls: this.#samples,
      samples: inOrder.map(({ len, head }) => ({ len, head: Buffer.from(head).toString('hex') })),
    };
  }

  async close(): Promise<void> {
    this.#captured = [];
  }
}

export const captureKind: HandlerKind = {
  kind: 'capture',
  description: 'keeps the length and the first bytes of samples, to look at',
  configSchema: CaptureConfig,
  create(config) {
    const checked = config as Static<typeof CaptureConfig>;
    if (checked.max * checked.head_bytes > MAX_CAPTURE_BYTES)
      throw new RingbufdError(
        'HANDLER_CONFIG',
        `max × head_bytes is ${checked.max * checked.head_bytes} bytes, the limit is ${MAX_CAPTURE_BYTES}`,
      );
    return new CaptureHandler(checked);
  },
};
