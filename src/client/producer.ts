import { recordSize } from '../ring/layout.js';
import { Op } from '../wire/index.js';
import { whenAborted } from './abort-listeners.js';
import type { Connection } from './connection.js';
import { DrainTracker } from './drain-tracker.js';
import { closedByUser, outcomeUnknown, RingbufError } from './errors.js';
import { callSafely, Emitter } from './events.js';
import { resolveOptions, type ConnectOptions, type ResolvedOptions } from './options.js';
import { OutputCall, type OutputOptions, type OutputReceipt, type Sample } from './output-call.js';
import { framesFromRun, framesFromSamples, type OutputFrame } from './output-frame.js';
import { OutputWindow } from './output-window.js';
import { positionsOf, type Positions, type RingInfo } from './positions.js';
import type { ProducerEvents } from './producer-events.js';
import { Reservations, type Reservation } from './reservations.js';
import { Session } from './session.js';
import { takeUp } from './take-up.js';
import { waitFor, type Settle, type WaitOptions } from './waiting.js';
import { Watcher, type Wakeup } from './watcher.js';
import type { Welcome } from './welcome.js';

export interface CloseReport {
  /** Whether everything was acknowledged. */
  readonly flushed: boolean;
  /** Outputs that were given up; their promises were rejected. */
  readonly failed: number;
}

const encoder = new TextEncoder();

/**
 * A producer of one map, over as many connections as it takes. Made by `connect`.
 *
 * Outputs are pipelined: call `output` without waiting for the one before, and wait for the promises in any order. They
 * are stored in the order of the calls. Samples are copied when the call is made, so the caller's memory is free at once.
 */
export class RingbufProducer {
  readonly #options: ResolvedOptions;
  readonly #events = new Emitter<ProducerEvents>();
  readonly #session: Session;
  readonly #window: OutputWindow;
  readonly #watcher: Watcher;
  readonly #drains: DrainTracker;
  readonly #reservations: Reservations;
  readonly #connectWaiters = new Set<Settle<void>>();
  /** End of the last record of any kind that was acknowledged. */
  #ackedTo = 0n;
  /** Why the producer is over. */
  #final: RingbufError | undefined;
  #closing: Promise<CloseReport> | undefined;
  #endWaiters: (() => void)[] = [];

