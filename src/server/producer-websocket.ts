import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { HeartbeatPeer } from './heartbeat.js';
import { MessageReader, type MessageLimits } from './message-reader.js';
import type { SessionSocket, SocketEvents } from './session-socket.js';

/** Reasons for the closes that ws starts by itself when a message breaks RFC 6455 or a limit. */
const closeReasons = new Map([
  [1002, 'EPROTO: not a valid WebSocket frame'],
  [1003, 'EPROTO: message type not supported'],
  [1007, 'EPROTO: text that is not UTF-8'],
  [1008, 'E2BIG: too many fragments'],
  [1009, 'E2BIG: the message is over the frame limit'],
]);

/**
 * The server side of a producer's WebSocket. ws answers the client's Close and its violations by calling `close` itself;
 * overriding it is how a session gets to answer later, and how such a close gets a reason.
 */
export class ProducerWebSocket extends WebSocket {
  /** Set by the gateway before the first message can arrive. */
  events: SocketEvents | undefined;
  #answering = false;
  /** Whether ws has read the peer's Close or a violation: it wants no more bytes then. */
  #heardAll = false;

  /**
   * From now on whole binary messages come here, and only the rest goes to ws: see {@link MessageReader}.
   * @param onMessage the bytes are lent, as {@link SocketEvents.message} says
   * @returns false: ws reads in a way that is not known here, and everything goes on through it alone
   */
  readMessages(tcp: Socket, limits: MessageLimits, onMessage: (data: Uint8Array) => void): boolean {
    const listeners = tcp.listeners('data') as ((chunk: Buffer) => void)[];
    const [toWs] = listeners;
    if (toWs === undefined || listeners.length > 1) return false;
    const reader = new MessageReader(
      {
        message: onMessage,
        other: (bytes) => {
          if (!this.#heardAll) toWs.call(tcp, bytes);
        },
      },
      limits,
    );
    tcp.on('data', (chunk: Buffer) => reader.read(chunk));
    tcp.removeListener('data', toWs);
    // When the socket ends while it is paused, ws takes what was read and not yet handled: before it does, it is read here.
    tcp.prependListener('close', () => {
      const rest = tcp.readableLength > 0 && !this.#heardAll ? (tcp.read() as Buffer | null) : null;
      if (rest !== null) reader.read(rest);
    });
    return true;
  }

  override close(code?: number, reason?: string | Buffer): void {
    // The daemon's own closes are answers.
    this.#heardAll = true;
    if (this.#answering || this.events === undefined) {
      super.close(code, reason);
    } else if (code !== undefined && reason === undefined) {
      // A violation that ws has found. The peer's own Close comes with a reason, be it an empty one.
      this.events.violated(code);
      super.close(code, closeReasons.get(code));
    } else if (this.readyState !== WebSocket.OPEN || !this.events.closing()) {
      super.close(code, reason);
    }
  }

  /** The daemon's own close, which no session is asked about. */
  answer(code: number, reason: string): void {
    this.#answering = true;
    super.close(code, reason);
  }
}

/** {@link ProducerWebSocket} as sessions and the heartbeat see it. */
export class ProducerSocket implements SessionSocket, HeartbeatPeer {
  awaitingPong = false;
  readonly #ws: ProducerWebSocket;
  readonly #tcp: Socket;
  #corked = false;

  constructor(ws: ProducerWebSocket, tcp: Socket) {
    this.#ws = ws;
    this.#tcp = tcp;
  }

  get queuedBytes(): number {
    return this.#ws.bufferedAmount;
  }

  get congested(): boolean {
    return this.#tcp.writableNeedDrain;
  }

  get deadlineSuspended(): boolean {
    return this.#ws.events?.deadlineSuspended ?? false;
  }

  /** What is sent in one turn of the event loop leaves in one system call. */
  send(message: Uint8Array | string): void {
    if (this.#ws.readyState !== WebSocket.OPEN) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#tcp.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#tcp.uncork();
      });
    }
    this.#ws.send(message);
  }

  close(code: number, reason: string): void {
    this.#ws.answer(code, reason);
  }

  pause(): void {
    this.#ws.pause();
  }

  /** Silence does not count while paused; the pong may be among what is read from now on. */
  resume(): void {
    this.awaitingPong = false;
    this.#ws.resume();
  }

  ping(): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.ping();
  }

  terminate(): void {
    this.#ws.terminate();
  }
}
