import { prefixThatFits, type Producer, type UserRing } from '../ring/index.js';

/** A checked run that waits for room, or the rest of one. */
export interface WaitingRun {
  readonly run: Uint8Array;
  readonly view: DataView;
  /** Bytes of it that are in the ring already. */
  at: number;
  readonly atomic: boolean;
  /** After more of it was stored. */
  stored(records: number, bytes: number): void;
  /** After all of it was stored; the run has left the queue. */
  done(): void;
}

/**
 * The connections that wait for room in one ring (on_full=block, plain mode), served in order of arrival and before
 * anything newer: while somebody waits, nobody else may store.
 */
export class SpaceQueue {
  readonly #ring: UserRing;
  readonly #producer: Producer;
  readonly #waiting: WaitingRun[] = [];
  #serving = false;
  /** Called before bytes of the ring are written over. */
  beforeStore: () => void = () => undefined;
  readonly #blocked: () => boolean;
  /** Bytes of room that are kept for what a handler may emit. */
  #held = 0;

  /** @param blocked whether there is no room for anybody, whatever the ring says: its journal cannot take anything */
  constructor(ring: UserRing, producer: Producer, blocked: () => boolean = () => false) {
    this.#ring = ring;
    this.#producer = producer;
    this.#blocked = blocked;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Room that a newcomer may use now: none while others wait. */
  get roomForNewcomers(): number {
    return this.#waiting.length > 0 ? 0 : this.#free;
  }

  /** Room that is neither filled nor held. */
  get #free(): number {
    if (this.#blocked()) return 0;
    return Math.max(0, this.#ring.free - this.#held);
  }

  /** Keeps room from everybody else. @returns bytes held: as many as asked for, or what a newcomer has */
  hold(bytes: number): number {
    const granted = Math.min(bytes, this.roomForNewcomers);
    this.#held += granted;
    return granted;
  }

  /** Gives room that was held to everybody, or to whoever held it and stores into it now. */
  letGo(bytes: number): void {
    this.#held -= bytes;
  }

  join(waiting: WaitingRun): void {
    this.#waiting.push(waiting);
    this.serve();
  }

  /** Takes a run out again: its connection has gone. What was stored of it stays. */
  leave(waiting: WaitingRun): void {
    const index = this.#waiting.indexOf(waiting);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  /** Stores what fits now. Called whenever the consumer position has moved, and when the head of the queue has left. */
  serve(): void {
    // `done` may lead to the next output of the same connection, which joins the queue again: the loop below takes it.
    if (this.#serving) return;
    this.#serving = true;
    try {
      for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
        this.#storePrefix(head);
        if (head.at < head.run.length) break;
        this.leave(head);
        head.done();
      }
    } finally {
      this.#serving = false;
    }
  }

  #storePrefix(head: WaitingRun): void {
    const room = this.#free;
    const missing = head.run.length - head.at;
    const fits =
      missing > room && head.atomic ? { records: 0, bytes: 0 } : prefixThatFits(head.view, head.at, room);
    if (fits.records === 0) return;
    this.beforeStore();
    this.#producer.outputRun(head.run.subarray(head.at, head.at + fits.bytes));
    head.at += fits.bytes;
    head.stored(fits.records, fits.bytes);
  }
}
