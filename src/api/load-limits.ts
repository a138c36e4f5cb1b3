/** When the daemon answers 429 or 503 to a request that is right in itself. */
import rateLimit from '@fastify/rate-limit';
import type { FastifyRequest } from 'fastify';
import type { Daemon } from '../server/daemon.js';
import { RingbufdError } from '../server/errors.js';
import { LoopLateness } from './loop-lateness.js';
import type { RouteApp } from './route-app.js';

const MINUTE_MS = 60_000;
const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;
const FORWARDING_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'];

/** Bounds the requests a minute of each remote address, those that are refused included. */
export async function registerRateLimit(app: RouteApp, { config }: Daemon): Promise<void> {
  const max = config.limits.max_requests_per_minute;
  if (max === 0) return;
  await app.register(rateLimit, {
    global: false,
    max,
    timeWindow: MINUTE_MS,
    allowList: (request) => isExempt(request, config.trust_proxy),
    errorResponseBuilder: (_request, { ttl }) =>
      new RingbufdError('RATE_LIMITED', `more than ${max} requests in a minute from this address`, {
        retryAfterMs: Math.ceil(ttl),
      }),
  });
  // As a hook of its own and not per route: requests without a valid token, or to no route, count as well.
  app.addHook('onRequest', app.rateLimit());
}

/** A caller on this machine is not limited, unless a proxy stands between: then everybody would look like loopback. */
function isExempt(request: FastifyRequest, trustProxy: boolean): boolean {
  if (trustProxy || FORWARDING_HEADERS.some((name) => request.headers[name] !== undefined)) return false;
  return LOOPBACK.test(request.socket.remoteAddress ?? '');
}

/** Refuses requests while the event loop is late; what operators need just then is answered all the same. */
export function registerOverloadCheck(app: RouteApp, { config }: Daemon): void {
  const max = config.limits.max_event_loop_delay_ms;
  if (max === 0) return;
  const lateness = new LoopLateness();
  app.addHook('onClose', async () => lateness.close());
  app.addHook('onRequest', async (request) => {
    if (lateness.lateMs > max && request.routeOptions.config.evenOverloaded !== true)
      throw new RingbufdError('OVERLOADED');
  });
}

/** Once the daemon shuts down it can still be looked at, but it takes no samples and no changes. */
export function registerShutdownCheck(app: RouteApp, daemon: Daemon): void {
  app.addHook('onRequest', async (request) => {
    if (daemon.state === 'serving' || request.is404) return;
    const { scope = 'admin' } = request.routeOptions.config;
    if (scope !== 'public' && scope !== 'read') throw new RingbufdError('SHUTTING_DOWN');
  });
}
