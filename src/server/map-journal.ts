/**
 * The journal of one map, as the map sees it: who waits for a commit, and what follows one. Everything that is told to
 * producers, shown to drains or given back as room goes through here on a journalled map.
 */
import type { Logger } from 'pino';
import type { UserRing } from '../ring/index.js';
import type { Clock } from './clock.js';
import { RingbufdError } from './errors.js';
import type {
  Durability,
  Journal,
  JournalHost,
  JournalSnapshot,
  KeptBooks,
  KeptCounters,
  KeptProducer,
  KeptRun,
  LoopTally,
  RecoveredMap,
  SyncTally,
} from './journal/journal.js';
import type { MapCounters } from './map-counters.js';
import type { ProducerMoment, ProducerState } from './producer-states.js';

/**
 * `ok`; `full`: no room for a commit, nothing is lost and it goes on by itself; `failed`: what the disk holds is
 * unknown, the map is read-only until the daemon is started anew.
 */
export type JournalState = 'ok' | 'full' | 'failed';

/** Somebody who waits until what is there now is durable. */
export interface CommitWaiter {
  /** It is durable. */
  durable(): void;
  /** There is no room for it at the moment; `durable` follows once there is. */
  full?(): void;
  /** It never will be, as far as anybody can tell. */
  failed?(): void;
}

/** What a journal keeps of a map beside its records. */
export interface KeptMoment {
  /** A position before which everything was released. */
  readonly position: bigint;
  /** The books that say so. */
  readonly counters: KeptCounters;
  readonly runs: readonly KeptRun[];
  /** Producers whose books have changed. */
  readonly touched: readonly string[];
}

/** What the map does around commits. */
export interface JournalledMap {
  checkpoint(): KeptMoment;
  /** The ledger of a producer. */
  booksOf(producer: string): KeptBooks;
  stateOf(producer: string): ProducerState | undefined;
  /** Positions have been published: room may have come back. */
  committed(): void;
  /** All that waited for this commit was told; there may be something to drain. */
  followed(wasFull: boolean): void;
  /** Nothing is durable any more. */
  failed(): void;
}

/** What one snapshot holds beside its positions. */
interface Cohort {
  readonly moments: readonly { state: ProducerState; moment: ProducerMoment }[];
  readonly waiters: CommitWaiter[];
}

export interface MapJournalDeps {
  map: string;
  ring: UserRing;
  journal: Journal;
  counters: MapCounters;
  clock: Clock;
  logger: Logger;
}

export class MapJournal implements JournalHost {
  readonly ring: UserRing;
  readonly #deps: MapJournalDeps;
  readonly #journal: Journal;
  #map: JournalledMap | undefined;
  #state: JournalState = 'ok';
  #dirty: ProducerState[] = [];
  #forgotten = new Set<string>();
  #waiters: CommitWaiter[] = [];
  /** Something has changed since the last snapshot. */
  #changed = false;
  #inFlight: Cohort[] = [];

  constructor(deps: MapJournalDeps) {
    this.#deps = deps;
    this.ring = deps.ring;
    this.#journal = deps.journal;
  }

  get durability(): Durability {
    return this.#journal.durability;
  }

  get syncs(): SyncTally {
    return this.#journal.syncs;
  }

  get loop(): LoopTally {
    return this.#journal.loop;
  }

  get state(): JournalState {
    return this.#state;
  }

  /** Whether nothing can be stored now. */
  get blocked(): boolean {
    return this.#state !== 'ok';
  }

  /** Brings back what the journal holds. @returns `undefined` for a new map */
  recover(): RecoveredMap | undefined {
    const recovered = this.#journal.attach(this);
    this.ring.publish(recovered?.producerPos ?? 0n, recovered?.consumerPos ?? 0n);
    return recovered;
  }

  /** From now on the map takes part. */
  serve(map: JournalledMap): void {
    this.#map = map;
  }

  /** Something in the ring, or behind its positions, has changed. Called for every frame. */
  changed(): void {
    this.#changed = true;
    this.#journal.changed();
  }

  /** A producer's state is about to change, or has; it goes into the next snapshot. */
  touch(state: ProducerState): void {
    if (state.dirty) return;
    state.dirty = true;
    this.#dirty.push(state);
  }

  /** A reservation was submitted: BUSY goes once that is durable, and not before. */
  submitted(position: bigint, clearBusy: () => void): void {
    this.#journal.rewritten(position, 'sample');
    this.changed();
    this.#waiters.push({ durable: clearBusy });
  }

  /** A reservation was discarded. No drain has to wait for it: BUSY at a crash means the same. */
  discarded(position: bigint): void {
    this.#journal.rewritten(position, 'discard');
    this.changed();
  }

  forget(id: string): void {
    this.#forgotten.add(id);
    this.changed();
  }

