import {
  decodeHandlerServerFrame,
  encodeHandlerClientFrame,
  FRAME_HEADER_SIZE,
  HANDLER_PROTOCOL_VERSION,
  HANDLER_SUBPROTOCOL,
  HandlerOp,
  isFrameError,
  mayReconnect,
  type AnswerFrame,
  type AttachedFrame,
  type CancelFrame,
  type DeliverFrame,
  type FailureFrame,
  type RoleFrame,
} from '../wire/index.js';
import type { Clock } from './clock.js';
import { errorFromClose, errorFromStatus, RingbufError } from './errors.js';
import type { OpenWebSocket, SocketEnd, SocketLike } from './socket.js';
import { timedOut } from './waiting.js';

/** ATTACHED has a little text; a delivery has what credit allows. */
const LEAST_MESSAGE_BYTES = 65_536;

/** After `close`, the daemon has so long to answer before the socket is dropped. */
const CLOSE_TIMEOUT_MS = 2_000;

/** What the daemon said at the beginning. */
export interface Attached {
  readonly map: string;
  readonly handler: string;
  readonly incarnation: string;
  /** How operators see this client. */
  readonly client: string;
  readonly active: boolean;
  /** Bytes of the records of one delivery; a larger sample comes alone. */
  readonly maxBatchBytes: number;
  /** Milliseconds until a delivery without an answer is given up. */
  readonly timeoutMs: number;
}

export interface HandlerLinkOptions {
  url: string;
  subprotocols: readonly string[];
  openWebSocket: OpenWebSocket;
  clock: Clock;
  connectTimeoutMs: number;
  /** 0 = off. */
  keepaliveMs: number;
  creditBytes: number;
}

export interface HandlerLinkEvents {
  attached(attached: Attached): void;
  deliver(frame: DeliverFrame): void;
  cancelled(frame: CancelFrame): void;
  role(active: boolean): void;
  /** Exactly once, also when it never was attached; nothing follows it. */
  ended(error: RingbufError, mayTryAgain: boolean): void;
}

/** One WebSocket attached to a handler, from its handshake to its end. */
export class HandlerLink {
  readonly #options: HandlerLinkOptions;
  readonly #events: HandlerLinkEvents;
  readonly #socket: SocketLike;
  #attached = false;
  #over = false;
  /** Set when this side found a reason to end the connection; told instead of what the socket says then. */
  #verdict: { error: RingbufError; mayTryAgain: boolean } | undefined;
  #timer: unknown;
  #heard = true;
  #creditBytes: number;
  #creditSeq = 0n;
  #onCredited: (() => void) | undefined;

