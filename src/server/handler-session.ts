import {
  CloseCode,
  decodeHandlerClientFrame,
  encodeHandlerServerFrame,
  HANDLER_PROTOCOL_VERSION,
  HandlerOp,
  isFrameError,
  type HandlerServerFrame,
} from '../wire/index.js';
import { catalogue } from './errors.js';
import type { RemoteHandler } from './handlers/remote.js';
import type { RemoteClient, Seat } from './handlers/remote-roster.js';
import type { SessionSocket, SocketEvents } from './session-socket.js';

export interface HandlerSessionOptions {
  map: string;
  handler: string;
  incarnation: string;
  /** How operators name this connection: the client's own name, or `~N`. */
  label: string;
  /** Bytes of a delivery's body that the client takes at first; 0 = none until it sends CREDIT. */
  creditBytes: number;
  maxFrameBytes: number;
  /** Unsent bytes that may wait beside one delivery. */
  maxQueuedBytes: number;
  /** Called when the connection was closed because the client reads too slowly. */
  onSlow: () => void;
}

/** A close reason has room for 123 bytes (RFC 6455 §5.5); what is said here is ASCII. */
const MAX_REASON_LENGTH = 123;

/** One WebSocket that is attached to a remote handler. Protocol rules: docs/PROTOCOL.md §11. */
export class HandlerSession implements SocketEvents, RemoteClient {
  readonly deadlineSuspended = false;
  readonly #socket: SessionSocket;
  readonly #handler: RemoteHandler;
  readonly #options: HandlerSessionOptions;
  readonly #seat: Seat;
  /** Nothing is sent before ATTACHED. */
  #attached = false;
  #ended = false;

  /** @throws RingbufdError NO_HANDLER when the handler was removed meanwhile */
  constructor(socket: SessionSocket, handler: RemoteHandler, options: HandlerSessionOptions) {
    this.#socket = socket;
    this.#handler = handler;
    this.#options = options;
    this.#seat = handler.attach(this, options.creditBytes);
    this.#attached = true;
    this.#sendAttached();
  }

  get label(): string {
    return this.#options.label;
  }

  message(data: Uint8Array, isBinary: boolean): void {
    if (this.#ended) return;
    if (!isBinary) {
      this.#refuse('a text message on ringbuf.v1.handler, where frames are binary messages');
      return;
    }
    const frame = decodeHandlerClientFrame(data);
    if (isFrameError(frame)) {
      this.#refuse(frame.message);
    } else if (frame.op === HandlerOp.CREDIT) {
      this.#handler.credit(this.#seat, frame.bytes);
      this.#send({ op: HandlerOp.ROLE, seq: frame.seq, active: this.#seat.active });
    } else if (!this.#handler.answer(this.#seat, frame)) {
      this.#refuse(`an answer to delivery ${frame.seq}, which this client was never given`);
    }
  }

  closing(): boolean {
    this.#leave();
    return false;
  }

  violated(): void {
    this.#leave();
  }

  closed(): void {
    this.#leave();
  }

  drained(): void {
    // Nothing is held back: one delivery at a time is the bound.
  }

  deliver(message: Uint8Array): void {
    this.#write(message, message.length);
  }

  cancel(number: bigint, errno: number): void {
    this.#send({ op: HandlerOp.CANCEL, seq: number, errno });
  }

  changeRole(active: boolean): void {
    if (this.#attached) this.#send({ op: HandlerOp.ROLE, seq: 0n, active });
  }

  hangUp(code: number, reason: string): void {
    if (this.#ended) return;
    this.#leave();
    this.#socket.close(code, reason.slice(0, MAX_REASON_LENGTH));
  }

  #sendAttached(): void {
    const { map, handler, incarnation, label, maxFrameBytes } = this.#options;
    this.#send({
      op: HandlerOp.ATTACHED,
      version: HANDLER_PROTOCOL_VERSION,
      body: {
        map,
        handler,
        incarnation,
        client: label,
        role: this.#seat.active ? 'active' : 'standby',
        limits: {
          max_batch_bytes: this.#handler.maxBatchBytes,
          timeout_ms: this.#handler.timeoutMs,
          max_frame_bytes: maxFrameBytes,
        },
      },
    });
  }

  #send(frame: HandlerServerFrame): void {
    this.#write(encodeHandlerServerFrame(frame), 0);
  }

  /** @param allowance bytes that do not count towards the limit: a delivery was asked for, with credit */
  #write(message: Uint8Array, allowance: number): void {
    if (this.#ended) return;
    this.#socket.send(message);
    if (this.#socket.queuedBytes - allowance <= this.#options.maxQueuedBytes) return;
    const { errno, title } = catalogue.SLOW_CLIENT;
    this.hangUp(CloseCode.SLOW_CLIENT, `${errno}: ${title}`);
    this.#options.onSlow();
  }

  #refuse(message: string): void {
    this.hangUp(CloseCode.PROTOCOL_ERROR, `EPROTO: ${message}`);
  }

  /** Ends every influence of this connection on the handler. Idempotent. */
  #leave(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handler.leave(this.#seat);
  }
}
