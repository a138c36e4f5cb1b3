/**
 * A reference consumer that is slow and obvious: positions are BigInt, the data area is a list of bytes, every byte is
 * fetched modulo the size. It states the rules of peek and drain once more, in words of its own, for rings that somebody
 * hostile writes to.
 */

export interface SlowDrain {
  ret: number;
  samples: number[][];
  discarded: number;
  wakeup: boolean;
}

export class SlowRing {
  readonly data: number[];
  consumer: bigint;
  producer: bigint;

  constructor(size: number, consumer: bigint, producer: bigint) {
    this.data = new Array<number>(size).fill(0);
    this.consumer = consumer;
    this.producer = producer;
  }

  write(offset: number, bytes: Uint8Array): void {
    bytes.forEach((byte, i) => (this.data[(offset + i) % this.data.length] = byte));
  }

  drain(flags: number, stopAt: number, maxTurns: number): SlowDrain {
    const samples: number[][] = [];
    let discarded = 0;
    let ret: number | undefined;
    for (let turn = 0; turn < maxTurns; turn++) {
      const record = this.#peek();
      if (typeof record === 'number') {
        if (record !== -61) ret = record;
        break;
      }
      if (record.discarded) discarded++;
      else samples.push(Array.from({ length: record.length }, (_, i) => this.#byte(BigInt(8 + i))));
      this.consumer = BigInt.asUintN(64, this.consumer + record.total);
      if (!record.discarded && samples.length === stopAt) break;
    }
    const turns = samples.length + discarded;
    const wakeup = flags === 2 || flags === 3 || (flags === 0 && turns > 0);
    return { ret: ret ?? samples.length, samples, discarded, wakeup };
  }

  /** The record at the head, or a negative errno. */
  #peek(): { length: number; total: bigint; discarded: boolean } | number {
    if (this.producer % 8n !== 0n) return -22;
    if (this.consumer >= this.producer) return -61;
    const header = [0n, 1n, 2n, 3n].reduce((sum, i) => sum + this.#byte(i) * 256 ** Number(i), 0);
    const length = header % 0x40000000;
    const discarded = Math.floor(header / 0x40000000) % 2 === 1;
    const busy = header >= 0x80000000;
    const total = ((BigInt(length) + 15n) / 8n) * 8n;
    if (total > this.producer - this.consumer) return -22;
    if (total > BigInt(this.data.length)) return -7;
    if (length > 0xffffff) return -7;
    if (!discarded && busy) return -61;
    return { length, total, discarded };
  }

  #byte(ahead: bigint): number {
    return this.data[Number((this.consumer + ahead) % BigInt(this.data.length))]!;
  }
}
