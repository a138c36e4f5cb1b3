import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { RingbufdError, type ErrorKey } from '../server/errors.js';
import type { Events } from '../server/events.js';
import { problemOf } from '../server/problem.js';
import type { RouteApp } from './route-app.js';

const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';
const MIN_RETRY_AFTER_S = 1;

/** What fastify and its plugins refuse with, in terms of the catalogue. */
const keyOfFastifyCode: Record<string, ErrorKey> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE',
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_BIG',
  FST_UNDER_PRESSURE: 'OVERLOADED',
};

/** A refusal with more to say than the problem itself: a drain that failed has a result. */
export class ProblemWithResult extends RingbufdError {
  constructor(
    key: ErrorKey,
    detail: string | undefined,
    readonly result: Record<string, unknown>,
    retryAfterMs: number,
  ) {
    super(key, detail, { retryAfterMs });
  }
}

/** Sends a refusal as problem+json. */
export async function sendProblem(reply: FastifyReply, error: RingbufdError): Promise<void> {
  const retryAfterMs = error.retryAfterMs || (error.retryable && error.status >= 429 ? 1000 : 0);
  if (error.status === 401) void reply.header('www-authenticate', 'Bearer realm="ringbufd"');
  if (error.status === 429 || error.status === 503)
    void reply.header('retry-after', Math.max(MIN_RETRY_AFTER_S, Math.ceil(retryAfterMs / 1000)));
  const extra = error instanceof ProblemWithResult ? error.result : {};
  const body = { ...problemOf(error), retry_after_ms: retryAfterMs, ...extra };
  // Serialised here: response schemas would drop the members of a drain's result.
  await reply.code(error.status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(body);
}

/** Turns whatever was thrown into a problem of the catalogue. */
export function toRefusal(error: FastifyError | RingbufdError): RingbufdError {
  if (error instanceof RingbufdError) return error;
  if (error.cause instanceof RingbufdError) return error.cause;
  const key = keyOfFastifyCode[error.code];
  if (key !== undefined) return new RingbufdError(key, error.message);
  if (error.statusCode === 429) return new RingbufdError('RATE_LIMITED', error.message);
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new RingbufdError('BAD_REQUEST', error.message, { cause: error });
  return new RingbufdError('INTERNAL', undefined, { cause: error });
}

/** Makes every error of the REST interface problem+json, counts it, and logs the daemon's own failures. */
export function registerErrorHandling(app: RouteApp, events: Events): void {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', (route) => {
    const known = methods.get(route.url) ?? new Set<string>();
    for (const method of [route.method].flat()) known.add(method);
    methods.set(route.url, known);
  });

  app.setErrorHandler(async (error: FastifyError, request, reply) => {
    const refusal = toRefusal(error);
    if (refusal.key === 'INTERNAL') request.log.error({ err: error }, 'a request failed');
    events.refused('http', refusal.key, refusal.errno);
    await sendProblem(reply, refusal);
  });

  app.setNotFoundHandler(async (request: FastifyRequest, reply) => {
    const path = request.url.split('?')[0]!;
    const allowed = [...methods]
      .filter(([url]) => patternOf(url).test(path))
      .flatMap(([, known]) => [...known]);
    const refusal =
      allowed.length === 0
        ? new RingbufdError('NO_ROUTE', `${request.method} ${path}`)
        : new RingbufdError('METHOD_NOT_ALLOWED', `${request.method} ${path}`);
    if (allowed.length > 0) void reply.header('allow', [...new Set(allowed)].join(', '));
    events.refused('http', refusal.key, refusal.errno);
    await sendProblem(reply, refusal);
  });
}

function patternOf(url: string): RegExp {
  return new RegExp(`^${url.replace(/[.*]/g, '\\$&').replace(/:[a-z]+/g, '[^/]+')}$`);
}
