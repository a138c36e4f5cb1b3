/**
 * What producers put into one map: runs, reservations, raw writes. Sessions, REST and emitting handlers come here; the
 * only code that moves a hosted ring's producer position.
 */
import type { Producer } from '../ring/index.js';
import { checkRun, Errno, recordSize, type ReservationOffset, type UserRing } from '../ring/index.js';
import { FRAME_HEADER_SIZE } from '../wire/index.js';
import type { Clock } from './clock.js';
import { RingbufdError } from './errors.js';
import type { EmitTarget } from './handlers/index.js';
import type { LedgerLine } from './ledger/ledger-line.js';
import type { MapLedger } from './ledger/map-ledger.js';
import type { MapCounters } from './map-counters.js';
import type { MapJournal } from './map-journal.js';
import type { OldestSample } from './oldest-sample.js';
import { Reservations, type ReservationHolder } from './reservations.js';
import type { SpaceQueue } from './space-queue.js';
import type { WakeupHub } from './wakeup-hub.js';

export interface MapIntakeDeps {
  map: string;
  ring: UserRing;
  counters: MapCounters;
  ledger: MapLedger;
  journal: MapJournal | undefined;
  oldest: OldestSample;
  watchers: WakeupHub;
  clock: Clock;
  leaseMs: number;
  maxReservations: number;
  /** When a producer that found the ring full should try again, in ms. */
  retryAfterMs: () => number;
  /** Number of the map's last drain. */
  drainNumber: () => number;
  /** There may be something to drain. */
  onChanged: () => void;
}

export class MapIntake {
  readonly #deps: MapIntakeDeps;
  readonly #ring: UserRing;
  readonly #counters: MapCounters;
  readonly #ledger: MapLedger;
  readonly #oldest: OldestSample;
  readonly #waiting: SpaceQueue;
  readonly #producer: Producer;
  readonly #reservations: Reservations;
  #closed = false;

