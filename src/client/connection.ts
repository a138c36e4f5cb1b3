import {
  decodeServerFrame,
  encodeClientFrame,
  isFrameError,
  mayReconnect,
  Op,
  Subprotocol,
  type AckFrame,
  type ClientFrame,
  type DoneFrame,
  type ErrorFrame,
  type InfoFrame,
  type OutputFrame,
  type ReservedFrame,
  type ServerFrame,
  type WakeupFrame,
} from '../wire/index.js';
import type { Clock } from './clock.js';
import { errorFromClose, errorFromFrame, errorFromStatus, RingbufError } from './errors.js';
import type { OpenWebSocket, SocketEnd, SocketLike } from './socket.js';
import { timedOut } from './waiting.js';
import { readWelcome, type Welcome } from './welcome.js';

/** The largest of the daemon's frames are WELCOME and ERROR, with a little text each. */
const MAX_MESSAGE_BYTES = 262_144;

/** After `close`, the daemon has so long to answer before the socket is dropped. */
const CLOSE_TIMEOUT_MS = 2_000;

export interface ConnectionOptions {
  url: string;
  subprotocols: readonly string[];
  openWebSocket: OpenWebSocket;
  clock: Clock;
  connectTimeoutMs: number;
  /** 0 = off. */
  replyTimeoutMs: number;
  maxPendingRequests: number;
  maxPendingBytes: number;
}

export interface ConnectionEvents {
  welcome(welcome: Welcome): void;
  ack(frame: AckFrame): void;
  outputRefused(frame: ErrorFrame): void;
  wakeup(frame: WakeupFrame): void;
  consumerPos(position: bigint): void;
  /** Something that the daemon should not have said; the connection goes on. */
  strange(error: RingbufError): void;
  /** Whether an answer is awaited, requests of this file not counted. */
  expectsAnswer(): boolean;
  /** Exactly once, also when there never was a WELCOME; nothing follows it. */
  ended(error: RingbufError, mayTryAgain: boolean): void;
}

/** The frames that ask for one answer each, by their seq. */
export type RequestFrame = Exclude<ClientFrame, OutputFrame>;
type Unnumbered<Frame> = Frame extends RequestFrame ? Omit<Frame, 'seq'> : never;
interface Replies {
  [Op.RESERVE]: ReservedFrame;
  [Op.QUERY]: InfoFrame;
  [Op.SUBMIT]: DoneFrame;
  [Op.DISCARD]: DoneFrame;
  [Op.WATCH]: DoneFrame;
  [Op.WRITE]: DoneFrame;
  [Op.COMMIT]: DoneFrame;
}

interface PendingRequest {
  op: RequestFrame['op'];
  replyOp: ServerFrame['op'];
  size: number;
  /** The error if the connection ends first. */
  lost(cause: RingbufError): RingbufError;
  resolve(frame: ServerFrame): void;
  reject(error: RingbufError): void;
}

