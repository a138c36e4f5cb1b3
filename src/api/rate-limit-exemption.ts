import type { FastifyRequest } from 'fastify';

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;
const FORWARDING_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'];

/** A caller on this machine is not limited, unless a proxy stands between: then everybody would look like loopback. */
export function isExemptFromRateLimit(request: FastifyRequest, trustProxy: boolean): boolean {
  if (trustProxy || FORWARDING_HEADERS.some((name) => request.headers[name] !== undefined)) return false;
  return LOOPBACK.test(request.socket.remoteAddress ?? '');
}
