/**
 * A WebSocket seen through the little that the SDK needs of one. `websocket-node.ts` and `websocket-browser.ts` both
 * export `openWebSocket`; the package's `#websocket` import picks one.
 */
export interface SocketLike {
  /** Bytes handed to `send` that have not left yet. */
  readonly bufferedAmount: number;
  /** Sends one binary message. The bytes may be changed as soon as this returns. Ignored once the socket is closing. */
  send(bytes: Uint8Array): void;
  /** Starts the closing handshake; `closed` follows when it is over. */
  close(code: number, reason: string): void;
  /** Gives the socket up without a handshake. */
  terminate(): void;
}

export interface SocketEvents {
  /** @param subprotocol the one that the server selected, '' for none */
  opened(subprotocol: string): void;
  /** A binary message; the bytes belong to the receiver. */
  message(bytes: Uint8Array): void;
  /** A text message, which this protocol does not have. */
  text(): void;
  /** Exactly once, also when the socket never opened; nothing follows it. */
  closed(end: SocketEnd): void;
}

export interface SocketEnd {
  /** RFC 6455 close code; 1006 when there was no closing handshake. */
  code: number;
  reason: string;
  /** The HTTP answer where the upgrade was refused. Browsers hide it. */
  refusal?: { status: number; body: string };
  /** What the platform said about a failure. */
  cause?: unknown;
}

export interface SocketLimits {
  /** Largest message that is accepted from the server, in bytes, where the platform can enforce it. */
  maxMessageBytes: number;
}

export type OpenWebSocket = (
  url: string,
  subprotocols: readonly string[],
  limits: SocketLimits,
  events: SocketEvents,
) => SocketLike;
