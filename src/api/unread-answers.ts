import type { FastifyReply } from 'fastify';
import type { Daemon } from '../server/daemon.js';
import { RingbufdError } from '../server/errors.js';
import type { RouteApp } from './route-app.js';

/** Smaller answers fit into the socket's own buffers. */
const SMALL_BYTES = 16_384;

/**
 * Bounds what answers hold that their clients do not read. The operating system takes some of an answer; the rest waits
 * in this process until the client has read that. Over the bound no further question is taken, and what a client has
 * asked for and does not read is given up after a while, so that it cannot keep others out.
 */
export function registerUnreadAnswersBound(app: RouteApp, { config, events }: Daemon): void {
  const { max_unread_answer_bytes: max, answer_timeout_ms: timeoutMs } = config.limits;
  let unread = 0;

  app.addHook('onRequest', async (request) => {
    if (unread >= max && request.routeOptions.config.scope !== 'public') throw tooMuch(unread);
  });

  app.addHook('onSend', async (_request, reply, payload) => {
    const size = sizeOf(payload);
    if (size <= SMALL_BYTES) return payload;
    unread += size;
    reply.raw.once('close', () => {
      unread -= size;
    });
    giveUpWhenStuck(reply, timeoutMs, () => events.refused('http', 'ANSWERS_UNREAD', 'ETIMEDOUT'));
    return payload;
  });
}

/** Ends the connection when nothing of the answer was taken for so long. */
function giveUpWhenStuck(reply: FastifyReply, timeoutMs: number, gaveUp: () => void): void {
  const { raw } = reply;
  raw.setTimeout(timeoutMs, () => {
    gaveUp();
    raw.destroy();
  });
}

function tooMuch(unread: number): RingbufdError {
  return new RingbufdError('ANSWERS_UNREAD', `${unread} bytes of answers wait for clients to read them`);
}

/** Bytes of an answer that this process holds; 0 for streams, which hold little. */
function sizeOf(payload: unknown): number {
  if (typeof payload === 'string') return Buffer.byteLength(payload);
  return payload instanceof Uint8Array ? payload.length : 0;
}
