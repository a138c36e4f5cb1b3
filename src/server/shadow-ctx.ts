/** What the drains were called with whose samples wait for a shadow: each sample is tried with the ctx that it was drained with. */

const EMPTY_TEXT = '{}';
/** What one entry takes besides its text, in bytes, more or less. */
const ENTRY_BYTES = 64;

/** The ctx of one drain. */
export class DrainCtx {
  /** Any JSON value. */
  readonly value: unknown;
  #text: string | undefined;

  constructor(value: unknown) {
    this.value = value ?? {};
  }

  /** As JSON. */
  get text(): string {
    return (this.#text ??= JSON.stringify(this.value));
  }

  get isEmpty(): boolean {
    return this.text === EMPTY_TEXT;
  }
}

/** Records one behind the other that were drained with one ctx. */
export interface CtxStretch {
  readonly ctx: DrainCtx;
  records: number;
  /** The shadow was told of it: what is left of the stretch goes on with the same call. */
  begun: boolean;
}

/** One entry for each drain that had a ctx, and one for all of those in a row that had none. Bounded. */
export class WaitingCtx {
  readonly #maxBytes: number;
  readonly #stretches: CtxStretch[] = [];
  #bytes = 0;

  /** @param maxBytes of JSON text, most that waits */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What the next records were drained with. */
  get head(): CtxStretch | undefined {
    return this.#stretches[0];
  }

  /** Whether one more drain with this ctx has room. */
  hasRoomFor(ctx: DrainCtx): boolean {
    return this.#joins(ctx) || this.#bytes + sizeOf(ctx) <= this.#maxBytes;
  }

  add(ctx: DrainCtx, records: number): void {
    const last = this.#stretches.at(-1);
    if (last !== undefined && this.#joins(ctx)) {
      last.records += records;
      return;
    }
    this.#stretches.push({ ctx, records, begun: false });
    this.#bytes += sizeOf(ctx);
  }

  /** So many records do not wait any more. */
  release(records: number): void {
    let left = records;
    for (let head = this.head; head !== undefined && left > 0; head = this.head) {
      const released = Math.min(left, head.records);
      head.records -= released;
      left -= released;
      if (head.records > 0) return;
      this.#stretches.shift();
      this.#bytes -= sizeOf(head.ctx);
    }
  }

  clear(): void {
    this.#stretches.length = 0;
    this.#bytes = 0;
  }

  #joins(ctx: DrainCtx): boolean {
    const last = this.#stretches.at(-1)?.ctx;
    return last !== undefined && (last === ctx || (last.isEmpty && ctx.isEmpty));
  }
}

function sizeOf(ctx: DrainCtx): number {
  return ENTRY_BYTES + ctx.text.length;
}
