import { CloseCode, Op, type AckFrame, type ServerFrame, type WakeupFrame } from '../wire/index.js';
import { EncodedFrame } from './encoded-frame.js';
import { catalogue } from './errors.js';
import type { SessionSocket } from './session-socket.js';

/** How frames are written on a connection. */
export type FrameDialect = 'binary' | 'json';

/**
 * What the daemon has to say to one client. ACKs and WAKEUPs are merged while the client does not take what was sent;
 * everything else is queued up to a byte limit, past which the connection is closed with 4408: never an endless
 * buffer, and never a silent gap, since nothing follows the close.
 */
export class Outbox {
  readonly #socket: SessionSocket;
  readonly #dialect: FrameDialect;
  readonly #maxQueuedBytes: number;
  readonly #onSlow: () => void;
  #ack: AckFrame | undefined;
  #wakeup: WakeupFrame | undefined;
  #closed = false;

  /** @param onSlow called once, when the limit is passed, after the close was sent */
  constructor(socket: SessionSocket, dialect: FrameDialect, maxQueuedBytes: number, onSlow: () => void) {
    this.#socket = socket;
    this.#dialect = dialect;
    this.#maxQueuedBytes = maxQueuedBytes;
    this.#onSlow = onSlow;
  }

  /** A frame of its own: never merged, and never before an ACK that came earlier. */
  send(frame: ServerFrame): void {
    this.flush();
    this.#write(new EncodedFrame(frame));
  }

  /** A cumulative ACK: a newer one replaces one that is still here. */
  ack(frame: AckFrame): void {
    if (this.#socket.congested) this.#ack = frame;
    else this.#write(new EncodedFrame(frame));
  }

  /** Returns whether it was merged into one that is still here. */
  wakeup(encoded: EncodedFrame<WakeupFrame>): boolean {
    if (!this.#socket.congested) {
      this.#write(encoded);
      return false;
    }
    const held = this.#wakeup;
    this.#wakeup = held === undefined ? encoded.frame : merge(held, encoded.frame);
    return held !== undefined;
  }

  /** Sends what was held back. */
  flush(): void {
    const ack = this.#ack;
    const wakeup = this.#wakeup;
    this.#ack = undefined;
    this.#wakeup = undefined;
    if (ack !== undefined) this.#write(new EncodedFrame(ack));
    if (wakeup !== undefined) this.#write(new EncodedFrame(wakeup));
  }

  /** Sends what was held back, then the close. Nothing is sent afterwards. */
  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.flush();
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close(code, truncate(reason));
  }

  #write(encoded: EncodedFrame): void {
    if (this.#closed) return;
    this.#socket.send(this.#dialect === 'binary' ? encoded.binary : encoded.json);
    if (this.#socket.queuedBytes <= this.#maxQueuedBytes) return;
    this.#closed = true;
    const { errno, title } = catalogue.SLOW_CLIENT;
    this.#socket.close(CloseCode.SLOW_CLIENT, `${errno}: ${title}`);
    this.#onSlow();
  }
}

function merge(older: WakeupFrame, newer: WakeupFrame): WakeupFrame {
  return {
    op: Op.WAKEUP,
    forced: older.forced || newer.forced,
    writable: older.writable || newer.writable,
    atOnce: older.atOnce || newer.atOnce,
    drained: Math.min(older.drained + newer.drained, 2 ** 32 - 1),
    seq: newer.seq,
    producerPos: newer.producerPos,
    consumerPos: newer.consumerPos,
  };
}

/** A close reason has room for 123 bytes (RFC 6455 §5.5). */
const MAX_REASON_BYTES = 123;

function truncate(reason: string): string {
  const bytes = new TextEncoder().encode(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  return new TextDecoder().decode(bytes.subarray(0, MAX_REASON_BYTES)).replace(/\ufffd+$/, '');
}
