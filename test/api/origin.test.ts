import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashToken } from '../../src/server/tokens.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import type { RestAnswer, RestMethod } from '../support/rest.js';
import { expectProblem } from './problem.js';

const APP = 'https://app.example.org';

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await startDaemon({
    allowed_hosts: ['ring.example.org'],
    allowed_origins: [APP, 'HTTPS://Upper.Example.org:443'],
    tokens: [{ name: 't', sha256: hashToken('secret'), scopes: ['admin'] }],
  });
});
afterAll(() => daemon.close());

const token = { authorization: 'Bearer secret' };

function everyRoute(): { method: RestMethod; path: string }[] {
  return daemon.app.fastify.routeList.map(({ method, url }) => ({
    method: method as RestMethod,
    path: url
      .replace(/^\*$/, '/anything')
      .replace('/static/*', '/static/swagger-ui.css')
      .replace(/:[a-z]+/g, 'm'),
  }));
}

const call = (method: RestMethod, path: string, headers: Record<string, string>): Promise<RestAnswer> =>
  daemon.rest.send(method, path, method === 'PUT' || method === 'POST' ? '{}' : undefined, headers);

/** A HEAD answer has no body to look at. */
function expectRefused(method: RestMethod, answer: RestAnswer, key: 'HOST_REFUSED' | 'ORIGIN_REFUSED'): void {
  if (method === 'HEAD') expect(answer.status).toBe(403);
  else expectProblem(answer, key, { status: 403 });
  expect(answer.headers['access-control-allow-origin']).toBeUndefined();
}

describe('on every route, public ones and those that do not exist included', () => {
  it('a foreign Host is refused: DNS rebinding', async () => {
    const hosts = [
      'evil.example',
      `evil.example:${daemon.port}`,
      '127.0.0.1.evil.example',
      'a.ring.example.org',
      '10.0.0.1',
      '',
    ];
    for (const { method, path } of [...everyRoute(), { method: 'GET' as const, path: '/nope' }])
      for (const host of hosts)
        expectRefused(method, await call(method, path, { ...token, host }), 'HOST_REFUSED');
  });

  it('a foreign Origin is refused, with a token and without', async () => {
    const origins = [
      'https://evil.example',
      'http://app.example.org',
      `${APP}:444`,
      `${APP}.evil.example`,
      'null',
      `http://127.0.0.1:${daemon.port + 1}`,
      `http://localhost:${daemon.port}`,
      '',
    ];
    for (const { method, path } of [...everyRoute(), { method: 'GET' as const, path: '/nope' }])
      for (const origin of origins)
        expectRefused(method, await call(method, path, { ...token, origin }), 'ORIGIN_REFUSED');
  });

  it('a request that another site caused is refused though it has no Origin', async () => {
    for (const { method, path } of everyRoute())
      expectRefused(
        method,
        await call(method, path, { ...token, 'sec-fetch-site': 'cross-site' }),
        'ORIGIN_REFUSED',
      );
  });
});

describe('the Host header', () => {
  it.each([
    '127.0.0.1',
    'localhost',
    'LOCALHOST',
    'localhost:7890',
    '[::1]',
    '[::1]:80',
    'ring.example.org',
    'RING.example.org:8443',
  ])('%s is answered', async (host) => {
    expect((await call('GET', '/v1/maps', { ...token, host })).status).toBe(200);
  });
});

describe('the Origin header', () => {
  it('may be the daemon itself, for its own pages', async () => {
    const origin = daemon.url;
    const answer = await daemon.rest.call('PUT', '/v1/maps/own', { max_entries: 4096 }, { ...token, origin });
    expect(answer.status).toBe(201);
    await daemon.rest.call('DELETE', '/v1/maps/own', undefined, { ...token, origin });
  });

  it.each([APP, 'https://upper.example.org'])(
    'may be a listed one, %s, which may then read the answers',
    async (origin) => {
      const answer = await call('GET', '/v1/maps', { ...token, origin });
      expect(answer.status).toBe(200);
      expect(answer.headers['access-control-allow-origin']).toBe(origin);
      expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
      expect(answer.headers.vary).toContain('Origin');
    },
  );

  it('may read refusals too', async () => {
    for (const [path, headers, status] of [
      ['/v1/maps', {}, 401],
      ['/v1/maps/nope', token, 404],
      ['/nope', token, 404],
    ] as const) {
      const answer = await call('GET', path, { ...headers, origin: APP });
      expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([status, APP]);
    }
  });
});

describe('a CORS preflight', () => {
  const preflight = (origin: string, path = '/v1/maps/m/drain'): Promise<RestAnswer> =>
    daemon.rest.call('OPTIONS', path, undefined, {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    });

  it('of a listed origin is answered, without a token', async () => {
    const answer = await preflight(APP);
    expect(answer.status).toBe(204);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': APP,
      'access-control-allow-methods': 'GET, PUT, POST, DELETE',
      'access-control-allow-headers': 'authorization,content-type',
      'access-control-max-age': '600',
    });
  });

  it('of another origin is refused and allows nothing', async () => {
    const answer = await preflight('https://evil.example');
    expectProblem(answer, 'ORIGIN_REFUSED', { status: 403 });
    for (const name of Object.keys(answer.headers)) expect(name).not.toMatch(/^access-control-/);
  });

  it('from the daemon under a foreign name is refused', async () => {
    const answer = await daemon.rest.call('OPTIONS', '/v1/maps', undefined, {
      host: 'evil.example',
      origin: 'http://evil.example',
      'access-control-request-method': 'GET',
    });
    expectProblem(answer, 'HOST_REFUSED', { status: 403 });
  });
});

describe('a form on a foreign page', () => {
  it('cannot drain a map: not by its origin, and not by its content type either', async () => {
    await daemon.rest.call('PUT', '/v1/maps/m', { max_entries: 4096 }, token);
    const form = {
      'content-type': 'text/plain',
      origin: 'https://evil.example',
      'sec-fetch-site': 'cross-site',
    };
    const body = '{"handler":"count"}';
    expectProblem(
      await daemon.rest.send('POST', '/v1/maps/m/drain', body, { ...form, ...token }),
      'ORIGIN_REFUSED',
    );
    expectProblem(
      await daemon.rest.send('POST', '/v1/maps/m/drain', body, { 'content-type': 'text/plain', ...token }),
      'MEDIA_TYPE',
      { status: 415 },
    );
  });
});
