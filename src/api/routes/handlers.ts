import { Type } from 'typebox';
import type { Daemon } from '../../server/daemon.js';
import { completeOnError } from '../../server/on-error.js';
import { completeTrigger } from '../../server/trigger.js';
import { jsonBody } from '../body-types.js';
import type { RouteApp } from '../route-app.js';
import { HandlerInfo, HandlerList, PutHandler } from '../handler-schemas.js';
import { HandlerParams, handlerKindsText, MapParams, responses } from '../schemas.js';
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
      const { kind, config, trigger, on_error: onError, enabled, shadow } = request.body;
      const map = maps.get(request.params.map);
      const spec = {
        kind,
        config,
        trigger: completeTrigger(trigger),
        onError: completeOnError(onError),
        enabled,
        shadow,
      };
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

  const switches = [
    {
      action: 'enable',
      enabled: true,
      operationId: 'enableHandler' as const,
      summary: 'Let drains go through a handler again, and forget its fault',
    },
    {
      action: 'disable',
      enabled: false,
      operationId: 'disableHandler' as const,
      summary: 'Let no drain go through a handler; one under way ends by itself',
    },
  ];
  for (const { action, enabled, operationId, summary } of switches)
    app.post(
      `/v1/maps/:map/handlers/:handler/${action}`,
      {
        config: { scope: 'admin' },
        schema: {
          tags,
          operationId,
          summary,
          description: 'The same again changes nothing.',
          params: HandlerParams,
          response: responses({ 200: HandlerInfo }),
        },
      },
      async (request) => {
        const map = maps.get(request.params.map);
        const registered = map.enableHandler(request.params.handler, enabled);
        await kept.keep();
        return viewHandler(map, registered, scheduler);
      },
    );
}
