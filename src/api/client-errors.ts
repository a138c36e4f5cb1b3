/** Answers what never becomes a request: bytes that are no HTTP, headers without end, expectations that nobody meets. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { RingbufdError, type ErrorKey } from '../server/errors.js';
import type { Events } from '../server/events.js';
import { answerHttp } from '../server/http-answer.js';
import { problemOf } from '../server/problem.js';
import { PROBLEM_TYPE } from './route-app.js';

const keyOfNodeCode: Record<string, ErrorKey> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_BIG',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
};

/** For `clientErrorHandler`: the HTTP parser gave up on a connection. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex, events: Events): void {
  // Gone already, or it cannot be told from a connection that broke: nobody reads an answer.
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy(error);
    return;
  }
  const refusal = new RingbufdError(keyOfNodeCode[error.code ?? ''] ?? 'BAD_HTTP', error.message);
  events.refused('http', refusal.key, refusal.errno);
  answerHttp(socket, refusal);
}

/** For `checkExpectation`: an Expect header other than 100-continue. */
export function refuseExpectation(request: IncomingMessage, response: ServerResponse, events: Events): void {
  const refusal = new RingbufdError('EXPECTATION', `Expect: ${request.headers.expect ?? ''}`);
  events.refused('http', refusal.key, refusal.errno);
  const body = JSON.stringify(problemOf(refusal));
  response.writeHead(refusal.status, {
    'content-type': `${PROBLEM_TYPE}; charset=utf-8`,
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  });
  response.end(body);
}
