/** The clients attached to one remote handler: one is active, the rest stand by in order of arrival. */

/** A connection as the handler sees it. */
export interface RemoteClient {
  /** How operators see it. */
  readonly label: string;
  /** Sends one DELIVER message. */
  deliver(message: Uint8Array): void;
  /** Says that a delivery was given up. */
  cancel(number: bigint, errno: number): void;
  /** Says that it is active from now on, or no longer; does nothing once the connection has ended. */
  changeRole(active: boolean): void;
  /** Ends the connection. */
  hangUp(code: number, reason: string): void;
}

/** An answer that a client has not given yet. */
export interface OwedAnswer {
  number: bigint;
  bytes: number;
  /** Position of the first sample, and how many there are. */
  position: bigint;
  samples: number;
  /** The delivery was given up. */
  overdue: boolean;
}

/** A client's place, from attaching to the end of its connection. */
export class Seat {
  readonly client: RemoteClient;
  /** Bytes of a delivery's body that it takes; 0 = nothing. */
  creditBytes: number;
  active = false;
  /** Number of the last delivery that it was given, 0n before the first. */
  lastNumber = 0n;
  /** The delivery that it has not answered yet; overdue once that delivery was given up. */
  owed: OwedAnswer | undefined;

  constructor(client: RemoteClient, creditBytes: number) {
    this.client = client;
    this.creditBytes = creditBytes;
  }
}

export class Roster {
  readonly #seats: Seat[] = [];
  #active: Seat | undefined;
  #takeovers = 0;

  get size(): number {
    return this.#seats.length;
  }

  get active(): Seat | undefined {
    return this.#active;
  }

  /** How often a client became active in the place of another one that had been. */
  get takeovers(): number {
    return this.#takeovers;
  }

  /** Bytes that were delivered and not answered, of all clients. */
  get inFlightBytes(): number {
    return this.#seats.reduce((sum, { owed }) => sum + (owed?.bytes ?? 0), 0);
  }

  [Symbol.iterator](): IterableIterator<Seat> {
    return this.#seats[Symbol.iterator]();
  }

  /** Whether there are clients, and each of them owes an answer to a delivery that was given up. */
  get allOverdue(): boolean {
    return this.#seats.length > 0 && this.#seats.every(({ owed }) => owed?.overdue === true);
  }

  /**
   * Samples of the smallest delivery that a client owes an answer to and that started at `position`.
   * @returns `undefined` when there is none
   */
  overdueAt(position: bigint): number | undefined {
    const sizes = this.#seats.flatMap(({ owed }) =>
      owed?.overdue === true && owed.position === position ? [owed.samples] : [],
    );
    return sizes.length === 0 ? undefined : Math.min(...sizes);
  }

  add(seat: Seat): void {
    this.#seats.push(seat);
    this.elect();
  }

  remove(seat: Seat): void {
    const at = this.#seats.indexOf(seat);
    if (at >= 0) this.#seats.splice(at, 1);
    this.elect();
  }

  /** A client that did not do as it should goes behind all others: another one gets its chance. */
  moveToEnd(seat: Seat): void {
    const at = this.#seats.indexOf(seat);
    if (at < 0) return;
    this.#seats.splice(at, 1);
    this.#seats.push(seat);
    this.#appoint(this.#seats.find(isEligible));
  }

  /** The active client stays so while it can; otherwise the first one that can takes over. */
  elect(): void {
    const active = this.#active;
    const stays = active !== undefined && this.#seats.includes(active) && isEligible(active);
    if (!stays) this.#appoint(this.#seats.find(isEligible));
  }

  /**
   * A client that takes `bytes` now: the active one, else the first other one, which becomes active by that.
   * @returns `undefined` when there is none
   */
  forDelivery(bytes: number): Seat | undefined {
    const able = (seat: Seat): boolean => isEligible(seat) && seat.creditBytes >= bytes;
    if (this.#active !== undefined && able(this.#active)) return this.#active;
    const seat = this.#seats.find(able);
    if (seat !== undefined) this.#appoint(seat);
    return seat;
  }

  #appoint(next: Seat | undefined): void {
    const before = this.#active;
    if (next === before) return;
    this.#active = next;
    if (before !== undefined) {
      before.active = false;
      if (next !== undefined) this.#takeovers++;
      before.client.changeRole(false);
    }
    if (next !== undefined) {
      next.active = true;
      next.client.changeRole(true);
    }
  }
}

/** A client that owes an answer can be given nothing else until it has answered, however late. */
function isEligible(seat: Seat): boolean {
  return seat.creditBytes > 0 && seat.owed?.overdue !== true;
}
