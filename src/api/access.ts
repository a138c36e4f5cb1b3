import type { Daemon } from '../server/daemon.js';
import { requireScope } from '../server/access-control.js';
import type { RouteApp } from './route-app.js';

/**
 * Checks every request before anything of it is read further: Host and Origin always, the token and its scope on every
 * route that is not public.
 */
export function registerAccess(app: RouteApp, { access }: Daemon): void {
  app.decorateRequest('identity', null);
  app.addHook('onRequest', async (request) => {
    access.checkSource(request.headers);
    const { scope = 'admin' } = request.routeOptions.config;
    if (scope === 'public' || request.is404) return;
    request.identity = access.identify(request.headers);
    const { map } = request.params as { map?: string };
    requireScope(request.identity, scope, map);
  });
}
