/** Bytes of one write to a journal's data area. Copying and checksumming them takes about 0.2 ms of the event loop. */
export const SLICE_BYTES = 512 * 1024;
/** Slices that all journals of a store write at a time: what staging takes, whatever the number of maps. */
const SLICES = 8;

/** A buffer in which records are made ready for the disk, as bytes and as words. */
export interface Slice {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

/**
 * The staging buffers of a store. A record's pad differs between ring and disk, so what is written has to be copied;
 * who finds no buffer free waits in line.
 */
export class Staging {
  readonly #free: Slice[] = [];
  readonly #waiting: ((slice: Slice) => void)[] = [];
  readonly #sliceBytes: number;
  #made = 0;

  constructor(sliceBytes = SLICE_BYTES) {
    this.#sliceBytes = sliceBytes;
  }

  get sliceBytes(): number {
    return this.#sliceBytes;
  }

  /** A buffer for the caller alone, until {@link release}. */
  acquire(): Slice | Promise<Slice> {
    const slice = this.#free.pop();
    if (slice !== undefined) return slice;
    if (this.#made < SLICES) {
      this.#made++;
      const bytes = new Uint8Array(this.#sliceBytes);
      return { bytes, words: new Int32Array(bytes.buffer) };
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(slice: Slice): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slice);
    else next(slice);
  }
}
