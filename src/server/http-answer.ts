import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RingbufdError } from './errors.js';
import { problemOf } from './problem.js';

/**
 * Refuses a request on a socket that the HTTP server does not answer on itself (an upgrade, or what could not be parsed
 * as HTTP), with problem+json, and ends the connection.
 */
export function answerHttp(socket: Duplex, refusal: RingbufdError): void {
  const body = JSON.stringify(problemOf(refusal));
  const lines = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`,
    'Connection: close',
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(refusal.status === 401 ? ['WWW-Authenticate: Bearer realm="ringbufd"'] : []),
    // RFC 6455 §4.4: whoever does not get in is told which version would.
    ...(refusal.key === 'BAD_HANDSHAKE' ? [`Sec-WebSocket-Version: 13`] : []),
    ...(refusal.retryAfterMs > 0 ? [`Retry-After: ${Math.ceil(refusal.retryAfterMs / 1000)}`] : []),
  ];
  // Nobody else looks after this socket any more: a peer that never closes its side would keep it open.
  socket.once('finish', () => socket.destroy());
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
