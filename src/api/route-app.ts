import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Action, Identity } from '../server/tokens.js';

/** Fastify with the TypeBox type provider: what a route file gets. */
export type RouteApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

export const JSON_TYPE = 'application/json';
export const OCTET_STREAM_TYPE = 'application/octet-stream';
export const NDJSON_TYPE = 'application/x-ndjson';
export const RECORDS_TYPE = 'application/vnd.ringbuf.records';
export const WASM_TYPE = 'application/wasm';
export const PROBLEM_TYPE = 'application/problem+json';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the caller's token must allow; `public`: nothing, not even a token. */
    scope?: Action | 'public';
    /** Content types that the body may have; none: the route takes no body. */
    bodyTypes?: readonly string[];
    /** Answered also while the event loop is late. */
    evenOverloaded?: boolean;
  }
  interface FastifyRequest {
    /** Set for every route that is not public. */
    identity: Identity | null;
  }
}
