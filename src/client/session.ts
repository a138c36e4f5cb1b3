import type { AckFrame, ErrorFrame, WakeupFrame } from '../wire/index.js';
import { Connection } from './connection.js';
import { RingbufError } from './errors.js';
import type { ResolvedOptions } from './options.js';
import { Backoff } from './reconnect.js';
import type { Welcome } from './welcome.js';

/** What a session tells its owner, connection after connection. */
export interface SessionEvents {
  /** @param before the WELCOME of the connection before, `undefined` for the first */
  welcome(welcome: Welcome, connection: Connection, before: Welcome | undefined): void;
  ack(frame: AckFrame): void;
  outputRefused(frame: ErrorFrame): void;
  wakeup(frame: WakeupFrame): void;
  consumerPos(position: bigint): void;
  strange(error: RingbufError): void;
  expectsAnswer(): boolean;
  /** A connection that had its WELCOME ended. */
  disconnected(error: RingbufError, willReconnect: boolean): void;
  reconnecting(attempt: number, delayMs: number, cause: RingbufError): void;
  /** It is over; nothing follows. `byUser`: `stop` was called. */
  ended(error: RingbufError, byUser: boolean): void;
}

/** Keeps one connection alive: connects, waits, connects again, as long as the close codes say that it may help. */
export class Session {
  readonly #options: ResolvedOptions;
  readonly #events: SessionEvents;
  readonly #backoff: Backoff | undefined;
  /** The connection, from the first packet to its end. */
  #connection: Connection | undefined;
  #welcome: Welcome | undefined;
  #delay: unknown;
  #stopping = false;
  #over = false;

  constructor(options: ResolvedOptions, events: SessionEvents) {
    this.#options = options;
    this.#events = events;
    if (options.reconnect !== undefined) this.#backoff = new Backoff(options.reconnect, options.clock);
  }

  /** The last WELCOME. */
  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  /** The connection, if it is past its WELCOME. */
  get connection(): Connection | undefined {
    return this.#connection?.open === true ? this.#connection : undefined;
  }

  get over(): boolean {
    return this.#over;
  }

  connect(): void {
    let welcomed = false;
    const { events, options } = { events: this.#events, options: this.#options };
    const connection = new Connection(
      {
        url: options.url,
        subprotocols: options.subprotocols,
        openWebSocket: options.openWebSocket,
        clock: options.clock,
        connectTimeoutMs: options.connectTimeoutMs,
        replyTimeoutMs: options.replyTimeoutMs,
        maxPendingRequests: options.maxPendingRequests,
        maxPendingBytes: options.maxUnackedBytes,
      },
      {
        welcome: (welcome) => {
          welcomed = true;
          this.#backoff?.connected();
          const before = this.#welcome;
          this.#welcome = welcome;
          events.welcome(welcome, connection, before);
        },
        ack: (frame) => events.ack(frame),
        outputRefused: (frame) => events.outputRefused(frame),
        wakeup: (frame) => events.wakeup(frame),
        consumerPos: (position) => events.consumerPos(position),
        strange: (error) => events.strange(error),
        expectsAnswer: () => events.expectsAnswer(),
        ended: (error, mayTryAgain) => this.#ended(error, mayTryAgain, welcomed),
      },
    );
    this.#connection = connection;
  }

  /** Ends the session; `ended` follows once the connection is closed. */
  stop(error: RingbufError): void {
    if (this.#over || this.#stopping) return;
    this.#stopping = true;
    if (this.#connection !== undefined) {
      this.#connection.close(error);
      return;
    }
    this.#options.clock.clear(this.#delay);
    this.#finish(error);
  }

  #ended(error: RingbufError, mayTryAgain: boolean, welcomed: boolean): void {
    this.#connection = undefined;
    // A first attempt that fails is the caller's to judge: it has the error, and `retryable` in it.
    const again = mayTryAgain && !this.#stopping && this.#welcome !== undefined;
    const delayMs = again ? this.#backoff?.next(error.retryAfterMs) : undefined;
    if (welcomed) this.#events.disconnected(error, delayMs !== undefined);
    // A listener may have called `stop` just now.
    if (this.#over) return;
    if (delayMs === undefined || this.#stopping) {
      const exhausted = again && this.#backoff !== undefined && delayMs === undefined;
      this.#finish(exhausted ? this.#exhausted(error) : error);
      return;
    }
    this.#delay = this.#options.clock.after(delayMs, () => this.connect());
    this.#events.reconnecting(this.#backoff!.attempts, delayMs, error);
  }

  #exhausted(cause: RingbufError): RingbufError {
    return new RingbufError(
      cause.errno,
      'RECONNECT_EXHAUSTED',
      `gave up after ${this.#backoff!.attempts} attempts; the last error was ${cause.message}`,
      { retryable: true, cause },
    );
  }

  #finish(error: RingbufError): void {
    this.#over = true;
    this.#events.ended(error, this.#stopping);
  }
}
