import { whenAborted } from './abort-listeners.js';
import { closedByUser, type RingbufError } from './errors.js';
import { Emitter } from './events.js';
import { Delivery, type OnBatch } from './handler-delivery.js';
import { HandlerLink, type Attached } from './handler-link.js';
import { resolveHandleOptions, type HandleOptions, type ResolvedHandleOptions } from './handler-options.js';
import { Backoff } from './reconnect.js';
import { waitFor, type Settle, type WaitOptions } from './waiting.js';

export interface RemoteHandlerEvents {
  /** Attached, for the first time or again. */
  attached: Attached;
  /** Became active, or went back to standing by. */
  role: { active: boolean };
  /** The connection was lost; `willReconnect` says whether another one is on its way. */
  disconnected: { error: RingbufError; willReconnect: boolean };
  reconnecting: { attempt: number; delayMs: number; cause: RingbufError };
}

interface CurrentDelivery {
  link: HandlerLink;
  delivery: Delivery;
}

/** A drain handler in this process: attached to the daemon, attached again after a lost connection, until `close`. */
export class RemoteHandler {
  /** Settles when it is over: `undefined` after `close`, else the error. Never rejects. */
  readonly ended: Promise<RingbufError | undefined>;
  readonly #options: ResolvedHandleOptions;
  readonly #backoff: Backoff | undefined;
  readonly #emitter = new Emitter<RemoteHandlerEvents>();
  #link: HandlerLink | undefined;
  #attached: Attached | undefined;
  #active = false;
  #current: CurrentDelivery | undefined;
  /** What came while a delivery of a lost connection is still being handled: there is never more than one. */
  #next: CurrentDelivery | undefined;
  #delay: unknown;
  #closing: Promise<void> | undefined;
  #stopping = false;
  #over = false;
  #onIdle: (() => void) | undefined;
  #first: Settle<void> | undefined;
  #end!: (error: RingbufError | undefined) => void;

  /** For {@link handle}. */
  constructor(options: ResolvedHandleOptions) {
    this.#options = options;
    if (options.reconnect !== undefined) this.#backoff = new Backoff(options.reconnect, options.clock);
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  /** What the daemon said when it was attached last. */
  get attached(): Attached | undefined {
    return this.#attached;
  }

  /** Whether this client is the one that gets the samples. */
  get active(): boolean {
    return this.#active;
  }

  /** Adds a listener; the function returned takes it away again. */
  on<Name extends keyof RemoteHandlerEvents>(
    name: Name,
    listener: (event: RemoteHandlerEvents[Name]) => void,
  ): () => void {
    return this.#emitter.on(name, listener);
  }

  /** For {@link handle}: connects; settles with the first attachment, or with what went wrong. */
  start(signal: AbortSignal | undefined): Promise<void> {
    const wait = signal === undefined ? {} : { signal };
    return waitFor<void>(this.#options.clock, wait, 'attaching', (settle) => {
      this.#first = settle;
      this.#connect();
      return () => {
        this.#first = undefined;
        if (this.#attached === undefined) this.#stop();
      };
    });
  }

  /**
   * Takes no further delivery, lets the one at hand finish and be answered, then disconnects.
   * @param options.timeoutMs for the one at hand; default 5000, 0 = do not wait for it
   */
  close({ timeoutMs = 5000 }: Pick<WaitOptions, 'timeoutMs'> = {}): Promise<void> {
    return (this.#closing ??= this.#close(timeoutMs));
  }

  async #close(timeoutMs: number): Promise<void> {
    const link = this.#link;
    // What is not finished in time will be delivered again, to somebody else.
    if (timeoutMs > 0 && link?.open === true) await this.#settle(link, timeoutMs).catch(() => undefined);
    this.#stop();
    await this.ended;
  }

  /** Waits until the daemon has confirmed that it sends nothing more, and what it had sent is answered. */
  #settle(link: HandlerLink, timeoutMs: number): Promise<void> {
    return waitFor<void>(this.#options.clock, { timeoutMs }, 'finishing', ({ resolve }) => {
      let confirmed = false;
      this.#onIdle = () => {
        if ((confirmed && this.#current === undefined) || !link.open) resolve();
      };
      link.pause(() => {
        confirmed = true;
        this.#onIdle?.();
      });
      return () => (this.#onIdle = undefined);
    });
  }

  #stop(): void {
    if (this.#stopping || this.#over) return;
    this.#stopping = true;
    if (this.#link !== undefined) {
      this.#link.close(closedByUser());
      return;
    }
    this.#options.clock.clear(this.#delay);
    this.#finish(closedByUser());
  }

  #connect(): void {
    const link = new HandlerLink(this.#options, {
      attached: (attached) => {
        this.#backoff?.connected();
        this.#attached = attached;
        this.#emitter.emit('attached', attached);
        this.#setRole(attached.active);
        this.#first?.resolve();
      },
      deliver: (frame) => {
        const delivery = Delivery.open(frame);
        if (delivery === undefined) link.fail(`delivery ${frame.seq} is not what its header says`);
        else this.#deliver({ link, delivery });
      },
      cancelled: ({ seq }) => {
        for (const of of [this.#current, this.#next])
          if (of?.link === link && of.delivery.number === seq) of.delivery.cancel();
      },
      role: (active) => this.#setRole(active),
      ended: (error, mayTryAgain) => this.#lost(link, error, mayTryAgain),
    });
    this.#link = link;
  }

  #setRole(active: boolean): void {
    if (this.#active === active) return;
    this.#active = active;
    this.#emitter.emit('role', { active });
  }

  #deliver(next: CurrentDelivery): void {
    if (this.#current === undefined) void this.#handle(next);
    else this.#next = next;
  }

  async #handle(current: CurrentDelivery): Promise<void> {
    this.#current = current;
    const { map, handler, incarnation } = this.#attached!;
    const answer = await current.delivery.handle(this.#options.onBatch, { map, handler, incarnation });
    // Also to a delivery that was given up: until it is answered the daemon gives this client nothing else.
    current.link.answer(answer);
    this.#current = undefined;
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) void this.#handle(next);
    else this.#onIdle?.();
  }

