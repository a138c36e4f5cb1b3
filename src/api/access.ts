import { requireScope } from '../server/access-control.js';
import type { Daemon } from '../server/daemon.js';
import type { RouteApp } from './route-app.js';

/** Checks Host and Origin of every request, of those to no route as well. */
export function registerSourceCheck(app: RouteApp, { access }: Daemon): void {
  app.addHook('onRequest', async (request) => access.checkSource(request.headers));
}

/** Checks the token and its scope on every route that is not public, before a body is read. */
export function registerTokenCheck(app: RouteApp, { access }: Daemon): void {
  app.decorateRequest('identity', null);
  app.addHook('onRequest', async (request) => {
    const { scope = 'admin' } = request.routeOptions.config;
    if (scope === 'public' || request.is404) return;
    request.identity = access.identify(request.headers);
    const { map } = request.params as { map?: string };
    requireScope(request.identity, scope, map);
  });
}
