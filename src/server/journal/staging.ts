import type { RecordCode } from './record-code.js';
import { recordMemory, type RecordMemory } from './record-memory.js';

/** Bytes of one write to a journal's data area. Copying and checksumming them takes about 0.05 ms. */
export const SLICE_BYTES = 256 * 1024;
/** Slices that are written at a time by a thread, or by the event loop, whatever the number of maps. */
const SLICES = 8;
/** A buffer in which records are made ready for the disk, as bytes and as words. */
export interface Slice {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  /** Where it lies in the memory of {@link Staging.code}. */
  readonly address: number;
}

/**
 * Buffers for records that cannot be written from where they lie: in memory that another thread uses, too, or with other
 * headers on disk. Who finds no buffer free waits in line. They lie in the memory of the code that checksums them.
 */
export class Staging {
  readonly #memory: RecordMemory;
  readonly #free: Slice[] = [];
  readonly #waiting: ((slice: Slice) => void)[] = [];
  readonly #sliceBytes: number;
  #made = 0;

  /** @param sliceBytes a multiple of 8, at most {@link SLICE_BYTES} */
  constructor(sliceBytes = SLICE_BYTES) {
    this.#sliceBytes = sliceBytes;
    this.#memory = recordMemory(SLICES * sliceBytes);
  }

  get code(): RecordCode {
    return this.#memory.code;
  }

  get sliceBytes(): number {
    return this.#sliceBytes;
  }

  /** A buffer for the caller alone, until {@link release}. */
  acquire(): Slice | Promise<Slice> {
    const slice = this.#free.pop();
    if (slice !== undefined) return slice;
    if (this.#made < SLICES) {
      const address = this.#made++ * this.#sliceBytes;
      const { buffer } = this.#memory;
      return {
        bytes: new Uint8Array(buffer, address, this.#sliceBytes),
        words: new Int32Array(buffer, address, this.#sliceBytes >> 2),
        address,
      };
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(slice: Slice): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slice);
    else next(slice);
  }
}