  private constructor(options: ResolvedOptions) {
    this.#options = options;
    const { clock, fallbackQueryMs, maxUnackedBytes } = options;
    this.#session = new Session(options, {
      welcome: (welcome, connection, before) => this.#welcomed(welcome, connection, before),
      ack: (frame) => {
        this.#ackedTo = frame.producerPos;
        this.#window.ack(frame);
      },
      outputRefused: (frame) => this.#window.refused(frame),
      wakeup: (frame) => this.#watcher.wakeup(frame),
      consumerPos: (position) => this.#drains.consumerAt(position),
      strange: (error) => this.#events.emit('error', error),
      expectsAnswer: () => this.#window.inFlight > 0,
      disconnected: (error, willReconnect) => this.#disconnected(error, willReconnect),
      reconnecting: (attempt, delayMs, cause) =>
        this.#events.emit('reconnecting', { attempt, delayMs, cause }),
      ended: (error, byUser) => this.#ended(error, byUser),
    });
    const connection = (): Connection | undefined => this.#session.connection;
    this.#watcher = new Watcher({
      connection,
      ringSize: () => this.#session.welcome?.maxEntries ?? 0,
      clock,
      heard: (wakeup) => this.#events.emit('wakeup', wakeup),
    });
    this.#window = new OutputWindow(
      {
        whenRoom: (minFree, retryAfterMs, goOn) =>
          this.#watcher.whenRoom(minFree, retryAfterMs || fallbackQueryMs, goOn),
        strange: (error) => this.#events.emit('error', error),
      },
      maxUnackedBytes,
    );
    this.#drains = new DrainTracker({
      clock,
      fallbackQueryMs,
      watch: () => this.#watcher.add({ minFree: 0, wake: () => undefined }),
      query: async () => {
        await connection()
          ?.request({ op: Op.QUERY }, (cause) => cause, true)
          .catch(() => undefined);
      },
    });
    this.#reservations = new Reservations({
      requireConnection: () => this.#requireConnection(),
      whenConnected: (wait) => this.#whenConnected(wait),
      watcher: this.#watcher,
      clock,
    });
  }

  /**
   * Connects and waits for the daemon's WELCOME.
   * @throws RingbufError EINVAL for an option that cannot be right; the errno of the refusal; EIO if nobody answers;
   *   ETIMEDOUT. `retryable` says whether another call may succeed. Only an established connection is reconnected.
   */
  static async connect(options: ConnectOptions): Promise<RingbufProducer> {
    const { signal } = options;
    signal?.throwIfAborted();
    const producer = new RingbufProducer(resolveOptions(options));
    producer.#session.connect();
    try {
      await producer.#whenConnected(signal === undefined ? {} : { signal });
    } catch (error) {
      producer.#session.stop(closedByUser());
      throw error;
    }
    return producer;
  }

  /** What the daemon said at the beginning of the present, or else the last, connection. */
  get welcome(): Welcome {
    return this.#session.welcome!;
  }

  get connected(): boolean {
    return this.#session.connection !== undefined;
  }

  /** Bytes of outputs that are not acknowledged, waiting ones included. */
  get queuedBytes(): number {
    return this.#window.bytes;
  }

  /** The newest consumer position that the daemon told. */
  get consumerPos(): bigint {
    return this.#drains.consumerPos;
  }

  /** Adds a listener; the function returned takes it away. */
  on<Name extends keyof ProducerEvents>(
    name: Name,
    listener: (event: ProducerEvents[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Stores samples in the ring, in order. Resolves when the daemon has acknowledged all of them. One call makes one
   * frame, or as few as the daemon's frame limit allows, so many small samples belong into one call.
   *
   * @throws RingbufError E2BIG for a sample that can never fit; ENOSPC with `whenFull: 'fail'`; EAGAIN (`QUEUE_FULL`);
   *   EIO (`OUTCOME_UNKNOWN`) when the connection was lost and there is no producer id; or why the producer is over.
   *   `accepted` says how many samples are known to be stored, always the first ones; `outcomeUnknown` whether there
   *   may be more.
   */
  output(samples: Sample | readonly Sample[], options: OutputOptions = {}): Promise<OutputReceipt> {
    const list = typeof samples === 'string' || samples instanceof Uint8Array ? [samples] : samples;
    return this.#enqueue(options, (atomic) =>
      framesFromSamples(
        list.map((sample) => (typeof sample === 'string' ? encoder.encode(sample) : sample)),
        atomic,
        this.#window.limits,
      ),
    );
  }

  /**
   * The same for samples that are laid out already as records of the ring: u32 length, u32 0, payload, zero padding to
   * a multiple of 8.
   * @throws RingbufError EINVAL for bytes that are not such a run; else as `output`
   */
  outputRun(run: Uint8Array, options: OutputOptions = {}): Promise<OutputReceipt> {
    return this.#enqueue(options, (atomic) => framesFromRun(run, atomic, this.#window.limits));
  }

  /**
   * Reserves room for one sample of `size` bytes. It is this producer's until `submit` or `discard`, and until the lease
   * (`welcome.leaseMs`) or the connection ends.
   * @throws RingbufError ENOSPC, E2BIG; EAGAIN while there is no connection
   */
  reserve(size: number): Promise<Reservation> {
    return this.#reservations.reserve(size);
  }

  /**
   * The same, waiting for room, and for a connection if there is none. The daemon wakes it; it never polls.
   * @throws RingbufError ETIMEDOUT, E2BIG
   */
  reserveBlocking(size: number, options: WaitOptions = {}): Promise<Reservation> {
    return this.#reservations.reserveBlocking(size, options);
  }

  /**
   * Makes a reserved sample visible to drains. `payload` has exactly the reserved size.
   * @throws RingbufError ESTALE when the reservation is gone; EIO (`OUTCOME_UNKNOWN`) when the connection ended meanwhile
   */
  async submit(reservation: Reservation, payload: Sample): Promise<Positions> {
    const bytes = typeof payload === 'string' ? encoder.encode(payload) : payload;
    const done = await this.#reservations.submit(reservation, bytes);
    this.#ackedTo = reservation.position + BigInt(recordSize(reservation.size));
    return positionsOf(done);
  }

  /**
   * Gives a reservation up: drains skip its record.
   * @throws RingbufError ESTALE when the reservation is gone, which has the same effect
   */
  async discard(reservation: Reservation): Promise<Positions> {
    return positionsOf(await this.#reservations.discard(reservation));
  }

  /**
   * Direct maps: writes raw bytes into the data area, which is mapped twice.
   * @throws RingbufError EPERM on a managed map; EIO (`OUTCOME_UNKNOWN`) when the connection ended meanwhile
   */
  async write(offset: number | bigint, bytes: Uint8Array): Promise<Positions> {
    const request = { op: Op.WRITE, offset: BigInt(offset), bytes } as const;
    return positionsOf(
      await this.#requireConnection().request(request, (cause) =>
        outcomeUnknown('the connection ended during WRITE', cause),
      ),
    );
  }

  /** Direct maps: stores a producer position as it is. Errors as for `write`. */
  async commit(producerPos: bigint): Promise<Positions> {
    const request = { op: Op.COMMIT, producerPos } as const;
    return positionsOf(
      await this.#requireConnection().request(request, (cause) =>
        outcomeUnknown('the connection ended during COMMIT', cause),
      ),
    );
  }

  /** The ring's positions now. @throws RingbufError EAGAIN while there is no connection */
  async query(): Promise<RingInfo> {
    const info = await this.#requireConnection().request({ op: Op.QUERY }, (cause) => cause);
    const { availData, ringSize, consumerPos, producerPos } = info;
    return { availData, ringSize, consumerPos, producerPos };
  }

  /**
   * Calls `listener` at every wakeup that leaves at least `minFree` bytes free (0, the default: at every wakeup) and at
   * every forced one, over all connections, and at once if the condition is met now. Resolves, with the function that
   * ends it, when the daemon watches: no wakeup after that is missed.
   * @throws RingbufError E2BIG for more than the ring; why the producer is over
   */
  watch(options: { minFree?: number }, listener: (wakeup: Wakeup) => void): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (this.#final !== undefined || this.#closing !== undefined) throw this.#whyOver();
      const minFree = options.minFree ?? 0;
      if (!Number.isInteger(minFree) || minFree < 0)
        throw new RingbufError('EINVAL', 'BAD_ARGUMENT', `minFree: ${minFree} is not a number of bytes`);
      if (minFree > this.welcome.maxEntries)
        throw new RingbufError('E2BIG', 'TOO_BIG', `minFree: the ring has ${this.welcome.maxEntries} bytes`);
      const unwatch = this.#watcher.add({
        minFree,
        wake: (wakeup) => callSafely(listener, wakeup),
        armed: () => resolve(unwatch),
        failed: reject,
      });
    });
  }

  /**
   * Resolves when the consumer position is at or behind `position`, for instance an output's `producerPos`: its samples
   * were drained then.
   * @throws RingbufError ETIMEDOUT; ESTALE (`NEW_INCARNATION`) when the map's content was lost meanwhile; why the
   *   producer is over
   */
  async drained(position: bigint, options: WaitOptions = {}): Promise<void> {
    if (this.#final !== undefined || this.#closing !== undefined) throw this.#whyOver();
    await this.#drains.wait(position, options);
  }

  /**
   * Waits for the outputs made so far, at most `timeoutMs` milliseconds (default 5000, 0 = not at all), then closes the
   * connection. Everything that still waits is rejected with ESTALE (`CLOSED`). Never throws; a second call joins the first.
   */
  close(options: { timeoutMs?: number } = {}): Promise<CloseReport> {
    this.#closing ??= this.#close(options.timeoutMs ?? 5_000);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<CloseReport> {
    const closed = closedByUser();
    const { clock } = this.#options;
    await waitFor<void>(clock, { timeoutMs }, 'flushing', ({ resolve }) => {
      this.#window.onceEmpty(resolve);
      return () => undefined;
    }).catch(() => undefined);
    const failed = this.#window.failAll(closed);
    if (this.#final === undefined) {
      const ended = new Promise<void>((resolve) => this.#endWaiters.push(resolve));
      this.#session.stop(closed);
      await ended;
    }
    return { flushed: failed === 0, failed };
  }

  #enqueue(options: OutputOptions, build: (atomic: boolean) => OutputFrame[]): Promise<OutputReceipt> {
    const { atomic = false, whenFull = this.#options.whenFull, signal } = options;
    let frames: OutputFrame[];
    try {
      if (this.#final !== undefined || this.#closing !== undefined) throw this.#whyOver();
      signal?.throwIfAborted();
      frames = build(atomic);
    } catch (error) {
      // An AbortSignal's reason is passed on as it is, whatever it is.
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
      return Promise.reject(error);
    }
    if (frames.length === 0) return Promise.resolve({ accepted: 0, producerPos: this.#window.ackedPos });
    const size = frames.reduce((sum, frame) => sum + frame.size, 0);
    if (this.#window.bytes > 0 && this.#window.bytes + size > this.#options.maxQueuedBytes)
      return Promise.reject(
        new RingbufError('EAGAIN', 'QUEUE_FULL', `${this.#window.bytes} bytes of outputs wait already`, {
          retryable: true,
        }),
      );
    const call = new OutputCall(frames.length, whenFull, signal);
    if (signal !== undefined)
      call.onSettled(whenAborted(signal, () => this.#window.abort(call, signal.reason)));
    this.#window.enqueue(call, frames);
    return call.promise;
  }

  #requireConnection(): Connection {
    if (this.#final !== undefined || this.#closing !== undefined) throw this.#whyOver();
    const { connection } = this.#session;
    if (connection === undefined)
      throw new RingbufError('EAGAIN', 'NOT_CONNECTED', 'there is no connection at the moment', {
        retryable: true,
      });
    return connection;
  }

  #whenConnected(options: WaitOptions): Promise<void> {
    return waitFor<void>(this.#options.clock, options, 'connecting', (settle) => {
      if (this.#final !== undefined) settle.reject(this.#final);
      else if (this.connected) settle.resolve();
      else this.#connectWaiters.add(settle);
      return () => void this.#connectWaiters.delete(settle);
    });
  }

  #whyOver(): RingbufError {
    return this.#final ?? closedByUser();
  }

  #welcomed(welcome: Welcome, connection: Connection, before: Welcome | undefined): void {
    const { uncertain, ackedTo } = takeUp(this.#window, welcome, (bytes) => connection.send(bytes), {
      before,
      anonymous: this.#options.anonymous,
      ackedTo: this.#ackedTo,
      consumerPos: this.#drains.consumerPos,
    });
    this.#ackedTo = ackedTo;
    if (before !== undefined && before.incarnation !== welcome.incarnation)
      this.#drains.failAll(
        new RingbufError(
          'ESTALE',
          'NEW_INCARNATION',
          'the content of the map was lost, positions began anew',
        ),
      );
    this.#drains.consumerAt(welcome.consumerPos);
    this.#watcher.connected();
    this.#events.emit('welcome', welcome);
    if (uncertain !== undefined) this.#events.emit('uncertain', uncertain);
    for (const waiter of [...this.#connectWaiters]) waiter.resolve();
  }

  #disconnected(error: RingbufError, willReconnect: boolean): void {
    const cannotResume = this.#options.anonymous && willReconnect;
    this.#window.disconnected(cannotResume, outcomeUnknown('the connection was lost', error));
    this.#events.emit('disconnect', { error, willReconnect });
  }

  #ended(error: RingbufError, byUser: boolean): void {
    this.#final = error;
    this.#window.failAll(error);
    this.#watcher.failAll(error);
    this.#drains.failAll(error);
    for (const waiter of [...this.#connectWaiters]) waiter.reject(error);
    for (const run of this.#endWaiters.splice(0)) run();
    this.#events.emit('close', { error: byUser ? undefined : error });
  }
}

/** Connects a producer to a map. The same as `RingbufProducer.connect`. */
export function connect(options: ConnectOptions): Promise<RingbufProducer> {
  return RingbufProducer.connect(options);
}
