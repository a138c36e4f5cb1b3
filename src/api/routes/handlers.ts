import { Type } from 'typebox';
import type { Daemon } from '../../server/daemon.js';
import { completeTrigger } from '../../server/trigger.js';
import { jsonBody } from '../body-types.js';
import type { RouteApp } from '../route-app.js';
import {
  HandlerInfo,
  handlerKindsText,
  HandlerList,
  HandlerParams,
  MapParams,
  PutHandler,
  responses,
} from '../schemas.js';
import { viewHandler } from '../views.js';

const tags = ['handlers'];

export function registerHandlerRoutes(app: RouteApp, { maps, scheduler, kept }: Daemon): void {
  app.get(
    '/v1/maps/:map/handlers',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'listHandlers',
        summary: 'List the handlers of a map',
        params: MapParams,
        response: responses({ 200: HandlerList }),
      },
    },
    async (request) => {
      const map = maps.get(request.params.map);
      return { handlers: map.handlers.list().map((handler) => viewHandler(map, handler, scheduler)) };
    },
  );

  app.put(
    '/v1/maps/:map/handlers/:handler',
    {
      config: { scope: 'admin', ...jsonBody },
      schema: {
        tags,
        operationId: 'putHandler',
        summary: 'Register a handler, in the place of one of the same name',
        description: `The old one is flushed, and its state is gone. Kinds and the keys of their \`config\`:\n\n${handlerKindsText}`,
        params: HandlerParams,
        body: PutHandler,
        response: responses({ 200: HandlerInfo, 201: HandlerInfo }),
      },
    },
    async (request, reply) => {
      const { kind, config, trigger } = request.body;
      const map = maps.get(request.params.map);
      const spec = { kind, config, trigger: completeTrigger(trigger) };
      const { registered, created } = await map.putHandler(request.params.handler, spec);
      kept.forgetHandler(map.name, registered.name);
      await kept.keep();
      return reply.code(created ? 201 : 200).send(viewHandler(map, registered, scheduler));
    },
  );

  app.get(
    '/v1/maps/:map/handlers/:handler',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'showHandler',
        summary: 'Show a handler and its state',
        params: HandlerParams,
        response: responses({ 200: HandlerInfo }),
      },
    },
    async (request) => {
      const map = maps.get(request.params.map);
      return viewHandler(map, map.handlers.get(request.params.handler), scheduler);
    },
  );

  app.delete(
    '/v1/maps/:map/handlers/:handler',
    {
      config: { scope: 'admin' },
      schema: {
        tags,
        operationId: 'deleteHandler',
        summary: 'Remove a handler, flushed',
        params: HandlerParams,
        response: responses({ 204: Type.Null({ description: 'Removed' }) }),
      },
    },
    async (request, reply) => {
      const { map: name, handler } = request.params;
      const map = maps.get(name);
      // One that could not be restored is in the registry alone.
      if (!kept.forgetHandler(name, handler) || map.handlers.find(handler) !== undefined)
        await map.deleteHandler(handler);
      await kept.keep();
      return reply.code(204).send(null);
    },
  );
}
