/** Thrown where the bytes are not what the format asks for. */
export class MalformedModule extends Error {
  override name = 'MalformedModule';
}

/** Reads the values of the WebAssembly binary format, from byte `at` up to `end`. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  at: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  get done(): boolean {
    return this.at >= this.#end;
  }

  byte(): number {
    if (this.at >= this.#end) throw new MalformedModule(`byte ${this.at} is past the end`);
    return this.#bytes[this.at++]!;
  }

  /** An unsigned LEB128 of at most 32 bits. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 15) break;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new MalformedModule(`the number at byte ${this.at} has more than 32 bits`);
  }

  name(): string {
    const length = this.u32();
    const start = this.at;
    this.skip(length);
    return new TextDecoder().decode(this.#bytes.subarray(start, this.at));
  }

  skip(bytes: number): void {
    if (bytes > this.#end - this.at)
      throw new MalformedModule(`${bytes} bytes at byte ${this.at} are past the end`);
    this.at += bytes;
  }

  /** A vector: `read` is called once for each item. */
  vector<Item>(read: () => Item): Item[] {
    const items: Item[] = [];
    for (let left = this.u32(); left > 0; left--) items.push(read());
    return items;
  }
}
