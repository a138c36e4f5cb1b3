import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { checkShape } from '../server/check-shape.js';
import type { ErrorKey } from '../server/errors.js';

const named: Record<string, { what: string; key: ErrorKey }> = {
  body: { what: 'body', key: 'BAD_REQUEST' },
  querystring: { what: 'query', key: 'BAD_REQUEST' },
  params: { what: 'path', key: 'BAD_NAME' },
  headers: { what: 'header', key: 'BAD_REQUEST' },
};

/**
 * Validates with TypeBox what came in: bodies as they are (a string is no number), query parameters converted from
 * text. Unknown keys are errors wherever a schema closes its object.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const { what, key } = named[httpPart ?? 'body'] ?? named.body!;
  return (value: unknown) => {
    try {
      const input: unknown = httpPart === 'querystring' ? Value.Convert(schema, value) : value;
      return { value: checkShape(schema, input, key, what) };
    } catch (error) {
      // Fastify writes `code` and `statusCode` on what it is given: the refusal itself stays out of its reach.
      return { error: new Error('validation failed', { cause: error }) };
    }
  };
};
