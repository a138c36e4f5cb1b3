import type { Producer, ReservationOffset } from '../ring/index.js';
import type { Clock } from './clock.js';
import { RingbufdError } from './errors.js';

/** Who holds reservations: a connection. Compared by identity only. */
export interface ReservationHolder {
  /** Open reservations of this holder, kept by the table. */
  openReservations: number;
}

interface Reservation {
  holder: ReservationHolder;
  offset: ReservationOffset;
  size: number;
  deadlineMs: number;
}

/** Who keeps a reserved record across a crash. */
export interface ReservationJournal {
  /** @param clearBusy shows the record to drains */
  submitted(position: bigint, clearBusy: () => void): void;
  discarded(position: bigint): void;
}

/** Who wants to know what becomes of reservations. */
export interface ReservationEvents {
  /** Leases ran out, and their records became discards. */
  expired(count: number): void;
  /** A record became a discard. @param size payload bytes that were reserved */
  discarded(position: bigint, size: number): void;
}

/** Expired positions remembered per map, so that a late SUBMIT gets ESTALE and not ENOENT. */
const REMEMBERED_EXPIRED = 1024;

/**
 * The open reservations of one map, by position. All leases are equally long, so that insertion order is expiry order
 * and one timer, for the oldest, is enough.
 */
export class Reservations {
  readonly #producer: Producer;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #events: ReservationEvents;
  readonly #journal: ReservationJournal | undefined;
  readonly #open = new Map<bigint, Reservation>();
  readonly #expired = new Map<bigint, ReservationHolder>();
  #cancelTimer: (() => void) | undefined;

  /** @param journal of the map, if it has one */
  constructor(
    producer: Producer,
    clock: Clock,
    leaseMs: number,
    events: ReservationEvents,
    journal?: ReservationJournal,
  ) {
    this.#producer = producer;
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    this.#events = events;
    this.#journal = journal;
  }

  get size(): number {
    return this.#open.size;
  }

  add(holder: ReservationHolder, position: bigint, offset: ReservationOffset, size: number): void {
    this.#open.set(position, { holder, offset, size, deadlineMs: this.#clock.nowMs() + this.#leaseMs });
    holder.openReservations++;
    this.#cancelTimer ??= this.#clock.after(this.#leaseMs, () => this.#expire());
  }

  /**
   * Fills and submits.
   * @throws RingbufdError NO_RESERVATION, RESERVATION_EXPIRED, RESERVATION_SIZE (the reservation stays open)
   */
  submit(holder: ReservationHolder, position: bigint, payload: Uint8Array): void {
    const reservation = this.#find(holder, position);
    if (payload.length !== reservation.size)
      throw new RingbufdError(
        'RESERVATION_SIZE',
        `${reservation.size} bytes are reserved at ${position}, the payload has ${payload.length}`,
      );
    this.#producer.fill(reservation.offset, payload);
    const clearBusy = (): void => this.#producer.submit(reservation.offset);
    if (this.#journal === undefined) clearBusy();
    else this.#journal.submitted(position, clearBusy);
    this.#remove(position, reservation);
  }

  /** @throws RingbufdError NO_RESERVATION, RESERVATION_EXPIRED */
  discard(holder: ReservationHolder, position: bigint): void {
    this.#discard(position, this.#find(holder, position));
  }

  /** Discards everything that `holder` has open; returns how many that were. */
  abandon(holder: ReservationHolder): number {
    if (holder.openReservations === 0) return 0;
    let abandoned = 0;
    for (const [position, reservation] of this.#open) {
      if (reservation.holder !== holder) continue;
      this.#discard(position, reservation);
      abandoned++;
      // The rest of the table is other connections'.
      if (holder.openReservations === 0) break;
    }
    return abandoned;
  }

  /** Ends the timer: the map is going away. */
  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#open.clear();
    this.#expired.clear();
  }

  #find(holder: ReservationHolder, position: bigint): Reservation {
    const reservation = this.#open.get(position);
    if (reservation?.holder === holder) return reservation;
    if (this.#expired.get(position) === holder)
      throw new RingbufdError('RESERVATION_EXPIRED', `at ${position}`);
    throw new RingbufdError('NO_RESERVATION', `nothing is reserved by this connection at ${position}`);
  }

  #discard(position: bigint, reservation: Reservation): void {
    this.#producer.discard(reservation.offset);
    this.#events.discarded(position, reservation.size);
    this.#journal?.discarded(position);
    this.#remove(position, reservation);
  }

  #remove(position: bigint, reservation: Reservation): void {
    this.#open.delete(position);
    reservation.holder.openReservations--;
  }

  #expire(): void {
    this.#cancelTimer = undefined;
    const now = this.#clock.nowMs();
    let expired = 0;
    for (const [position, reservation] of this.#open) {
      if (reservation.deadlineMs > now) {
        this.#cancelTimer = this.#clock.after(reservation.deadlineMs - now, () => this.#expire());
        break;
      }
      this.#discard(position, reservation);
      this.#remember(position, reservation.holder);
      expired++;
    }
    if (expired > 0) this.#events.expired(expired);
  }

  #remember(position: bigint, holder: ReservationHolder): void {
    this.#expired.set(position, holder);
    if (this.#expired.size > REMEMBERED_EXPIRED) {
      const oldest = this.#expired.keys().next();
      if (!oldest.done) this.#expired.delete(oldest.value);
    }
  }
}
