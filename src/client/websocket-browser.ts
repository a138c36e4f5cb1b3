import type { OpenWebSocket, SocketEnd, SocketLike } from './socket.js';

/** The part of the WHATWG WebSocket that is used here; the project is compiled without the DOM's types. */
interface WhatwgWebSocket {
  readonly protocol: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  binaryType: string;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  send(bytes: Uint8Array): void;
  close(code?: number, reason?: string): void;
}
type WhatwgConstructor = new (url: string, subprotocols: string[]) => WhatwgWebSocket;

const OPEN = 1;

/**
 * Opens the platform's own WebSocket: browsers, Deno, Bun, workers. It shows no HTTP status (the daemon therefore
 * upgrades and closes with a code when it sees an Origin), has no way to drop a connection at once, and bounds
 * messages itself.
 */
export const openWebSocket: OpenWebSocket = (url, subprotocols, _limits, events) => {
  const { WebSocket } = globalThis as unknown as { WebSocket: WhatwgConstructor };
  const socket = new WebSocket(url, [...subprotocols]);
  socket.binaryType = 'arraybuffer';

  let over = false;
  const end = (how: SocketEnd): void => {
    if (over) return;
    over = true;
    events.closed(how);
  };
  socket.onopen = () => {
    if (!over) events.opened(socket.protocol);
  };
  socket.onmessage = (event) => {
    if (over) return;
    if (event.data instanceof ArrayBuffer) events.message(new Uint8Array(event.data));
    else events.text();
  };
  // The error event says nothing, on purpose; a close event always follows it.
  socket.onerror = null;
  socket.onclose = (event) => end({ code: event.code, reason: event.reason });

  return {
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
    send(bytes) {
      if (socket.readyState === OPEN) socket.send(bytes);
    },
    close: (code, reason) => socket.close(code, reason),
    terminate() {
      socket.close();
      // The platform may wait long for a dead peer; for the SDK it is over now.
      queueMicrotask(() => end({ code: 1006, reason: '' }));
    },
  } satisfies SocketLike;
};
