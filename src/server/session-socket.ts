/** A producer's WebSocket as sessions see it: small enough for a test to be an object literal. */
export interface SessionSocket {
  /** Queues one message. */
  send(message: Uint8Array | string): void;
  /** Starts the closing handshake. */
  close(code: number, reason: string): void;
  /** Stops, and goes on, reading from the peer. */
  pause(): void;
  resume(): void;
  /** Bytes queued and not yet taken by the OS. */
  readonly queuedBytes: number;
  /** Whether the peer takes what is sent slower than it comes; {@link SocketEvents.drained} follows. */
  readonly congested: boolean;
}

/** What the gateway tells a session. */
export interface SocketEvents {
  /** @param data is lent: it may hold another message once this returns, so what is kept has to be copied */
  message(data: Uint8Array, isBinary: boolean): void;
  /** The peer has begun the closing handshake. Returns true to answer it later, with {@link SessionSocket.close}. */
  closing(): boolean;
  /** The peer broke RFC 6455 or a limit; the connection is about to be closed with `code`. */
  violated(code: number): void;
  /** The connection is gone. */
  closed(): void;
  /** The socket is no longer congested. */
  drained(): void;
  /** Whether a missing pong counts now. */
  readonly deadlineSuspended: boolean;
}
