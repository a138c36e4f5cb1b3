import { recordSize } from '../ring/layout.js';
import { Op, type DoneFrame } from '../wire/index.js';
import type { Clock } from './clock.js';
import type { Connection } from './connection.js';
import { outcomeUnknown, RingbufError } from './errors.js';
import { remaining, timedOut, waitFor, type WaitOptions } from './waiting.js';
import type { Watcher } from './watcher.js';

/** Room in the ring that is this producer's until it is submitted, discarded, or its lease or its connection ends. */
export interface Reservation {
  /** Map position of its record. */
  readonly position: bigint;
  /** Bytes of the payload, exactly. */
  readonly size: number;
}

export interface ReservationsHost {
  /** @throws RingbufError EAGAIN while there is no connection, ESTALE after the end */
  requireConnection(): Connection;
  /** Resolves when there is a connection. */
  whenConnected(options: WaitOptions): Promise<void>;
  watcher: Watcher;
  clock: Clock;
}

/** reserve, submit and discard, as libbpf has them, over a connection that may end at any moment. */
export class Reservations {
  readonly #host: ReservationsHost;
  /** The connection that each open reservation belongs to. */
  readonly #open = new WeakMap<Reservation, Connection>();

  constructor(host: ReservationsHost) {
    this.#host = host;
  }

  async reserve(size: number): Promise<Reservation> {
    if (!Number.isInteger(size) || size < 0 || size > 2 ** 32 - 1)
      throw new RingbufError('EINVAL', 'BAD_ARGUMENT', `${size} is not a size: a u32 is needed`);
    const connection = this.#host.requireConnection();
    const reply = await connection.request({ op: Op.RESERVE, size }, notDone);
    const reservation: Reservation = Object.freeze({ position: reply.position, size });
    this.#open.set(reservation, connection);
    return reservation;
  }

  async reserveBlocking(size: number, options: WaitOptions): Promise<Reservation> {
    const { clock, watcher } = this.#host;
    const { timeoutMs, signal } = options;
    const startedAt = clock.now();
    let isLastTry = false;
    for (;;) {
      signal?.throwIfAborted();
      const left = isLastTry ? 0 : remaining(clock, startedAt, timeoutMs);
      try {
        return await this.reserve(size);
      } catch (error) {
        if (!isWorthWaiting(error)) throw error;
        const what = `reserving ${size} bytes`;
        // Like libbpf: the last try comes after the time is up.
        if (left === 0) throw timedOut(what, timeoutMs!);
        const wait = { ...(left === undefined ? {} : { timeoutMs: left }), ...(signal && { signal }) };
        try {
          if (error.errno !== 'ENOSPC') await this.#host.whenConnected(wait);
          else
            await waitFor<void>(clock, wait, what, ({ resolve }) =>
              watcher.whenRoom(recordSize(size), 0, resolve),
            );
        } catch (waitError) {
          if (!(waitError instanceof RingbufError) || waitError.code !== 'TIMED_OUT') throw waitError;
          // The timer's word and not the clock's: a timer may be a fraction of a millisecond early.
          isLastTry = true;
        }
      }
    }
  }

  async submit(reservation: Reservation, payload: Uint8Array): Promise<DoneFrame> {
    if (payload.length !== reservation.size)
      throw new RingbufError(
        'EINVAL',
        'BAD_ARGUMENT',
        `the reservation has ${reservation.size} bytes, the payload ${payload.length}`,
      );
    return this.#finish(reservation, (connection) =>
      connection.request({ op: Op.SUBMIT, position: reservation.position, payload }, (cause) =>
        outcomeUnknown('the connection ended during SUBMIT', cause),
      ),
    );
  }

  async discard(reservation: Reservation): Promise<DoneFrame> {
    return this.#finish(reservation, (connection) =>
      connection.request({ op: Op.DISCARD, position: reservation.position }, gone),
    );
  }

  /** A reservation is used once, unless the request was never sent. */
  async #finish(
    reservation: Reservation,
    request: (connection: Connection) => Promise<DoneFrame>,
  ): Promise<DoneFrame> {
    const connection = this.#take(reservation);
    try {
      return await request(connection);
    } catch (error) {
      if (error instanceof RingbufError && error.code === 'QUEUE_FULL')
        this.#open.set(reservation, connection);
      throw error;
    }
  }

  #take(reservation: Reservation): Connection {
    const connection = this.#open.get(reservation);
    if (connection?.open !== true) throw gone();
    this.#open.delete(reservation);
    return connection;
  }
}

function gone(cause?: RingbufError): RingbufError {
  return new RingbufError(
    'ESTALE',
    'RESERVATION_GONE',
    'the reservation is gone: its connection ended, or it was submitted or discarded before',
    cause === undefined ? {} : { cause },
  );
}

/** A RESERVE that got no answer reserved nothing: the daemon discards what a connection leaves behind. */
function notDone(cause: RingbufError): RingbufError {
  return new RingbufError(cause.errno, 'DISCONNECTED', 'the connection ended during RESERVE', {
    retryable: true,
    cause,
  });
}

function isWorthWaiting(error: unknown): error is RingbufError {
  if (!(error instanceof RingbufError)) return false;
  return error.errno === 'ENOSPC' || error.code === 'NOT_CONNECTED' || error.code === 'DISCONNECTED';
}
