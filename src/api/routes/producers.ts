import { Type, type Static } from 'typebox';
import type { Daemon } from '../../server/daemon.js';
import { RingbufdError } from '../../server/errors.js';
import type { RouteApp } from '../route-app.js';
import {
  MapParams,
  ProduceQuery,
  ProducerParams,
  ProducerList,
  responses,
  type ProducerInfo,
} from '../schemas.js';

const tags = ['producers'];

export function registerProducerRoutes(app: RouteApp, { maps }: Daemon): void {
  app.get(
    '/v1/maps/:map/producers',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'listProducers',
        summary: 'Who is connected',
        params: MapParams,
        response: responses({ 200: ProducerList }),
      },
    },
    async (request) => {
      const { connections } = maps.get(request.params.map);
      return {
        producers: [...connections].map((connection) => connection.describe() as Static<typeof ProducerInfo>),
      };
    },
  );

  // Upgrade requests never come here: the gateway takes them from the HTTP server.
  app.get(
    '/v1/maps/:map/produce',
    {
      config: { scope: 'produce' },
      schema: {
        tags,
        operationId: 'produce',
        summary: 'The WebSocket of producers',
        description:
          'Subprotocols: ringbuf.v1 (binary), ringbuf.v1.json, ringbuf.v1.plain or none (each message is one sample). ' +
          'Close codes: 4408 slow client, 4412 the daemon shuts down, 4429 too many connections (connect again); 4501 no ' +
          'valid token, 4503 forbidden, 4504 no such map, 4505 protocol error, 4506 replaced by a newer connection, 4507 ' +
          'disconnected by an operator, 4509 direct map taken (do not). See docs/PROTOCOL.md §10.',
        params: MapParams,
        querystring: ProduceQuery,
        response: responses({ 101: { type: 'null', description: 'Switching to WebSocket' } }),
      },
    },
    async () => {
      throw new RingbufdError('UPGRADE_REQUIRED');
    },
  );

  app.delete(
    '/v1/maps/:map/producers/:producer',
    {
      config: { scope: 'admin' },
      schema: {
        tags,
        operationId: 'disconnectProducer',
        summary: 'Disconnect a producer (4507)',
        params: ProducerParams,
        response: responses({ 204: Type.Null({ description: 'Its connection is being closed' }) }),
      },
    },
    async (request, reply) => {
      const { map: name, producer } = request.params;
      const found = [...maps.get(name).connections].find((connection) => connection.label === producer);
      if (found === undefined)
        throw new RingbufdError('NO_PRODUCER', `"${producer}" is not connected to map "${name}"`);
      found.disconnect('DISCONNECTED');
      return reply.code(204).send(null);
    },
  );
}
