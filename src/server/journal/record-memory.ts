import { PlainRecordCode } from './plain-record-code.js';
import type { RecordCode } from './record-code.js';
import { recordStagerWasm } from './record-stager-wasm.js';

const WASM_PAGE_BYTES = 65_536;

/** Compiled once. */
let module: WebAssembly.Module | undefined;

/** Memory in which records get their checksums where they lie. */
export interface RecordMemory {
  readonly buffer: ArrayBuffer;
  readonly code: RecordCode;
}

/** Taken from the system as it is used, and never grows. */
export class WasmRecordMemory implements RecordMemory {
  readonly buffer: ArrayBuffer;
  readonly code: RecordCode;

  /**
   * @param bytes at least so many
   * @throws RangeError when there is no memory, or none of the address space that WebAssembly reserves for it
   */
  constructor(bytes: number) {
    module ??= new WebAssembly.Module(Buffer.from(recordStagerWasm, 'base64'));
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / WASM_PAGE_BYTES) });
    this.buffer = memory.buffer;
    this.code = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as RecordCode;
  }
}

/** @returns `undefined` where the system has no memory for it, or no address space */
function wasmMemory(bytes: number): RecordMemory | undefined {
  try {
    return new WasmRecordMemory(bytes);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Memory for records, also where there is none for WebAssembly. */
export function recordMemory(bytes: number): RecordMemory {
  const memory = wasmMemory(bytes);
  if (memory !== undefined) return memory;
  const buffer = new ArrayBuffer(bytes);
  return { buffer, code: new PlainRecordCode(buffer) };
}

/**
 * WebAssembly reserves 10 GiB of address space for each memory, however small, to do without bounds checks. A process has
 * 128 TiB on x64; some arm64 kernels leave it 512 GiB.
 */
const MOST_RINGS = process.arch === 'x64' ? 1024 : 16;

/** Memories for the rings of a store, as many as the address space is good for. */
export class RingMemories {
  #left: number;

  constructor(most = MOST_RINGS) {
    this.#left = most;
  }

  /** @returns `undefined` when there is none left; the others are to be given back */
  take(bytes: number): RecordMemory | undefined {
    if (this.#left === 0) return undefined;
    const memory = wasmMemory(bytes);
    if (memory !== undefined) this.#left--;
    return memory;
  }

  /** The ring has left it: garbage collection takes it. */
  giveBack(): void {
    this.#left++;
  }
}
