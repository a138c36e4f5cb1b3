import type { Daemon } from '../../server/daemon.js';
import { wasmConfigOf } from '../../server/handlers/wasm.js';
import { WASM_TYPE, type RouteApp } from '../route-app.js';
import { HandlerInfo } from '../handler-schemas.js';
import { HandlerParams, responses } from '../schemas.js';
import { viewHandler } from '../views.js';

export function registerHandlerModuleRoute(app: RouteApp, { maps, scheduler, kept }: Daemon): void {
  app.put(
    '/v1/maps/:map/handlers/:handler/module',
    {
      config: { scope: 'admin', bodyTypes: [WASM_TYPE] },
      schema: {
        tags: ['handlers'],
        operationId: 'putHandlerModule',
        summary: 'Register a WebAssembly module as a handler of the kind wasm',
        description:
          'As putHandler with the module in base64 in `config.module`. What a handler of that name has is kept: its ' +
          'trigger, and the other keys of its config if it is of the kind wasm. A new one gets the defaults.',
        consumes: [WASM_TYPE],
        params: HandlerParams,
        response: responses({ 200: HandlerInfo, 201: HandlerInfo }),
      },
    },
    async (request, reply) => {
      const map = maps.get(request.params.map);
      const module = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const old = map.handlers.find(request.params.handler);
      const { registered, created } = await map.putHandler(request.params.handler, {
        ...(old?.spec ?? { trigger: { mode: 'manual' } }),
        kind: 'wasm',
        config: wasmConfigOf(module, old?.spec.kind === 'wasm' ? old.config : {}),
      });
      kept.forgetHandler(map.name, registered.name);
      await kept.keep();
      return reply.code(created ? 201 : 200).send(viewHandler(map, registered, scheduler));
    },
  );
}
