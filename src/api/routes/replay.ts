import type { Daemon } from '../../server/daemon.js';
import { requireScope } from '../../server/access-control.js';
import { RingbufdError } from '../../server/errors.js';
import { drainErrorKey } from '../../server/drain-error-key.js';
import type { DrainResult } from '../../server/drain-call.js';
import { jsonBody } from '../body-types.js';
import { ProblemWithResult } from '../error-handler.js';
import { ReplayInfo, ReplayProblem, ReplayRequest } from '../handler-schemas.js';
import type { RouteApp } from '../route-app.js';
import { MapParams, responsesOr } from '../schemas.js';

export function registerReplayRoutes(app: RouteApp, { maps }: Daemon): void {
  app.post(
    '/v1/maps/:map/replay',
    {
      config: { scope: 'drain', ...jsonBody },
      schema: {
        tags: ['drain'],
        operationId: 'replay',
        summary: 'Send dead letters back to the maps that they came from',
        description:
          'In order, from the head of the ring on; each is stored as a whole and then released here. Ends with the first ' +
          'that does not fit, or is no dead letter: it stays, and the answer is a problem with what was done beside it. ' +
          'Needs drain for this map and produce for those that get samples.',
        params: MapParams,
        body: ReplayRequest,
        response: responsesOr(ReplayProblem, { 200: ReplayInfo }),
      },
    },
    async (request) => {
      const map = maps.get(request.params.map);
      const { to, limit } = request.body;
      const { identity } = request;
      const mayProduce = (target: string): void => requireScope(identity!, 'produce', target);
      if (to !== undefined) {
        mayProduce(to);
        maps.get(to);
        if (to === map.name)
          throw new RingbufdError('REPLAY_CYCLE', `map "${to}" holds the dead letters itself`);
      }
      const { result, sent } = await map.replay({ to, limit, mayProduce });
      await result.wakeupsQueued;
      const view = viewReplay(result, sent);
      const key = result.error instanceof RingbufdError ? result.error.key : drainErrorKey(result);
      if (key === undefined) return view;
      const detail = result.error instanceof Error ? result.error.message : undefined;
      throw new ProblemWithResult(key, detail, view);
    },
  );
}

function viewReplay(result: DrainResult, sent: ReadonlyMap<string, number>) {
  return {
    replayed: result.drained,
    to: Object.fromEntries(sent),
    producer_pos: String(result.producerPos),
    consumer_pos: String(result.consumerPos),
    drain_number: result.number,
  };
}
