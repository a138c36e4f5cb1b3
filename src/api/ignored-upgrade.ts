import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** Headers that offer another protocol; without them the request is an ordinary one. */
const OFFERING_HEADERS = new Set(['upgrade', 'http2-settings']);

/** Whether a request asks for a WebSocket, and not for something else, such as HTTP/2 (`h2c`, as Java's client does). */
export function wantsWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.trim().toLowerCase() === 'websocket';
}

/**
 * Serves a request whose Upgrade header nobody here accepts, as RFC 9110 §7.8 allows: as if it had none. Node has let go
 * of the socket by now, so the request goes back into it, without the offer, and the socket back to the server.
 * @param head what was read of the connection behind the request's header: its body, perhaps
 */
export function serveWithoutUpgrade(
  server: Server,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i]!;
    const value = request.rawHeaders[i + 1]!;
    if (OFFERING_HEADERS.has(name.toLowerCase())) continue;
    lines.push(`${name}: ${name.toLowerCase() === 'connection' ? withoutOffer(value) : value}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}

function withoutOffer(connection: string): string {
  const options = connection.split(',').map((option) => option.trim());
  const left = options.filter((option) => !OFFERING_HEADERS.has(option.toLowerCase()));
  return left.length > 0 ? left.join(', ') : 'keep-alive';
}
