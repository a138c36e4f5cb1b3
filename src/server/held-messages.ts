/** A message that was held. */
export interface HeldMessage {
  data: Uint8Array;
  isBinary: boolean;
}

/** Before each message: twice its length, and one more when it is binary. u32, little endian. */
const HEAD_BYTES = 4;
const NOTHING = Buffer.alloc(0);

/**
 * Messages that wait for their session, in order, in one piece of memory. With an object for each, a connection that
 * sends messages of one byte before it has to wait would cost the daemon thirty times what it sent.
 */
export class HeldMessages {
  #bytes: Buffer = NOTHING;
  #from = 0;
  #to = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Keeps a copy. */
  add(data: Uint8Array, isBinary: boolean): void {
    const size = HEAD_BYTES + data.length;
    if (this.#to + size > this.#bytes.length) this.#makeRoom(size);
    this.#bytes.writeUInt32LE(data.length * 2 + (isBinary ? 1 : 0), this.#to);
    this.#bytes.set(data, this.#to + HEAD_BYTES);
    this.#to += size;
    this.#count++;
  }

  /** The first one, which is not kept any longer. */
  take(): HeldMessage | undefined {
    if (this.#count === 0) return undefined;
    const head = this.#bytes.readUInt32LE(this.#from);
    const at = this.#from + HEAD_BYTES;
    const end = at + (head >>> 1);
    const data = this.#bytes.subarray(at, end);
    this.#from = end;
    this.#count--;
    if (this.#count === 0) this.clear();
    return { data, isBinary: (head & 1) === 1 };
  }

  clear(): void {
    this.#bytes = NOTHING;
    this.#from = 0;
    this.#to = 0;
    this.#count = 0;
  }

  /** What was handed out keeps the old memory. */
  #makeRoom(bytes: number): void {
    const held = this.#bytes.subarray(this.#from, this.#to);
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * held.length, held.length + bytes));
    larger.set(held);
    this.#bytes = larger;
    this.#from = 0;
    this.#to = held.length;
  }
}