/** One WebSocket from its handshake to its end: frames in, frames out, requests matched with their replies. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  readonly #socket: SocketLike;
  readonly #pending = new Map<number, PendingRequest>();
  #pendingBytes = 0;
  #lastId = 0;
  #welcomed = false;
  #over = false;
  /** Set once nothing that still arrives can be trusted. */
  #deaf = false;
  /** Set when this side found a reason to end the connection; told instead of what the socket says then. */
  #verdict: { error: RingbufError; mayTryAgain: boolean } | undefined;
  #timer: unknown;
  #heard = true;

  constructor(options: ConnectionOptions, events: ConnectionEvents) {
    this.#options = options;
    this.#events = events;
    this.#timer = options.clock.after(options.connectTimeoutMs, () =>
      this.#giveUp(timedOut('connecting, until WELCOME,', options.connectTimeoutMs), true),
    );
    this.#socket = options.openWebSocket(
      options.url,
      options.subprotocols,
      { maxMessageBytes: MAX_MESSAGE_BYTES },
      {
        opened: (subprotocol) => {
          if (subprotocol !== Subprotocol.BINARY)
            this.#giveUp(protocolError(`the server selected the subprotocol "${subprotocol}"`), false);
        },
        message: (bytes) => this.#receive(bytes),
        text: () => this.#giveUp(protocolError('a text message came in binary mode'), false),
        closed: (end) => this.#closed(end),
      },
    );
  }

  /** Whether WELCOME came and the connection has not ended. */
  get open(): boolean {
    return this.#welcomed && !this.#over && this.#verdict === undefined;
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  /**
   * Sends a request and waits for its answer.
   * @param lost makes the error for a connection that ends before the answer
   * @param always send it however much waits: for the few frames of which there is one at a time
   * @throws RingbufError what the daemon answered; EAGAIN when too much waits already
   */
  request<Sent extends Unnumbered<RequestFrame>>(
    frame: Sent,
    lost: (cause: RingbufError) => RingbufError,
    always = false,
  ): Promise<Replies[Sent['op']]> {
    const id = ++this.#lastId;
    const bytes = encodeClientFrame({ ...frame, seq: BigInt(id) });
    const { maxPendingRequests, maxPendingBytes } = this.#options;
    const full =
      this.#pending.size >= maxPendingRequests ||
      (this.#pending.size > 0 && this.#pendingBytes + bytes.length > maxPendingBytes);
    if (full && !always)
      return Promise.reject(
        new RingbufError(
          'EAGAIN',
          'QUEUE_FULL',
          `${this.#pending.size} requests wait for an answer already`,
          {
            retryable: true,
          },
        ),
      );
    return new Promise((resolve, reject) => {
      this.#pending.set(id, {
        op: frame.op,
        replyOp: replyOps[frame.op],
        size: bytes.length,
        lost,
        resolve: resolve as (reply: ServerFrame) => void,
        reject,
      });
      this.#pendingBytes += bytes.length;
      this.#socket.send(bytes);
    });
  }

  /** Ends the connection from this side. */
  close(error: RingbufError): void {
    if (this.#over || this.#verdict !== undefined) return;
    this.#verdict = { error, mayTryAgain: false };
    this.#options.clock.clear(this.#timer);
    this.#timer = this.#options.clock.after(CLOSE_TIMEOUT_MS, () => this.#socket.terminate());
    if (this.#welcomed) {
      this.#socket.close(1000, '');
      return;
    }
    this.#deaf = true;
    this.#socket.terminate();
  }

  #giveUp(error: RingbufError, mayTryAgain: boolean): void {
    if (this.#over || this.#verdict !== undefined) return;
    this.#verdict = { error, mayTryAgain };
    this.#deaf = true;
    this.#socket.terminate();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#over || this.#deaf) return;
    this.#heard = true;
    const frame = decodeServerFrame(bytes);
    if (isFrameError(frame)) {
      const error = protocolError(frame.message);
      // A newer daemon may say things that this SDK does not know; what it knows must be right.
      if (frame.error === 'FRAME_UNKNOWN_OP' && this.#welcomed) this.#events.strange(error);
      else this.#giveUp(error, false);
      return;
    }
    if (frame.op === Op.WELCOME) {
      this.#receiveWelcome(frame);
      return;
    }
    if (!this.#welcomed) {
      if (frame.op === Op.ERROR) this.#giveUp(errorFromFrame(frame), false);
      else this.#giveUp(protocolError('the first frame was not WELCOME'), false);
      return;
    }
    if ('consumerPos' in frame) this.#events.consumerPos(frame.consumerPos);
    switch (frame.op) {
      case Op.ACK:
        this.#events.ack(frame);
        return;
      case Op.WAKEUP:
        this.#events.wakeup(frame);
        return;
      case Op.ERROR:
        if (frame.request === Op.OUTPUT) this.#events.outputRefused(frame);
        else this.#answer(frame);
        return;
      default:
        this.#answer(frame);
    }
  }

  #receiveWelcome(frame: Extract<ServerFrame, { op: typeof Op.WELCOME }>): void {
    if (this.#welcomed) {
      this.#events.strange(protocolError('a second WELCOME'));
      return;
    }
    let welcome: Welcome;
    try {
      welcome = readWelcome(frame);
    } catch (error) {
      this.#giveUp(error as RingbufError, false);
      return;
    }
    this.#welcomed = true;
    this.#options.clock.clear(this.#timer);
    this.#timer = undefined;
    this.#watchSilence(false);
    this.#events.welcome(welcome);
  }

  #answer(frame: Exclude<ServerFrame, { op: typeof Op.ACK | typeof Op.WAKEUP | typeof Op.WELCOME }>): void {
    const id = Number(frame.seq);
    const request = this.#pending.get(id);
    const fits = frame.op === Op.ERROR ? frame.request === request?.op : frame.op === request?.replyOp;
    if (request === undefined || !fits) {
      const error = frame.op === Op.ERROR ? errorFromFrame(frame) : protocolError('an answer to no question');
      this.#events.strange(error);
      return;
    }
    this.#pending.delete(id);
    this.#pendingBytes -= request.size;
    if (frame.op === Op.ERROR) request.reject(errorFromFrame(frame));
    else request.resolve(frame);
  }

  /** A peer that vanished without a word is noticed by its silence while it owes an answer. */
  #watchSilence(expected: boolean): void {
    const { replyTimeoutMs, clock } = this.#options;
    if (replyTimeoutMs === 0) return;
    this.#timer = clock.after(replyTimeoutMs, () => {
      const expects = this.#pending.size > 0 || this.#events.expectsAnswer();
      if (expected && expects && !this.#heard) {
        this.#giveUp(timedOut('an answer of the daemon', replyTimeoutMs), true);
        return;
      }
      this.#heard = false;
      this.#watchSilence(expects);
    });
  }

  #closed(end: SocketEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.clock.clear(this.#timer);
    const { error, mayTryAgain } = this.#verdict ?? this.#judge(end);
    for (const request of this.#pending.values()) request.reject(request.lost(error));
    this.#pending.clear();
    this.#pendingBytes = 0;
    this.#events.ended(error, mayTryAgain);
  }

  #judge(end: SocketEnd): { error: RingbufError; mayTryAgain: boolean } {
    if (end.refusal !== undefined) {
      const error = errorFromStatus(end.refusal.status, end.refusal.body);
      return { error, mayTryAgain: error.retryable };
    }
    if (!this.#welcomed && end.code === 1006) {
      const because = end.cause instanceof Error ? `: ${end.cause.message}` : '';
      const error = new RingbufError(
        'EIO',
        'CONNECT_REFUSED',
        `no connection to ${this.#options.url}${because}`,
        {
          retryable: true,
          closeCode: end.code,
          cause: end.cause,
        },
      );
      return { error, mayTryAgain: true };
    }
    const mayTryAgain = mayReconnect(end.code);
    return { error: errorFromClose(end.code, end.reason, mayTryAgain), mayTryAgain };
  }
}

const replyOps: Record<RequestFrame['op'], ServerFrame['op']> = {
  [Op.RESERVE]: Op.RESERVED,
  [Op.QUERY]: Op.INFO,
  [Op.SUBMIT]: Op.DONE,
  [Op.DISCARD]: Op.DONE,
  [Op.WATCH]: Op.DONE,
  [Op.WRITE]: Op.DONE,
  [Op.COMMIT]: Op.DONE,
};

function protocolError(message: string): RingbufError {
  return new RingbufError('EPROTO', 'PROTOCOL', message);
}
