import { joinHalves, type UserRing } from '../ring/index.js';
import type { Clock } from './clock.js';
import { RingbufdError } from './errors.js';
import type { KeptProducer } from './journal/journal.js';

/** The connection that speaks for a producer now. */
export interface ProducerConnection {
  /**
   * Ends its influence at once, before a newer connection is welcomed: nothing more from it is stored, and its
   * reservations are discarded. The socket is closed with 4506.
   */
  replace(): void;
}

/** How far a producer was at one moment. */
export interface ProducerMoment {
  /** Last OUTPUT accepted as a whole. */
  seq: number;
  /** Samples held of the next one. */
  partial: number;
  /** Halves of the end of the last record of an OUTPUT accepted as a whole. */
  low: number;
  high: number;
}

/**
 * What is kept of a producer between its connections: how far it got. On a journalled map two things are told apart:
 * what was accepted, which the sequence rules go by, and what of that is durable, which is what a producer is told.
 */
export class ProducerState {
  /** Null for an anonymous connection, whose state ends with it. */
  readonly id: string | null;
  /** Name of the token that first used the id. */
  readonly owner: string;
  /** Last OUTPUT accepted as a whole. */
  lastSeq = 0;
  /** Samples held of OUTPUT `lastSeq + 1`. */
  partial = 0;
  connection: ProducerConnection | undefined;
  lastSeenMs = 0;
  acceptedSamples = 0;
  acceptedBytes = 0;
  /** Journalled maps: it has changed since the last snapshot. Kept by the map's journal. */
  dirty = false;
  /** Journalled maps: called when more of it is durable. */
  onDurable: (() => void) | undefined;
  /** Snapshots with it that are not durable yet. */
  #inFlight = 0;
  #durable: ProducerMoment | undefined;
  /** Halves of the end of the last record stored, and of the last one acknowledged: no BigInt per frame. */
  #storedLow = 0;
  #storedHigh = 0;
  #ackedLow = 0;
  #ackedHigh = 0;

  /** @param journalled what is accepted may be acknowledged only once it is durable */
  constructor(id: string | null, owner: string, journalled = false) {
    this.id = id;
    this.owner = owner;
    if (journalled) this.#durable = { seq: 0, partial: 0, low: 0, high: 0 };
  }

  /** The state that a journal has kept. Nobody is connected. */
  static restored(kept: KeptProducer, lastSeenMs: number): ProducerState {
    const state = new ProducerState(kept.id, kept.owner, true);
    const { lastSeq, partial, ackedPos, acceptedSamples, acceptedBytes } = kept;
    Object.assign(state, { lastSeq, partial, acceptedSamples, acceptedBytes, lastSeenMs });
    state.#ackedLow = state.#storedLow = Number(BigInt.asIntN(32, ackedPos));
    state.#ackedHigh = state.#storedHigh = Number(BigInt.asIntN(32, ackedPos >> 32n));
    state.#durable = state.#now();
    return state;
  }

  /** Last OUTPUT that may be acknowledged. */
  get ackSeq(): number {
    return this.#durable === undefined ? this.lastSeq : this.#durable.seq;
  }

  /** Samples held of OUTPUT `ackSeq + 1`, as the producer may be told. */
  get ackPartial(): number {
    return this.#durable === undefined ? this.partial : this.#durable.partial;
  }

  /** End of the last acknowledged record. */
  get ackedPos(): bigint {
    const { low, high } = this.#durable ?? { low: this.#ackedLow, high: this.#ackedHigh };
    return joinHalves(low, high);
  }

