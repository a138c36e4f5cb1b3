import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { checkShape } from '../server/check-shape.js';
import type { ErrorKey } from '../server/errors.js';

const named: Record<string, { what: string; key: ErrorKey }> = {
  body: { what: 'body', key: 'BAD_REQUEST' },
  querystring: { what: 'query', key: 'BAD_REQUEST' },
  params: { what: 'path', key: 'BAD_NAME' },
  headers: { what: 'header', key: 'BAD_REQUEST' },
};

/**
 * Validates with TypeBox what came in: bodies as they are (a string is no number), integers among the query parameters
 * read from their digits and nothing else. Unknown keys are errors wherever a schema closes its object.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const { what, key } = named[httpPart ?? 'body'] ?? named.body!;
  return (value: unknown) => {
    try {
      const input =
        httpPart === 'querystring' ? withIntegers(schema, value as Record<string, unknown>) : value;
      return { value: checkShape(schema, input, key, what) };
    } catch (error) {
      // Fastify writes `code` and `statusCode` on what it is given: the refusal itself stays out of its reach.
      return { error: new Error('validation failed', { cause: error }) };
    }
  };
};

function withIntegers(schema: TSchema, query: Record<string, unknown>): Record<string, unknown> {
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> };
  const read = (key: string, value: unknown): unknown =>
    properties[key]?.type === 'integer' && typeof value === 'string' && /^-?\d+$/.test(value)
      ? Number(value)
      : value;
  return Object.fromEntries(Object.entries(query).map(([key, value]) => [key, read(key, value)]));
}
