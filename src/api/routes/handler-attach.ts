import type { Daemon } from '../../server/daemon.js';
import { RingbufdError } from '../../server/errors.js';
import type { RouteApp } from '../route-app.js';
import { AttachQuery, HandlerParams, responses } from '../schemas.js';

export function registerHandlerAttachRoute(app: RouteApp, { maps }: Daemon): void {
  // Upgrade requests never come here: the gateway takes them from the HTTP server.
  app.get(
    '/v1/maps/:map/handlers/:handler/attach',
    {
      config: { scope: 'drain' },
      schema: {
        tags: ['handlers'],
        operationId: 'attachHandler',
        summary: 'The WebSocket of a client that is the handler (kind remote)',
        description:
          'Subprotocol: ringbuf.v1.handler, which has to be offered. Close codes: 1012 the handler was removed or ' +
          'replaced, 4408 slow client, 4412 the daemon shuts down, 4429 too many connections (attach again); 4501 no valid ' +
          'token, 4503 forbidden, 4504 no such map or handler, 4505 protocol error (do not). ' +
          'See docs/PROTOCOL.md §11.',
        params: HandlerParams,
        querystring: AttachQuery,
        response: responses({ 101: { type: 'null', description: 'Switching to WebSocket' } }),
      },
    },
    async (request) => {
      maps.get(request.params.map).handlers.get(request.params.handler);
      throw new RingbufdError('UPGRADE_REQUIRED');
    },
  );
}