  /** Tells `waiter` once everything that is there now is durable: at once when it is. */
  wait(waiter: CommitWaiter): void {
    if (this.#state === 'failed') {
      waiter.failed?.();
    } else {
      const waiters = this.#changed ? this.#waiters : this.#inFlight.at(-1)?.waiters;
      if (waiters === undefined) {
        waiter.durable();
        return;
      }
      waiters.push(waiter);
      if (this.#state === 'full') waiter.full?.();
    }
  }

  /**
   * Resolves once everything that is there now is durable.
   * @param whenFull what to do while the disk has no room
   * @throws RingbufdError JOURNAL_FAILED, JOURNAL_FULL
   */
  settled(whenFull: 'wait' | 'reject' = 'wait'): Promise<void> {
    return new Promise((resolve, reject) => {
      this.wait({
        durable: resolve,
        ...(whenFull === 'reject' && { full: () => reject(new RingbufdError('JOURNAL_FULL')) }),
        failed: () => reject(new RingbufdError('JOURNAL_FAILED')),
      });
    });
  }

  /**
   * Commits what is left, and lets go of the file. When that is not to be had, whoever waits for it is told.
   * @throws what {@link Journal.close} throws
   */
  async close(): Promise<void> {
    try {
      await this.#journal.close();
    } catch (error) {
      this.#state = 'failed';
      for (const waiter of this.#takeWaiters()) waiter.failed?.();
      throw error;
    }
  }

  /** Called by the journal, never from inside a call to it. */
  snapshot(): JournalSnapshot {
    const map = this.#map!;
    const { position, counters, runs, touched } = map.checkpoint();
    for (const producer of touched) {
      const state = map.stateOf(producer);
      if (state !== undefined) this.touch(state);
    }
    const moments = this.#dirty.map((state) => ({ state, moment: state.snapshot() }));
    const producers = moments.flatMap(({ state }) => this.#kept(state));
    const forgotten = [...this.#forgotten].filter((id) => !producers.some((kept) => kept.id === id));
    this.#inFlight.push({ moments, waiters: this.#waiters });
    this.#dirty = [];
    this.#forgotten = new Set();
    this.#waiters = [];
    this.#changed = false;
    return {
      producerPos: this.ring.producerPosition,
      consumerPos: position,
      producers,
      forgotten,
      counters,
      runs,
    };
  }

  durable(snapshot: JournalSnapshot): void {
    const map = this.#map!;
    const cohort = this.#inFlight.shift()!;
    const wasFull = this.#state === 'full';
    this.#state = 'ok';
    this.#deps.counters.journalCommits++;
    this.ring.publish(snapshot.producerPos, snapshot.consumerPos);
    if (wasFull)
      this.#deps.logger.info({ map: this.#deps.map }, 'the journal has room again: the map takes samples');
    for (const { state, moment } of cohort.moments) state.settle(moment);
    map.committed();
    for (const waiter of cohort.waiters) waiter.durable();
    for (const { state } of cohort.moments) state.onDurable?.();
    map.followed(wasFull);
  }

  failed(errno: 'ENOSPC' | 'EIO', error: unknown): void {
    const { map, logger } = this.#deps;
    if (errno === 'ENOSPC') {
      if (this.#state !== 'ok') return;
      this.#state = 'full';
      logger.warn({ map, err: error }, 'the journal has no room: the map takes nothing until there is');
      for (const waiter of this.#allWaiters) waiter.full?.();
      return;
    }
    if (this.#state === 'failed') return;
    this.#state = 'failed';
    const waiters = this.#takeWaiters();
    logger.error(
      { map, err: error },
      'the journal failed: the map is read-only until the daemon is started anew',
    );
    for (const waiter of waiters) waiter.failed?.();
    this.#map?.failed();
  }

  get #allWaiters(): CommitWaiter[] {
    return [...this.#inFlight.flatMap((cohort) => cohort.waiters), ...this.#waiters];
  }

  #takeWaiters(): CommitWaiter[] {
    const waiters = this.#allWaiters;
    this.#inFlight = [];
    this.#waiters = [];
    return waiters;
  }

  /** Anonymous producers end with their connection: nothing of them is kept. */
  #kept(state: ProducerState): KeptProducer[] {
    if (state.id === null) return [];
    const { id, owner, lastSeq, partial, acceptedSamples, acceptedBytes } = state;
    const { clock } = this.#deps;
    const agoMs = state.connection === undefined ? clock.nowMs() - state.lastSeenMs : 0;
    return [
      {
        id,
        owner,
        lastSeq,
        partial,
        ackedPos: state.acceptedPos,
        acceptedSamples,
        acceptedBytes,
        lastSeenMs: Math.round(clock.wallMs() - agoMs),
        books: this.#map!.booksOf(id),
      },
    ];
  }
}
