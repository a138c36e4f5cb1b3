import type { RouteApp } from './route-app.js';
import type { Action } from '../server/tokens.js';

/** A route as it was registered. */
export interface RegisteredRoute {
  method: string;
  /** With `:name` for parameters and `*` for the rest of a path. */
  url: string;
  scope: Action | 'public';
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Every route there is, those of plugins included. */
    routeList: readonly RegisteredRoute[];
  }
}

/**
 * Keeps the list of all routes, for the Allow header and for tests; call before the first one is registered.
 * @throws Error while the daemon starts, for a route that does not say who may call it
 */
export function recordRoutes(app: RouteApp): void {
  const routes: RegisteredRoute[] = [];
  app.decorate('routeList', routes);
  app.addHook('onRoute', (route) => {
    // A browser asks before it sends a token (CORS preflight), and swagger-ui's files hold no data.
    if (route.method === 'OPTIONS' || /^\/docs(\/|$)/.test(route.url))
      route.config = { ...route.config, scope: 'public' };
    const scope = route.config?.scope;
    if (scope === undefined) throw new Error(`route ${route.url} has no scope`);
    for (const method of [route.method].flat()) routes.push({ method, url: route.url, scope });
  });
}

/** The methods that some route takes at this path; empty when there is no such path. */
export function methodsAt(app: RouteApp, path: string): string[] {
  const here = app.routeList.filter(({ url }) => url !== '*' && patternOf(url).test(path));
  return [...new Set(here.map(({ method }) => method))].sort();
}

function patternOf(url: string): RegExp {
  const pattern = url
    .replace(/\./g, '\\.')
    .replace(/\*/g, '.*')
    .replace(/:[a-z]+/g, '[^/]+');
  return new RegExp(`^${pattern}$`);
}
