/**
 * The producer's ops over `ringbuf.v1`. A managed map has them as frames. A direct map only takes raw bytes and raw
 * positions, so that there the client is libbpf: it computes a reservation itself, in 32 bits as libbpf does.
 */
import { Errno } from '../../src/ring/errno.js';
import { Op, type ReservedFrame } from '../../src/wire/index.js';
import type { FrameClient } from './frame-client.js';
import { payloadByte } from './trace.js';

/** Both positions, as the daemon told them last. */
export interface Positions {
  cons: bigint;
  prod: bigint;
}

export interface NetworkProducer {
  /** Returns 0, -E2BIG or -ENOSPC; a success gets the next id. */
  reserve(size: number, now: Positions): Promise<number>;
  end(id: number, discard: boolean): Promise<void>;
}

/** RESERVE, SUBMIT and DISCARD on a managed map. */
export class ManagedProducer implements NetworkProducer {
  readonly #client: FrameClient;
  readonly #reservations: { position: bigint; size: number }[] = [];

  constructor(client: FrameClient) {
    this.#client = client;
  }

  async reserve(size: number): Promise<number> {
    const reply = await this.#client.request({ op: Op.RESERVE, size });
    if (reply.op === Op.ERROR) return -reply.errno;
    this.#reservations.push({ position: (reply as ReservedFrame).position, size });
    return 0;
  }

  async end(id: number, discard: boolean): Promise<void> {
    const { position, size } = this.#reservations[id]!;
    await this.#client.insist(
      discard
        ? { op: Op.DISCARD, position }
        : { op: Op.SUBMIT, position, payload: new Uint8Array(size).fill(payloadByte(id)) },
    );
  }
}

const HEADER_SIZE = 8;
const BUSY = 0x80000000;
const DISCARD = 0x40000000;
const MAX_WRITE = 512 * 1024;

/** WRITE and COMMIT on a direct map. */
export class DirectProducer implements NetworkProducer {
  readonly #client: FrameClient;
  /** The data area as this producer, its only writer, left it: the daemon has no op that reads it back. */
  readonly #image: Buffer;
  readonly #headers: number[] = [];

  constructor(client: FrameClient, size: number) {
    this.#client = client;
    this.#image = Buffer.alloc(size);
  }

  /** As `user_ring_buffer__reserve` of libbpf: all sizes are u32. */
  async reserve(size: number, { cons, prod }: Positions): Promise<number> {
    if (size >= DISCARD) return -Errno.E2BIG;
    const ring = this.#image.length;
    const available = Number(BigInt.asUintN(32, BigInt(ring) - (prod - cons)));
    const total = Math.ceil((size + HEADER_SIZE) / 8) * 8;
    if (total > ring) return -Errno.E2BIG;
    if (available < total) return -Errno.ENOSPC;
    const offset = Number(BigInt.asUintN(32, prod)) % ring;
    const header = Buffer.alloc(HEADER_SIZE);
    header.writeUInt32LE(size + BUSY);
    await this.write(offset, header);
    await this.commit(BigInt.asUintN(64, prod + BigInt(total)));
    const id = this.#headers.push(offset) - 1;
    await this.write((offset + HEADER_SIZE) % ring, Buffer.alloc(size, payloadByte(id)));
    return 0;
  }

  async end(id: number, discard: boolean): Promise<void> {
    const offset = this.#headers[id]!;
    const word = Buffer.from([0, 1, 2, 3].map((i) => this.#image[(offset + i) % this.#image.length]!));
    // The top byte holds both bits. Only BUSY goes; a DISCARD that somebody wrote meanwhile stays.
    word[3] = (word[3]! & 0x7f) | (discard ? 0x40 : 0);
    await this.write(offset, word);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += MAX_WRITE) {
      const part = bytes.subarray(at, at + MAX_WRITE);
      this.#store(offset + at, part);
      const reply = await this.#client.insist({ op: Op.WRITE, offset: BigInt(offset + at), bytes: part });
      expectDone(reply);
    }
  }

  async commit(producerPos: bigint): Promise<void> {
    expectDone(await this.#client.insist({ op: Op.COMMIT, producerPos }));
  }

  #store(offset: number, bytes: Uint8Array): void {
    const at = offset % this.#image.length;
    const first = bytes.subarray(0, this.#image.length - at);
    this.#image.set(first, at);
    this.#image.set(bytes.subarray(first.length), 0);
  }
}

function expectDone(reply: { op: number }): void {
  if (reply.op !== Op.DONE) throw new Error(`answered with op ${reply.op} and not DONE`);
}
