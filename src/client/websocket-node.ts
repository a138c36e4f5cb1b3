import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { nextTick } from 'node:process';
import { WebSocket } from 'ws';
import type { OpenWebSocket, SocketEnd, SocketLike } from './socket.js';

/** Bytes of a refused upgrade's body that are kept for the error message. */
const MAX_REFUSAL_BODY_BYTES = 16_384;

/** Opens a WebSocket with `ws`. */
export const openWebSocket: OpenWebSocket = webSocketOpener(() => undefined);

/**
 * Opens WebSockets with `ws` and shows each to `made` before anything happens on it: for tools that have to do to a
 * connection what a network does. Compression is off: samples are small and rest in the ring as they travel, and a
 * deflate context costs more memory per connection than the rest of it.
 */
export function webSocketOpener(made: (socket: WebSocket) => void): OpenWebSocket {
  return (url, subprotocols, limits, events) => open(made, url, subprotocols, limits, events);
}

function open(
  made: (socket: WebSocket) => void,
  ...[url, subprotocols, limits, events]: Parameters<OpenWebSocket>
): SocketLike {
  const socket = new WebSocket(url, [...subprotocols], {
    perMessageDeflate: false,
    skipUTF8Validation: true,
    followRedirects: false,
    maxPayload: limits.maxMessageBytes,
  });
  made(socket);
  let cause: unknown;
  let refusal: SocketEnd['refusal'];

  let tcp: Socket | undefined;
  let isCorked = false;
  const uncork = (): void => {
    isCorked = false;
    tcp?.uncork();
  };
  socket.on('upgrade', (response: IncomingMessage) => (tcp = response.socket));
  socket.on('open', () => events.opened(socket.protocol));
  socket.on('message', (data, isBinary) => {
    // With the default binaryType every message arrives as one Buffer.
    if (isBinary) events.message(data as Uint8Array);
    else events.text();
  });
  socket.on('unexpected-response', (_request, response: IncomingMessage) => {
    void readStart(response).then((body) => {
      refusal = { status: response.statusCode ?? 0, body };
      socket.terminate();
    });
  });
  socket.on('error', (error) => {
    cause ??= error;
  });
  socket.on('close', (code, reason) => {
    events.closed({
      code,
      reason: reason.toString(),
      ...(refusal === undefined ? {} : { refusal }),
      ...(cause === undefined ? {} : { cause }),
    });
  });

  return {
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
    send(bytes) {
      if (socket.readyState !== WebSocket.OPEN) return;
      // What is sent in one turn of the event loop leaves in one system call, which takes more than all the rest.
      if (!isCorked && tcp !== undefined) {
        isCorked = true;
        tcp.cork();
        nextTick(uncork);
      }
      // `ws` masks a view into a copy of its own before it returns.
      socket.send(bytes);
    },
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
  };
}

async function readStart(response: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= MAX_REFUSAL_BODY_BYTES) break;
    }
  } catch {
    // A body that breaks off still leaves the status to report.
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return new TextDecoder().decode(bytes);
}
