import { recordStagerWasm } from './record-stager-wasm.js';

/** Bytes of one write to a journal's data area. Copying and checksumming them takes the journal's thread about 0.1 ms. */
export const SLICE_BYTES = 256 * 1024;
/** Slices that all journals of a store write at a time: what staging takes, whatever the number of maps. */
const SLICES = 8;
/** A buffer in which records are made ready for the disk, as bytes and as words. */
export interface Slice {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  /** Where it lies in the memory of {@link Staging.checksums}. */
  readonly address: number;
}

/** What wasm/record-stager.ts exports; described there. */
export interface SliceChecksums {
  readonly memory: WebAssembly.Memory;
  stage(
    address: number,
    at: number,
    length: number,
    low: number,
    high: number,
    saltA: number,
    saltB: number,
    digest: number,
  ): number;
  digestOf(): number;
}

/** Compiled once. */
let module: WebAssembly.Module | undefined;

/**
 * The staging buffers of a store. A record's pad differs between ring and disk, so what is written has to be copied;
 * who finds no buffer free waits in line. They lie in the memory of the code that checksums them.
 */
export class Staging {
  readonly checksums: SliceChecksums;
  readonly #free: Slice[] = [];
  readonly #waiting: ((slice: Slice) => void)[] = [];
  readonly #sliceBytes: number;
  #made = 0;

  /** @param sliceBytes a multiple of 8, at most {@link SLICE_BYTES} */
  constructor(sliceBytes = SLICE_BYTES) {
    this.#sliceBytes = sliceBytes;
    module ??= new WebAssembly.Module(Buffer.from(recordStagerWasm, 'base64'));
    // Its memory never grows, which would take the slices their buffer away; what is not used is not taken from the system.
    this.checksums = new WebAssembly.Instance(module, {}).exports as unknown as SliceChecksums;
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
      const { buffer } = this.checksums.memory;
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
