import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifySchema, RouteOptions } from 'fastify';
import { stringify } from 'yaml';
import { NDJSON_TYPE, OCTET_STREAM_TYPE, RECORDS_TYPE, WASM_TYPE, type RouteApp } from './route-app.js';

const DESCRIPTION = [
  'Named, bounded, byte-exact user ring buffers. This is the control plane; producers that want exactly-once, ' +
    'back-pressure and wakeups use the WebSocket at `/v1/maps/{map}/produce` (docs/PROTOCOL.md).',
  'JSON is snake_case, u64 are decimal strings, byte strings base64. Errors are `application/problem+json`; their ' +
    '`code` is stable and listed in docs/ERRORS.md. GET never changes state.',
].join('\n\n');

const tags = [
  { name: 'maps', description: 'Rings by name' },
  { name: 'samples', description: 'Looking at samples, and storing them over HTTP' },
  { name: 'handlers', description: 'What runs on each sample' },
  { name: 'drain', description: 'Running it' },
  { name: 'producers', description: 'Who is connected' },
  { name: 'operations', description: 'Health and metrics' },
];

/** Bodies that are bytes: described here, since the validator never sees them. */
const rawBodies: Record<string, object> = {
  [OCTET_STREAM_TYPE]: {
    type: 'string',
    contentMediaType: OCTET_STREAM_TYPE,
    description: 'The body is one sample; an empty body is a sample of length 0.',
  },
  [NDJSON_TYPE]: {
    type: 'string',
    description: 'One sample a line, without its LF or CRLF; an empty line is refused.',
    examples: ['{"cpu":1}\n{"cpu":2}\n'],
  },
  [RECORDS_TYPE]: {
    type: 'string',
    contentMediaType: RECORDS_TYPE,
    description: 'Records in ring format: u32 length, u32 0, payload, zero padding to a multiple of 8.',
  },
  [WASM_TYPE]: {
    type: 'string',
    contentMediaType: WASM_TYPE,
    description: 'The WebAssembly module: at most `limits.max_body_bytes`.',
  },
};

/** What helmet would say of pages, for the one page there is. Without upgrade-insecure-requests: the daemon speaks HTTP. */
const docsPolicy = {
  'default-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'self'"],
  'frame-ancestors': ["'none'"],
  'img-src': ["'self'", 'data:'],
  'object-src': ["'none'"],
  'script-src': ["'self'"],
  // swagger-ui writes style attributes.
  'style-src': ["'self'", "'unsafe-inline'"],
};

/** Registers the generator of the OpenAPI document; call before the routes. */
export async function registerOpenapi(app: RouteApp, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'ringbufd',
        version,
        description: DESCRIPTION,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      tags,
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description: 'A token of the configuration. Not needed when none is configured.',
          },
        },
      },
      security: [{ bearer: [] }],
    },
    transform: ({ schema, url, route }) => ({ schema: describeAccess(schema, route), url }),
    transformObject: (document) =>
      'openapiObject' in document ? nameSchemas(document.openapiObject) : document.swaggerObject,
  });
}

/** Serves the document at /openapi.json and, for people, at /docs; call after the routes, before `ready`. */
export async function registerDocs(app: RouteApp): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: docsPolicy,
    // The other layout has a bar in which one types the address of a document.
    uiConfig: {
      layout: 'BaseLayout',
      docExpansion: 'list',
      deepLinking: true,
      defaultModelsExpandDepth: 0,
      validatorUrl: null,
    },
    theme: { title: 'ringbufd' },
  });
  app.get('/openapi.json', { config: { scope: 'public' }, schema: { hide: true } }, async () =>
    app.swagger(),
  );
}

/** The document as openapi.yaml holds it. */
export function openapiYaml(app: RouteApp): string {
  const text = stringify(app.swagger(), { lineWidth: 120, aliasDuplicateObjects: false });
  return `# Generated from the code: UPDATE_DOCS=1 npx vitest run test/docs\n${text}`;
}

/** Adds what follows from a route's own options: no token where it is public, and the bodies that are bytes. */
function describeAccess(schema: FastifySchema, { config }: RouteOptions): FastifySchema {
  const described: FastifySchema = { ...schema };
  if (config?.scope === 'public') described.security = [];
  else if (config?.scope !== undefined)
    described.description = [schema.description, `Scope: \`${config.scope}\`.`].filter(Boolean).join('\n\n');
  const raw = config?.bodyTypes?.filter((type) => type in rawBodies) ?? [];
  if (raw.length > 0)
    described.body = { content: Object.fromEntries(raw.map((type) => [type, { schema: rawBodies[type] }])) };
  return described;
}

/** Values and not schemas: nothing in them is a shape. */
const VALUE_KEYS = new Set(['example', 'examples', 'default', 'enum']);

/** Moves every schema that has a title to the components, so that the document names each shape once. */
function nameSchemas<Document extends object>(document: Document): Document {
  const schemas: Record<string, unknown> = {};
  const visit = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(visit);
    if (typeof node !== 'object' || node === null) return node;
    const visited = Object.fromEntries(
      Object.entries(node).map(([key, value]) => [
        key,
        VALUE_KEYS.has(key) ? (value as unknown) : visit(value),
      ]),
    );
    const { title, ...rest } = visited;
    if (visited.in === 'query')
      return { ...visited, required: !hasDefault(visited.schema) && visited.required };
    if (typeof title !== 'string' || (rest.type === undefined && rest.anyOf === undefined)) return visited;
    schemas[title] = withoutDefaulted(rest);
    return { $ref: `#/components/schemas/${title}` };
  };
  const visited = visit(document) as Document & { components?: object };
  return { ...visited, components: { ...visited.components, schemas } };
}

function hasDefault(schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && 'default' in schema;
}

/** In a body that callers send, a key with a default may be left out: the daemon fills it in before it checks the rest. */
function withoutDefaulted(schema: Record<string, unknown>): Record<string, unknown> {
  const { properties, required } = schema as { properties?: Record<string, unknown>; required?: string[] };
  if (schema.additionalProperties !== false || properties === undefined || required === undefined)
    return schema;
  return { ...schema, required: required.filter((key) => !hasDefault(properties[key])) };
}
