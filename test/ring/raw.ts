/**
 * A ring image by hand. The numbers here are the tests' own, written out from the format and not imported from src/,
 * so that a renumbering there cannot pass.
 */
import { Consumer, Producer, UserRing, type RingMode } from '../../src/ring/index.js';

export const BUSY = 0x80000000;
export const DISCARD = 0x40000000;

/** A ring of `size` bytes and the means to poke at it. */
export interface RawRing {
  ring: UserRing;
  producer: Producer;
  consumer: Consumer;
  bytes: Uint8Array;
  view: DataView;
}

export interface RawOptions {
  mode?: RingMode;
  shared?: boolean;
  consumer?: bigint;
  producer?: bigint;
}

export function rawRing(size: number, options: RawOptions = {}): RawRing {
  const { mode = 'direct', shared = false, consumer = 0n, producer = 0n } = options;
  const buffer = shared ? new SharedArrayBuffer(0x2000 + size) : new ArrayBuffer(0x2000 + size);
  const view = new DataView(buffer);
  view.setBigUint64(0x0000, consumer, true);
  view.setBigUint64(0x1000, producer, true);
  return attach(new UserRing(buffer, mode));
}

/** The same for a ring that exists. */
export function attach(ring: UserRing): RawRing {
  return {
    ring,
    producer: new Producer(ring),
    consumer: new Consumer(ring),
    bytes: new Uint8Array(ring.buffer),
    view: new DataView(ring.buffer),
  };
}

/** Writes a header word and a pad word at `offset` in the data area. */
export function pokeHeader(raw: RawRing, offset: number, header: number, pad = 0): void {
  raw.view.setUint32(0x2000 + offset, header, true);
  raw.view.setUint32(0x2004 + offset, pad, true);
}

export function pokeProducer(raw: RawRing, position: bigint): void {
  raw.view.setBigUint64(0x1000, position, true);
}

export function pokeConsumer(raw: RawRing, position: bigint): void {
  raw.view.setBigUint64(0x0000, position, true);
}

/** A well-formed run of these payloads, by DataView and not by the code under test. */
export function runOf(payloads: readonly Uint8Array[]): Uint8Array {
  const total = payloads.reduce((sum, payload) => sum + Math.ceil((8 + payload.length) / 8) * 8, 0);
  const run = new Uint8Array(total);
  const view = new DataView(run.buffer);
  let at = 0;
  for (const payload of payloads) {
    view.setUint32(at, payload.length, true);
    run.set(payload, at + 8);
    at += Math.ceil((8 + payload.length) / 8) * 8;
  }
  return run;
}

/** Drains everything there is and keeps copies. */
export function drainAll(raw: RawRing, flags = 0): { ret: number; samples: Uint8Array[] } {
  const samples: Uint8Array[] = [];
  const ret = raw.consumer.drain(
    (sample) => {
      samples.push(sample.copy());
      return 0;
    },
    undefined,
    flags,
  );
  return { ret, samples };
}

/** `length` bytes that differ from their neighbours and, by `salt`, from other payloads. */
export function pattern(length: number, salt = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = salt * 37 + i * 7 + (i >> 8);
  return bytes;
}
