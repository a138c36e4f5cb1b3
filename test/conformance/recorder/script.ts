import { Sketch, roundUp8 } from './sketch.js';

/** Scripts stay short, so that a trace that differs can be read. */
const MAX_OPS = 80;
/** And quick to replay. One drain may take 131072 turns; after these no script begins another one. */
const MAX_TURNS = 300_000;

interface Reservation {
  /** How many-th reserve op of the script it was: scripts name reservations by that. */
  index: number;
  header: number;
}

/** A script being written: its lines, and a sketch of the ring they lead to. */
export class Script {
  readonly lines: string[];
  readonly ring: Sketch;
  /** Reservations that are neither submitted nor discarded, oldest first. */
  readonly open: Reservation[] = [];
  /** The others. */
  readonly ended: Reservation[] = [];
  #reserves = 0;

  constructor(name: string, size: number) {
    this.lines = [`trace ${name} ${size}`];
    this.ring = new Sketch(size);
  }

  get opsLeft(): number {
    return this.ring.turns > MAX_TURNS ? 0 : MAX_OPS + 1 - this.lines.length;
  }

  reserve(size: number): void {
    this.#add(`reserve ${size}`);
    const header = this.ring.reserve(size);
    const index = this.#reserves++;
    if (header !== undefined) this.open.push({ index, header });
  }

  /** Ends the open reservation at this place of `open`. */
  commit(place: number, discard: boolean): void {
    const [reservation] = this.open.splice(place, 1);
    if (!reservation) return;
    this.ended.push(reservation);
    this.#commit(reservation, discard);
  }

  /** Ends a reservation once more, whatever is in its place by now. */
  commitAgain(place: number, discard: boolean): void {
    const reservation = this.ended[place];
    if (reservation) this.#commit(reservation, discard);
  }

  output(size: number): void {
    this.reserve(size);
    if (this.open.at(-1)?.index === this.#reserves - 1) this.commit(this.open.length - 1, false);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#add(`write ${offset} ${Buffer.from(bytes).toString('hex')}`);
    this.ring.write(offset, bytes);
  }

  /** A record's header and the beginning of its payload, at a position; returns where the next record would start. */
  writeRecord(position: bigint, header: number, pad = 0, payload: Uint8Array = new Uint8Array()): bigint {
    const bytes = new Uint8Array(8 + payload.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, header, true);
    view.setUint32(4, pad, true);
    bytes.set(payload, 8);
    this.write(this.ring.offset(position & ~7n), bytes);
    return position + BigInt(roundUp8((header & 0x3fffffff) + 8));
  }

  prodpos(position: bigint): void {
    this.ring.prod = BigInt.asUintN(64, position);
    this.#add(`prodpos ${this.ring.prod}`);
  }

  drain(flags = 0n, stopAfter = -1, nested = false): void {
    this.#add(`${nested ? 'drain_nested' : 'drain'} ${flags} ${stopAfter}`);
    this.ring.drain(flags, stopAfter);
  }

  poll(): void {
    this.#add('poll');
  }

  create(keySize: number, valueSize: number, maxEntries: number, mapFlags: number): void {
    this.#add(`create ${keySize} ${valueSize} ${maxEntries} ${mapFlags}`);
  }

  #commit(reservation: Reservation, discard: boolean): void {
    this.#add(`${discard ? 'discard' : 'submit'} @${reservation.index}`);
    this.ring.commit(reservation.header, discard);
  }

  #add(line: string): void {
    this.lines.push(line);
  }
}