  constructor(producer: Producer, waiting: SpaceQueue, deps: MapIntakeDeps) {
    this.#deps = deps;
    this.#ring = deps.ring;
    this.#counters = deps.counters;
    this.#ledger = deps.ledger;
    this.#oldest = deps.oldest;
    this.#waiting = waiting;
    this.#producer = producer;
    this.#reservations = new Reservations(
      producer,
      deps.clock,
      deps.leaseMs,
      {
        expired: (count) => this.#leasesExpired(count),
        discarded: (position, size) => this.#ledger.discarded(lowOf(position), recordSize(size)),
      },
      deps.journal,
    );
  }

  get openReservations(): number {
    return this.#reservations.size;
  }

  /**
   * Stores a checked run that fits: the caller has looked at the room.
   * @param line whose samples they are
   */
  store(run: Uint8Array, records: number, line: LedgerLine = this.#ledger.daemon): void {
    this.#ledger.beforeStore();
    this.#producer.outputRun(run);
    this.stored(records, run.length, line);
  }

  /**
   * {@link store} for the one record of an OUTPUT frame.
   * @param frame whose record was checked and fits
   * @param more whether such a record was stored in the same turn of the event loop: what only has to be done once a turn
   *   is done then, and {@link changed} is to be called behind the last one
   */
  storeFrame(frame: Uint8Array, line: LedgerLine, more: boolean): void {
    const bytes = frame.length - FRAME_HEADER_SIZE;
    this.#ledger.beforeStore();
    this.#producer.outputMessage(frame);
    this.#counters.acceptedSamples++;
    this.#counters.acceptedBytes += bytes;
    this.#ledger.accepted(line, 1, bytes);
    if (more) return;
    this.#oldest.note((this.#ring.producerLow - bytes) | 0, this.#deps.clock.callbackMs());
    this.#deps.onChanged();
  }

  /** There may be more to drain than when that was last said. */
  changed(): void {
    this.#deps.onChanged();
  }

  /** Books what was stored, here or by the queue of waiting connections. */
  stored(records: number, bytes: number, line: LedgerLine): void {
    if (records > 0) this.#oldest.note((this.#ring.producerLow - bytes) | 0, this.#deps.clock.callbackMs());
    this.#counters.acceptedSamples += records;
    this.#counters.acceptedBytes += bytes;
    if (records > 0) this.#ledger.accepted(line, records, bytes);
    this.#deps.onChanged();
  }

  /** Where a handler of another map emits into. `undefined` for a direct map, whose producer it would fight with. */
  emitTarget(): EmitTarget | undefined {
    if (this.#ring.mode === 'direct' || this.#closed) return undefined;
    let held = 0;
    return {
      grant: (bytes) => (held = this.#waiting.hold(bytes)),
      store: (run, records) => {
        held -= run.length;
        this.#waiting.letGo(run.length);
        // The map was deleted while the drain that emits went on: this is gone with it.
        if (!this.#closed) this.store(run, records);
      },
      settle: () => {
        this.#waiting.letGo(held);
        if (held === 0) return;
        held = 0;
        this.#waiting.serve();
        void this.#deps.watchers.wake(false, 0, this.#deps.drainNumber());
      },
    };
  }

  /**
   * Stores a run as a whole or not at all: for producers without a connection.
   * @returns samples stored
   * @throws RingbufdError NOT_ALLOWED_HERE, BAD_RUN, NEVER_FITS, RING_FULL, JOURNAL_FULL, JOURNAL_FAILED
   */
  storeAtomically(run: Uint8Array, line: LedgerLine = this.#ledger.rest): number {
    if (this.#ring.mode === 'direct') {
      this.#counters.refuse('EPERM', 'not_allowed');
      throw new RingbufdError(
        'NOT_ALLOWED_HERE',
        `map "${this.#deps.map}" is direct: it takes WRITE and COMMIT only`,
      );
    }
    const records = checkRun(new DataView(run.buffer, run.byteOffset, run.byteLength), this.#ring.size);
    if (records === -Errno.EINVAL) {
      this.#counters.refuse('EINVAL', 'bad_run');
      throw new RingbufdError('BAD_RUN');
    }
    if (records < 0 || run.length > this.#ring.size) {
      this.#counters.refuse('E2BIG', 'never_fits');
      throw new RingbufdError(
        'NEVER_FITS',
        `${run.length} bytes as records, the ring has ${this.#ring.size}`,
      );
    }
    this.#refuseReadOnly();
    if (run.length > this.#waiting.roomForNewcomers)
      throw this.noRoom(`${run.length} bytes as records, ${this.#ring.free} are free`);
    this.store(run, records, line);
    return records;
  }

  /** The refusal of something for which there is no room now, counted. */
  noRoom(detail: string): RingbufdError {
    const retryAfterMs = this.#deps.retryAfterMs();
    if (this.#deps.journal?.blocked) {
      this.#counters.refuse('ENOSPC', 'journal');
      return new RingbufdError('JOURNAL_FULL', undefined, { retryAfterMs });
    }
    this.#counters.refuse('ENOSPC', 'ring_full');
    return new RingbufdError('RING_FULL', detail, { retryAfterMs });
  }

  /**
   * Reserves for a connection.
   * @param line whose samples they are
   * @returns the position of the reservation
   * @throws RingbufdError NEVER_FITS, RING_FULL, JOURNAL_FULL, JOURNAL_FAILED, LIMIT_RESERVATIONS
   */
  reserve(holder: ReservationHolder, size: number, line: LedgerLine = this.#ledger.daemon): bigint {
    if (holder.openReservations >= this.#deps.maxReservations) {
      this.#counters.refuse('ENOMEM', 'reservation_limit');
      throw new RingbufdError('LIMIT_RESERVATIONS', `${holder.openReservations} reservations are open`);
    }
    this.#refuseReadOnly();
    const position = this.#ring.producerPosition;
    const low = this.#ring.producerLow;
    // While others wait for room, a newcomer has none: they would wait for ever behind a stream of reservations.
    const total = recordSize(size);
    const mustWait = total > this.#waiting.roomForNewcomers && total <= this.#ring.size;
    this.#ledger.beforeStore();
    const offset: ReservationOffset = mustWait ? -Errno.ENOSPC : this.#producer.reserve(size);
    if (offset === -Errno.ENOSPC)
      throw this.noRoom(`${size} bytes and their header do not fit, ${this.#ring.free} are free`);
    if (offset < 0) {
      this.#counters.refuse('E2BIG', 'never_fits');
      throw new RingbufdError(
        'NEVER_FITS',
        `${size} bytes and their header, the ring has ${this.#ring.size}`,
      );
    }
    this.#oldest.note(low, this.#deps.clock.nowMs());
    this.#reservations.add(holder, position, offset, size);
    this.#counters.reservations++;
    this.#counters.acceptedSamples++;
    this.#counters.acceptedBytes += total;
    this.#ledger.reserved(line, total);
    this.#deps.journal?.changed();
    return position;
  }

  /**
   * On a journalled map drains see the sample once it is durable.
   * @throws RingbufdError NO_RESERVATION, RESERVATION_EXPIRED, RESERVATION_SIZE, JOURNAL_FAILED
   */
  submit(holder: ReservationHolder, position: bigint, payload: Uint8Array): void {
    this.#refuseReadOnly();
    this.#reservations.submit(holder, position, payload);
    this.#ledger.submitted(lowOf(position));
    this.#deps.onChanged();
  }

  /** @throws RingbufdError NO_RESERVATION, RESERVATION_EXPIRED */
  discard(holder: ReservationHolder, position: bigint): void {
    this.#reservations.discard(holder, position);
    this.#deps.onChanged();
  }

  /** Discards what a connection that has ended had reserved. */
  abandon(holder: ReservationHolder): void {
    const abandoned = this.#reservations.abandon(holder);
    if (abandoned === 0) return;
    this.#counters.reservationsAbandoned += abandoned;
    this.#deps.onChanged();
  }

  /**
   * Raw bytes into a direct map's data area.
   * @throws RingbufdError BAD_ARGUMENT outside the double mapping
   */
  write(offset: number, bytes: Uint8Array): void {
    if (this.#producer.write(offset, bytes) !== 0) {
      this.#counters.refuse('EINVAL', 'bad_argument');
      throw new RingbufdError(
        'BAD_ARGUMENT',
        `offset ${offset} + ${bytes.length} bytes is past ${2 * this.#ring.size}, twice the ring size`,
      );
    }
    this.#counters.rawWrites++;
    this.#deps.onChanged();
  }

  /** A raw producer position for a direct map. */
  commit(producerPos: bigint): void {
    this.#ring.producerPosition = producerPos;
    this.#counters.rawWrites++;
    this.#deps.onChanged();
  }

  /** Takes nothing any more: the map is going away. */
  close(): void {
    this.#closed = true;
    this.#reservations.close();
  }

  #refuseReadOnly(): void {
    if (this.#deps.journal?.state !== 'failed') return;
    this.#counters.refuse('EIO', 'journal_failed');
    throw new RingbufdError('JOURNAL_FAILED');
  }

  /** An expired lease turns a BUSY record into a discard: a drain that was stuck behind it can go on. */
  #leasesExpired(count: number): void {
    this.#counters.leasesExpired += count;
    this.#deps.onChanged();
    void this.#deps.watchers.wake(true, 0, this.#deps.drainNumber());
  }
}

function lowOf(position: bigint): number {
  return Number(BigInt.asIntN(32, position));
}