  constructor(options: HandlerLinkOptions, events: HandlerLinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#creditBytes = options.creditBytes;
    this.#timer = options.clock.after(options.connectTimeoutMs, () =>
      this.#giveUp(timedOut('attaching', options.connectTimeoutMs), true),
    );
    const maxMessageBytes = Math.max(LEAST_MESSAGE_BYTES, options.creditBytes + FRAME_HEADER_SIZE);
    this.#socket = options.openWebSocket(
      options.url,
      options.subprotocols,
      { maxMessageBytes },
      {
        opened: (subprotocol) => {
          if (subprotocol !== HANDLER_SUBPROTOCOL)
            this.fail(`the server selected the subprotocol "${subprotocol}"`);
        },
        message: (bytes) => this.#receive(bytes),
        text: () => this.fail('a text message came, where frames are binary messages'),
        closed: (end) => this.#closed(end),
      },
    );
  }

  /** Whether it is attached and has not ended. */
  get open(): boolean {
    return this.#attached && !this.#over && this.#verdict === undefined;
  }

  answer(frame: AnswerFrame | FailureFrame): void {
    if (this.open) this.#socket.send(encodeHandlerClientFrame(frame));
  }

  /** Takes no delivery any more; `done` is called when the daemon has confirmed that none will come. */
  pause(done: () => void): void {
    this.#creditBytes = 0;
    this.#onCredited = done;
    this.#sendCredit();
  }

  /** Ends the connection from this side, with a handshake if there is somebody to shake hands with. */
  close(error: RingbufError): void {
    if (this.#over || this.#verdict !== undefined) return;
    this.#verdict = { error, mayTryAgain: false };
    this.#options.clock.clear(this.#timer);
    if (!this.#attached) {
      this.#socket.terminate();
      return;
    }
    this.#timer = this.#options.clock.after(CLOSE_TIMEOUT_MS, () => this.#socket.terminate());
    this.#socket.close(1000, '');
  }

  /** The other side does not keep to the protocol. */
  fail(message: string): void {
    this.#giveUp(new RingbufError('EPROTO', 'PROTOCOL', message), false);
  }

  #giveUp(error: RingbufError, mayTryAgain: boolean): void {
    if (this.#over || this.#verdict !== undefined) return;
    this.#verdict = { error, mayTryAgain };
    this.#socket.terminate();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#over || this.#verdict !== undefined) return;
    this.#heard = true;
    const frame = decodeHandlerServerFrame(bytes);
    if (isFrameError(frame)) {
      // A newer daemon may say things that this SDK does not know; what it knows must be right.
      if (frame.error !== 'FRAME_UNKNOWN_OP' || !this.#attached) this.fail(frame.message);
      return;
    }
    if (frame.op === HandlerOp.ATTACHED) {
      this.#receiveAttached(frame);
      return;
    }
    if (!this.#attached) {
      this.fail('the first frame was not ATTACHED');
      return;
    }
    switch (frame.op) {
      case HandlerOp.DELIVER:
        this.#events.deliver(frame);
        return;
      case HandlerOp.CANCEL:
        this.#events.cancelled(frame);
        return;
      case HandlerOp.ROLE:
        this.#receiveRole(frame);
    }
  }

  #receiveAttached({ version, body }: AttachedFrame): void {
    if (this.#attached) return;
    if (version !== HANDLER_PROTOCOL_VERSION) {
      this.fail(`protocol version ${version}, where ${HANDLER_PROTOCOL_VERSION} is spoken here`);
      return;
    }
    this.#attached = true;
    this.#options.clock.clear(this.#timer);
    this.#timer = undefined;
    this.#keepAlive();
    const { map, handler, incarnation, client, role, limits } = body;
    this.#events.attached({
      map,
      handler,
      incarnation,
      client,
      active: role === 'active',
      maxBatchBytes: limits.max_batch_bytes,
      timeoutMs: limits.timeout_ms,
    });
  }

  #receiveRole(frame: RoleFrame): void {
    this.#events.role(frame.active);
    if (this.#creditBytes > 0 || frame.seq !== this.#creditSeq) return;
    this.#onCredited?.();
    this.#onCredited = undefined;
  }

  /** A standby may hear nothing for days: its credit, said again and confirmed, shows that the daemon is still there. */
  #keepAlive(): void {
    const { keepaliveMs, clock } = this.#options;
    if (keepaliveMs === 0) return;
    this.#timer = clock.after(keepaliveMs, () => {
      if (!this.#heard) {
        this.#giveUp(timedOut('a sign of life of the daemon', keepaliveMs), true);
        return;
      }
      this.#heard = false;
      this.#sendCredit();
      this.#keepAlive();
    });
  }

  #sendCredit(): void {
    this.#creditSeq++;
    this.#socket.send(
      encodeHandlerClientFrame({ op: HandlerOp.CREDIT, seq: this.#creditSeq, bytes: this.#creditBytes }),
    );
  }

  #closed(end: SocketEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.clock.clear(this.#timer);
    const { error, mayTryAgain } = this.#verdict ?? this.#judge(end);
    this.#events.ended(error, mayTryAgain);
  }

  #judge(end: SocketEnd): { error: RingbufError; mayTryAgain: boolean } {
    if (end.refusal !== undefined) {
      const error = errorFromStatus(end.refusal.status, end.refusal.body);
      return { error, mayTryAgain: error.retryable };
    }
    if (!this.#attached && end.code === 1006) {
      const because = end.cause instanceof Error ? `: ${end.cause.message}` : '';
      const error = new RingbufError(
        'EIO',
        'CONNECT_REFUSED',
        `no connection to ${this.#options.url}${because}`,
        { retryable: true, closeCode: end.code, cause: end.cause },
      );
      return { error, mayTryAgain: true };
    }
    const mayTryAgain = mayReconnect(end.code);
    return { error: errorFromClose(end.code, end.reason, mayTryAgain), mayTryAgain };
  }
}