  /** End of the last record of an OUTPUT accepted as a whole. */
  get acceptedPos(): bigint {
    return joinHalves(this.#ackedLow, this.#ackedHigh);
  }

  /** Whether something of it is accepted and not yet durable. */
  get unsettled(): boolean {
    return this.dirty || this.#inFlight > 0;
  }

  /** It goes into a snapshot as it is now. */
  snapshot(): ProducerMoment {
    this.dirty = false;
    this.#inFlight++;
    return this.#now();
  }

  /** A snapshot of it is durable. */
  settle(moment: ProducerMoment): void {
    this.#inFlight--;
    this.#durable = moment;
  }

  /** Books records of this producer that were stored just now, at the end of the ring. */
  stored(records: number, bytes: number, ring: UserRing): void {
    this.acceptedSamples += records;
    this.acceptedBytes += bytes;
    if (records === 0) return;
    this.#storedLow = ring.producerLow;
    this.#storedHigh = ring.producerHigh;
  }

  /** Notes that everything up to OUTPUT `seq` is in the ring. An empty OUTPUT acknowledges no further record. */
  accept(seq: number): void {
    this.lastSeq = seq;
    this.partial = 0;
    this.#ackedLow = this.#storedLow;
    this.#ackedHigh = this.#storedHigh;
  }

  #now(): ProducerMoment {
    return { seq: this.lastSeq, partial: this.partial, low: this.#ackedLow, high: this.#ackedHigh };
  }
}

/** What to do with an OUTPUT frame. */
export type OutputVerdict = 'store' | 'already_accepted' | 'ignore' | 'out_of_sequence';

/**
 * The sequence rules of OUTPUT, as a pure function.
 * @param open number of the OUTPUT that an ERROR left open on this connection, 0 for none
 */
export function judgeOutput(
  state: Pick<ProducerState, 'lastSeq'>,
  open: number,
  frame: { seq: number; resend: boolean },
): OutputVerdict {
  if (open !== 0 && frame.seq !== open) return 'ignore';
  if (frame.seq === state.lastSeq + 1) return 'store';
  return frame.resend && frame.seq <= state.lastSeq && frame.seq > 0 ? 'already_accepted' : 'out_of_sequence';
}

/** The producer states of one map, by producer id. Bounded: idle states are forgotten, least recently used first. */
export class ProducerStates {
  readonly #states = new Map<string, ProducerState>();
  readonly #clock: Clock;
  readonly #max: number;
  readonly #ttlMs: number;
  readonly #onForgotten: (id: string) => void;
  readonly #journalled: boolean;

  /**
   * @param onForgotten called with each producer id whose state goes
   * @param journalled see {@link ProducerState}
   */
  constructor(
    clock: Clock,
    max: number,
    ttlMs: number,
    onForgotten: (id: string) => void = () => undefined,
    journalled = false,
  ) {
    this.#clock = clock;
    this.#onForgotten = onForgotten;
    this.#max = max;
    this.#ttlMs = ttlMs;
    this.#journalled = journalled;
  }

  /** Takes up what a journal has kept, least recently seen first. */
  restore(kept: readonly KeptProducer[]): void {
    const { wallMs, nowMs } = { wallMs: this.#clock.wallMs(), nowMs: this.#clock.nowMs() };
    for (const producer of [...kept].sort((a, b) => a.lastSeenMs - b.lastSeenMs)) {
      // A wall clock that was set back must not make a state older than it can be, nor younger than now.
      const ageMs = Math.max(0, wallMs - producer.lastSeenMs);
      this.#states.set(producer.id, ProducerState.restored(producer, nowMs - ageMs));
    }
  }

  get size(): number {
    return this.#states.size;
  }

  get(id: string): ProducerState | undefined {
    return this.#states.get(id);
  }

  /**
   * The state of a producer id for a new connection.
   * @returns the state, and whether it was there before
   * @throws RingbufdError FORBIDDEN (the id belongs to another token), LIMIT_PRODUCERS
   */
  claim(id: string, owner: string): { state: ProducerState; resumed: boolean } {
    const known = this.#states.get(id);
    if (known !== undefined) {
      if (known.owner !== owner)
        throw new RingbufdError('FORBIDDEN', `producer id "${id}" belongs to another token on this map`);
      // Re-inserted at the end: the map's order is the order of use.
      this.#states.delete(id);
      this.#states.set(id, known);
      return { state: known, resumed: true };
    }
    this.#makeRoom();
    const state = new ProducerState(id, owner, this.#journalled);
    this.#states.set(id, state);
    return { state, resumed: false };
  }

  /**
   * The state that the daemon keeps for itself under an id that is not a producer's; new when it had another owner.
   * @returns undefined when too many ids are remembered
   */
  claimInternal(id: string, owner: string): ProducerState | undefined {
    if (this.#states.get(id)?.owner !== owner) this.#states.delete(id);
    try {
      const { state } = this.claim(id, owner);
      this.release(state);
      return state;
    } catch (error) {
      if (error instanceof RingbufdError && error.key === 'LIMIT_PRODUCERS') return undefined;
      throw error;
    }
  }

  /** Notes that a state's connection has ended. */
  release(state: ProducerState): void {
    state.connection = undefined;
    state.lastSeenMs = this.#clock.nowMs();
  }

  #makeRoom(): void {
    const oldEnough = this.#clock.nowMs() - this.#ttlMs;
    for (const [id, state] of this.#states) {
      if (this.#states.size < this.#max) return;
      if (state.connection !== undefined || state.lastSeenMs > oldEnough) continue;
      this.#states.delete(id);
      this.#onForgotten(id);
    }
    if (this.#states.size >= this.#max)
      throw new RingbufdError('LIMIT_PRODUCERS', `${this.#max} producer ids are remembered on this map`);
  }
}
