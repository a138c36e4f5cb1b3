import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { RouteApp } from './route-app.js';

/** Registers the generator of the OpenAPI document; call before the routes. */
export async function registerOpenapi(app: RouteApp, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'ringbufd',
        version,
        description:
          'Named, bounded, byte-exact user ring buffers. Producers use the WebSocket at ' +
          '`/v1/maps/{map}/produce` (docs/PROTOCOL.md); this is the control plane. JSON is snake_case, u64 are decimal ' +
          'strings, errors are application/problem+json.',
      },
      tags: [
        { name: 'maps', description: 'Rings by name' },
        { name: 'samples', description: 'Producing over HTTP' },
        { name: 'handlers', description: 'What runs on each sample' },
        { name: 'drain', description: 'Running it' },
        { name: 'producers', description: 'Who is connected' },
        { name: 'operations', description: 'Health and metrics' },
      ],
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
      security: [{ bearer: [] }],
    },
  });
}

/** Serves the document at /openapi.json and, for people, at /docs; call after the plugins, before `ready`. */
export async function registerDocs(app: RouteApp): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    uiConfig: { docExpansion: 'list', deepLinking: true },
    theme: { title: 'ringbufd' },
  });
  app.get('/openapi.json', { config: { scope: 'public' }, schema: { hide: true } }, async () =>
    app.swagger(),
  );
}
