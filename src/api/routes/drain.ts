import type { Daemon } from '../../server/daemon.js';
import { parseFlags } from '../../server/drain-flags.js';
import { drainErrorKey } from '../../server/drain-error-key.js';
import { jsonBody } from '../body-types.js';
import { ProblemWithResult } from '../error-handler.js';
import type { RouteApp } from '../route-app.js';
import { DrainInfo, DrainProblem, DrainRequest, MapParams, responsesOr } from '../schemas.js';
import { viewDrain } from '../views.js';

export function registerDrainRoutes(app: RouteApp, { maps }: Daemon): void {
  app.post(
    '/v1/maps/:map/drain',
    {
      config: { scope: 'drain', ...jsonBody },
      schema: {
        tags: ['drain'],
        operationId: 'drain',
        summary: 'One bpf_user_ringbuf_drain: run a handler on the samples in the ring',
        params: MapParams,
        body: DrainRequest,
        response: responsesOr(DrainProblem, { 200: DrainInfo }),
      },
    },
    async (request) => {
      const { handler, flags, ctx } = request.body;
      const map = maps.get(request.params.map);
      const result = await map.drain(handler, parseFlags(flags), ctx);
      // The answer comes after the WAKEUPs it caused: whoever drains can rely on the producers having been told.
      await result.wakeupsQueued;
      const key = drainErrorKey(result);
      if (key === undefined) return viewDrain(result);
      const reason = result.error instanceof Error ? result.error.message : undefined;
      const letter = map.handlers.get(handler).health.deadLetterError;
      const detail = letter === null ? reason : `${reason}; its dead letter was not taken: ${letter.message}`;
      throw new ProblemWithResult(key, detail, viewDrain(result));
    },
  );
}
