import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { RingbufdError, type ErrorKey } from '../server/errors.js';
import type { Events } from '../server/events.js';
import { problemOf } from '../server/problem.js';
import { PROBLEM_TYPE, type RouteApp } from './route-app.js';
import { methodsAt } from './route-list.js';

/** Advice for whoever gets a refusal that may pass, when nobody knows better. */
const DEFAULT_RETRY_MS = 1000;

/** What fastify and its plugins refuse with, in terms of the catalogue. */
const keyOfFastifyCode: Record<string, ErrorKey> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE',
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_BIG',
  FST_ERR_MAX_PARAM_LENGTH: 'BAD_NAME',
};

/** A refusal with more to say than the problem itself: a drain that failed has a result. */
export class ProblemWithResult extends RingbufdError {
  constructor(
    key: ErrorKey,
    detail: string | undefined,
    readonly result: Record<string, unknown>,
  ) {
    super(key, detail);
  }
}

/** Makes every error of the REST interface problem+json, counts it, and logs the daemon's own failures. */
export function registerErrorHandling(app: RouteApp, events: Events): void {
  app.setErrorHandler(async (error: FastifyError, request, reply) => {
    const refusal = toRefusal(error);
    if (refusal.key === 'INTERNAL') request.log.error({ err: error }, 'a request failed');
    await refuse(reply, refusal, events);
  });

  app.setNotFoundHandler(async (request: FastifyRequest, reply) => {
    const path = request.url.split('?')[0]!;
    const allowed = methodsAt(app, path);
    if (allowed.length > 0) void reply.header('allow', allowed.join(', '));
    const key = allowed.length > 0 ? 'METHOD_NOT_ALLOWED' : 'NO_ROUTE';
    await refuse(reply, new RingbufdError(key, `${request.method} ${path}`), events);
  });
}

/** Answers what fastify refuses before any hook or handler of the application: paths that cannot be decoded. */
export async function answerFrameworkError(
  error: FastifyError,
  reply: FastifyReply,
  events: Events,
): Promise<void> {
  await refuse(reply, toRefusal(error), events);
}

async function refuse(reply: FastifyReply, error: RingbufdError, events: Events): Promise<void> {
  events.refused('http', error.key, error.errno);
  const mayWait = error.retryable || error.retryAfterMs > 0;
  const retryAfterMs = mayWait ? error.retryAfterMs || DEFAULT_RETRY_MS : 0;
  if (error.status === 401) void reply.header('www-authenticate', 'Bearer realm="ringbufd"');
  if (error.status === 426) void reply.header('upgrade', 'websocket');
  if (retryAfterMs > 0) void reply.header('retry-after', Math.ceil(retryAfterMs / 1000));
  const extra = error instanceof ProblemWithResult ? error.result : {};
  const body = { ...problemOf(error), retry_after_ms: retryAfterMs, ...extra };
  // Serialised here: response schemas would drop the members of a drain's result.
  await reply.code(error.status).type(`${PROBLEM_TYPE}; charset=utf-8`).serializer(JSON.stringify).send(body);
}

/** Turns whatever was thrown into a refusal of the catalogue. */
function toRefusal(error: FastifyError | RingbufdError): RingbufdError {
  if (error instanceof RingbufdError) return error;
  if (error.cause instanceof RingbufdError) return error.cause;
  const key = keyOfFastifyCode[error.code];
  if (key !== undefined) return new RingbufdError(key, error.message);
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new RingbufdError('BAD_REQUEST', error.message, { cause: error });
  return new RingbufdError('INTERNAL', undefined, { cause: error });
}
