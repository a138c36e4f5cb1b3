import { DYNPTR_MAX_SIZE, Errno, type Dynptr } from '../../../ring/index.js';
import { SampleTooBig, type CodeDrain, type CodeServices, type LoadedCode } from './loaded-code.js';
import { LOG_LEVELS, type Refusal } from './thread-messages.js';

/** Largest text that `ringbuf.log` takes, and largest map name, in bytes. */
const MAX_LOG_BYTES = 1024;
const MAX_NAME_BYTES = 64;
/** Level of `ringbuf.log` where the number is none of 0 to 4. */
const INFO = 2;

interface WasmExports {
  memory: WebAssembly.Memory;
  on_sample(ptr: number, len: number): number;
  sample_buffer(): number;
  sample_buffer_size(): number;
}

/** Why a module is not taken, found when it was run. */
export class CodeRefused extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.detail);
    this.refusal = refusal;
  }
}

/** An instance of a module whose imports and exports are those of the contract (wasm-rules.ts has looked). */
export class WasmCode implements LoadedCode {
  readonly facts: Record<string, unknown>;
  readonly #exports: WasmExports;
  readonly #services: CodeServices;
  /** Offset and size of the module's sample buffer, in bytes. */
  readonly #buffer: number;
  readonly #bufferSize: number;
  #memory: Uint8Array;
  #ctx = new Uint8Array(0);
  #incarnation = new Uint8Array(0);
  #position = (): bigint => 0n;

  /** @throws CodeRefused when the sample buffer is not inside the memory; whatever the module throws */
  constructor(module: WebAssembly.Module, services: CodeServices) {
    this.#services = services;
    const instance = new WebAssembly.Instance(module, {
      ringbuf: {
        log: (level: number, ptr: number, len: number) => this.#log(level, ptr, len),
        emit: (mapPtr: number, mapLen: number, ptr: number, len: number) =>
          this.#emit(mapPtr, mapLen, ptr, len),
        now_ns: () => process.hrtime.bigint(),
        ctx: (ptr: number, len: number) => this.#copy(this.#ctx, ptr, len),
        position: () => this.#position(),
        incarnation: (ptr: number, len: number) => this.#copy(this.#incarnation, ptr, len),
      },
    });
    this.#exports = instance.exports as unknown as WasmExports;
    this.#memory = new Uint8Array(this.#exports.memory.buffer);
    this.#buffer = this.#exports.sample_buffer() >>> 0;
    this.#bufferSize = this.#exports.sample_buffer_size() >>> 0;
    this.#checkBuffer();
    this.facts = { sample_buffer_size: this.#bufferSize, memory_bytes: this.#memory.length };
  }

  begin(drain: CodeDrain): void {
    this.#ctx = new TextEncoder().encode(drain.ctx);
    this.#incarnation = new TextEncoder().encode(drain.incarnation);
    this.#position = drain.position;
  }

  onSample(sample: Dynptr): number {
    const size = sample.size;
    if (size > this.#bufferSize)
      throw new SampleTooBig(
        `the sample has ${size} bytes, the module's sample_buffer_size is ${this.#bufferSize}`,
      );
    sample.read(this.#view(), this.#buffer);
    return this.#exports.on_sample(this.#buffer, size);
  }

  /**
   * Runs the module on an empty, a tiny and the largest sample.
   * @throws CodeRefused for an answer other than 0 and 1; whatever the module throws
   */
  probe(): void {
    this.begin({ ctx: '{}', incarnation: 'probe', position: () => 0n });
    for (const size of new Set([0, Math.min(1, this.#bufferSize), this.#bufferSize])) {
      this.#view().fill(0, this.#buffer, this.#buffer + size);
      const verdict = this.#exports.on_sample(this.#buffer, size);
      if (verdict !== 0 && verdict !== 1)
        throw new CodeRefused({
          rule: 'probe-verdict',
          detail: `on_sample answered ${verdict} for ${size} zero bytes: 0 or 1 is asked for`,
        });
    }
  }

  /** Growing the memory replaces its buffer. */
  #view(): Uint8Array {
    if (this.#memory.buffer !== this.#exports.memory.buffer)
      this.#memory = new Uint8Array(this.#exports.memory.buffer);
    return this.#memory;
  }

  #checkBuffer(): void {
    if (this.#bufferSize < 1 || this.#bufferSize > DYNPTR_MAX_SIZE)
      throw new CodeRefused({
        rule: 'buffer-size',
        detail: `sample_buffer_size() answered ${this.#bufferSize}: 1 to ${DYNPTR_MAX_SIZE} is asked for`,
      });
    const end = this.#buffer + this.#bufferSize;
    if (end > this.#view().length)
      throw new CodeRefused({
        rule: 'buffer-bounds',
        detail: `the sample buffer is at ${this.#buffer} to ${end}, the memory has ${this.#view().length} bytes`,
      });
  }

  /** Bytes of the module's memory; `undefined` when they are not all inside. */
  #slice(ptr: number, len: number): Uint8Array | undefined {
    const memory = this.#view();
    const start = ptr >>> 0;
    const end = start + (len >>> 0);
    return end <= memory.length ? memory.subarray(start, end) : undefined;
  }

  #log(level: number, ptr: number, len: number): void {
    const text = this.#slice(ptr, Math.min(len >>> 0, MAX_LOG_BYTES));
    if (text !== undefined)
      this.#services.log(LOG_LEVELS[level] ?? LOG_LEVELS[INFO], new TextDecoder().decode(text));
  }

  #emit(mapPtr: number, mapLen: number, ptr: number, len: number): number {
    const name = mapLen >>> 0 <= MAX_NAME_BYTES ? this.#slice(mapPtr, mapLen) : undefined;
    const payload = this.#slice(ptr, len);
    if (name === undefined || payload === undefined) return -Errno.EINVAL;
    return this.#services.emit(new TextDecoder().decode(name), payload);
  }

  /** As much of a text as fits; answers how long all of it is. */
  #copy(text: Uint8Array, ptr: number, len: number): number {
    const target = this.#slice(ptr, len);
    if (target === undefined) return -Errno.EINVAL;
    target.set(text.subarray(0, target.length));
    return text.length;
  }
}
