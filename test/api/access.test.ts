import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashToken, type Action } from '../../src/server/tokens.js';
import type { RegisteredRoute } from '../../src/api/route-list.js';
import { ManualClock } from '../support/manual-clock.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import type { RestAnswer, RestMethod } from '../support/rest.js';
import { expectProblem } from './problem.js';

const EXPIRES_MS = Date.UTC(2030, 0, 1, 1);
const scopesOf: Record<string, string[]> = {
  admin: ['admin'],
  produce: ['produce:m'],
  drain: ['drain:m'],
  read: ['read:m'],
  readall: ['read:*'],
  other: ['produce:other', 'drain:other', 'read:other'],
  all: ['produce:*', 'drain:*', 'read:*'],
  expiring: ['admin'],
};

let daemon: TestDaemon;
let clock: ManualClock;

beforeAll(async () => {
  clock = new ManualClock({ realSoon: true });
  const tokens = Object.entries(scopesOf).map(([name, scopes]) => ({
    name,
    sha256: hashToken(`secret-${name}`),
    scopes,
    ...(name === 'expiring' && { expires: new Date(EXPIRES_MS).toISOString() }),
  }));
  daemon = await startDaemon({ tokens }, { clock });
});
afterAll(() => daemon.close());

/** What each route asks for, written down by hand: a route that is missing here, or says otherwise, fails. */
const SCOPES: Record<string, Action | 'public'> = {
  'GET /v1/maps': 'read',
  'PUT /v1/maps/:map': 'admin',
  'GET /v1/maps/:map': 'read',
  'DELETE /v1/maps/:map': 'admin',
  'GET /v1/maps/:map/query': 'read',
  'GET /v1/maps/:map/ledger': 'read',
  'GET /v1/maps/:map/samples': 'read',
  'POST /v1/maps/:map/samples': 'produce',
  'GET /v1/maps/:map/handlers': 'read',
  'PUT /v1/maps/:map/handlers/:handler': 'admin',
  'GET /v1/maps/:map/handlers/:handler': 'read',
  'PUT /v1/maps/:map/handlers/:handler/module': 'admin',
  'DELETE /v1/maps/:map/handlers/:handler': 'admin',
  'POST /v1/maps/:map/handlers/:handler/enable': 'admin',
  'POST /v1/maps/:map/handlers/:handler/disable': 'admin',
  'POST /v1/maps/:map/drain': 'drain',
  'POST /v1/maps/:map/replay': 'drain',
  'GET /v1/maps/:map/producers': 'read',
  'GET /v1/maps/:map/produce': 'produce',
  'GET /v1/maps/:map/handlers/:handler/attach': 'drain',
  'DELETE /v1/maps/:map/producers/:producer': 'admin',
  'GET /metrics': 'read',
  'GET /v1/metrics': 'read',
  'GET /livez': 'public',
  'GET /readyz': 'public',
  'GET /openapi.json': 'public',
};

/** Routes of swagger-ui and of CORS: files without data, and preflights. */
const isPlumbing = ({ method, url }: RegisteredRoute): boolean =>
  /^\/docs(\/|$)/.test(url) || method === 'OPTIONS';

/** Content types other than JSON, by the last part of the path. */
const BODY_TYPES: Record<string, string> = {
  samples: 'application/vnd.ringbuf.records',
  module: 'application/wasm',
};

/** A name like a map's does for every parameter. */
const call = (route: string, headers: Record<string, string> = {}): Promise<RestAnswer> => {
  const [method, url] = route.split(' ') as [RestMethod, string];
  const path = url.replace(':map', 'm').replace(/:[a-z]+/g, 'x');
  const body = method === 'PUT' || method === 'POST' ? '{' : undefined;
  const type = BODY_TYPES[url.split('/').at(-1)!] ?? 'application/json';
  return daemon.rest.send(method, path, body, { ...(body && { 'content-type': type }), ...headers });
};
const bearer = (name: string) => ({ authorization: `Bearer secret-${name}` });

describe('every route', () => {
  it('says who may call it, and the table of this test knows it', () => {
    const routes = daemon.app.fastify.routeList.filter((route) => !isPlumbing(route));
    const found = routes.map(({ method, url, scope }) => [`${method} ${url}`, scope]);
    const heads = Object.entries(SCOPES)
      .filter(([route]) => route.startsWith('GET '))
      .map(([route, scope]) => [route.replace('GET', 'HEAD'), scope]);
    expect(Object.fromEntries(found)).toEqual({ ...SCOPES, ...Object.fromEntries(heads) });
    for (const route of daemon.app.fastify.routeList.filter(isPlumbing)) expect(route.scope).toBe('public');
  });

  it('cannot be registered without a scope', async () => {
    const { fastify } = daemon.app;
    expect(() => fastify.get('/never', async () => 'x')).toThrow();
  });
});

const guarded = Object.entries(SCOPES).filter(([, scope]) => scope !== 'public') as [string, Action][];

describe.each(guarded)('%s (scope %s)', (route, scope) => {
  it('refuses callers without a token, with an unknown one, or with another scheme', async () => {
    const failures: [Record<string, string>, string][] = [
      [{}, 'a token is required'],
      [{ authorization: 'Bearer wrong' }, 'the token is not known here'],
      [{ authorization: 'Bearer secret-admi' }, 'the token is not known here'],
      [{ authorization: 'Bearer' }, 'a token is required'],
      [{ authorization: 'Basic c2VjcmV0LWFkbWlu' }, 'a token is required'],
      [{ authorization: 'secret-admin' }, 'a token is required'],
    ];
    for (const [headers, detail] of failures) {
      const answer = await call(route, headers);
      expectProblem(answer, 'UNAUTHENTICATED', { status: 401, detail });
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="ringbufd"');
    }
  });

  it('lets in exactly the scopes that it asks for', async () => {
    const aboutAllMaps = !route.includes(':map');
    for (const [name, scopes] of Object.entries(scopesOf)) {
      const covered = [`${scope}:*`, ...(aboutAllMaps ? [] : [`${scope}:m`])];
      const may = scopes.includes('admin') || scopes.some((own) => covered.includes(own));
      const answer = await call(route, bearer(name));
      if (may) expect([401, 403], `${name} on ${route}: ${answer.text}`).not.toContain(answer.status);
      else {
        const missing = scope === 'admin' ? 'admin' : `${scope}:${aboutAllMaps ? '*' : 'm'}`;
        expectProblem(answer, 'FORBIDDEN', {
          status: 403,
          detail: `token "${name}" lacks the scope ${missing}`,
        });
      }
    }
  });

  it('looks at the token before it looks at anything else', async () => {
    // No such map, no such handler, a body that is no JSON: a stranger learns of none.
    expect((await call(route)).status).toBe(401);
    expect((await call(route, bearer('other'))).status).toBe(403);
  });
});

describe('public routes', () => {
  it('answer without a token', async () => {
    for (const [route, scope] of Object.entries(SCOPES))
      if (scope === 'public') expect((await call(route)).status, route).toBe(200);
    expect((await call('GET /docs')).status).toBe(200);
  });
});

describe('a token that expires', () => {
  it('is taken until its time, and refused from then on', async () => {
    expect((await call('GET /v1/maps', bearer('expiring'))).status).toBe(200);
    clock.advance(EXPIRES_MS - clock.wallMs() - 1);
    expect((await call('GET /v1/maps', bearer('expiring'))).status).toBe(200);
    clock.advance(1);
    expectProblem(await call('GET /v1/maps', bearer('expiring')), 'UNAUTHENTICATED', {
      status: 401,
      detail: 'the token has expired',
    });
  });
});