  #lost(link: HandlerLink, error: RingbufError, mayTryAgain: boolean): void {
    this.#link = undefined;
    if (this.#current?.link === link) this.#current.delivery.cancel();
    if (this.#next?.link === link) this.#next = undefined;
    this.#setRole(false);
    this.#onIdle?.();
    // A first attempt that fails is the caller's to judge: it has the error, and `retryable` in it.
    const again = mayTryAgain && !this.#stopping && this.#attached !== undefined;
    const delayMs = again ? this.#backoff?.next(error.retryAfterMs) : undefined;
    if (this.#attached !== undefined && !this.#over)
      this.#emitter.emit('disconnected', { error, willReconnect: delayMs !== undefined });
    if (this.#over) return;
    if (delayMs === undefined || this.#stopping) {
      this.#finish(error);
      return;
    }
    this.#delay = this.#options.clock.after(delayMs, () => this.#connect());
    this.#emitter.emit('reconnecting', { attempt: this.#backoff!.attempts, delayMs, cause: error });
  }

  #finish(error: RingbufError): void {
    this.#over = true;
    this.#first?.reject(error);
    this.#end(this.#stopping ? undefined : error);
  }
}

/**
 * Makes this process the handler of a map: attaches to its `remote` handler and calls `onBatch` with the samples of each
 * delivery, one delivery at a time, in order. Samples are released when `onBatch` has answered for them; what it fails on,
 * or is cut off in, is delivered again, here or to another client: at least once.
 *
 *     const handler = await handle('events', 'worker', async (samples) => { await store(samples); return 0; });
 *     …
 *     await handler.close();
 *
 * @throws RingbufError when the first attempt fails; what `signal` aborts with
 */
export function handle(options: HandleOptions): Promise<RemoteHandler>;
export function handle(
  map: string,
  handler: string,
  onBatch: OnBatch,
  options?: Omit<HandleOptions, 'map' | 'handler' | 'onBatch'>,
): Promise<RemoteHandler>;
export async function handle(
  first: HandleOptions | string,
  handler?: string,
  onBatch?: OnBatch,
  rest?: Omit<HandleOptions, 'map' | 'handler' | 'onBatch'>,
): Promise<RemoteHandler> {
  const options =
    typeof first === 'string' ? { ...rest, map: first, handler: handler!, onBatch: onBatch! } : first;
  const remote = new RemoteHandler(resolveHandleOptions(options));
  await remote.start(options.signal);
  const { signal } = options;
  if (signal?.aborted === true) void remote.close();
  else if (signal !== undefined) void remote.ended.then(whenAborted(signal, () => void remote.close()));
  return remote;
}
