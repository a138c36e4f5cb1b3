import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import type { RestMethod } from '../support/rest.js';
import { expectProblem } from './problem.js';

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await startDaemon({ limits: { max_body_bytes: 4096 } });
  await daemon.rest.createMap('m');
});
afterAll(() => daemon.close());

const JSON_CALLS: [RestMethod, string, object][] = [
  ['PUT', '/v1/maps/m', { max_entries: 4096 }],
  ['PUT', '/v1/maps/m/handlers/count', { kind: 'count' }],
  ['POST', '/v1/maps/m/drain', { handler: 'count' }],
];

describe('a path that takes other methods', () => {
  it.each<[RestMethod, string, string]>([
    ['POST', '/v1/maps', 'GET, HEAD'],
    ['POST', '/v1/maps/m', 'DELETE, GET, HEAD, PUT'],
    ['PATCH', '/v1/maps/m', 'DELETE, GET, HEAD, PUT'],
    ['DELETE', '/v1/maps/m/query', 'GET, HEAD'],
    ['PUT', '/v1/maps/m/samples', 'GET, HEAD, POST'],
    ['GET', '/v1/maps/m/drain', 'POST'],
    ['DELETE', '/v1/maps/m/handlers', 'GET, HEAD'],
    ['POST', '/v1/maps/m/handlers/h', 'DELETE, GET, HEAD, PUT'],
    ['POST', '/v1/maps/m/producers', 'GET, HEAD'],
    ['GET', '/v1/maps/m/producers/p', 'DELETE'],
    ['POST', '/v1/maps/m/produce', 'GET, HEAD'],
    ['POST', '/metrics', 'GET, HEAD'],
    ['DELETE', '/v1/metrics', 'GET, HEAD'],
    ['POST', '/livez', 'GET, HEAD'],
    ['OPTIONS', '/v1/maps/m', 'DELETE, GET, HEAD, PUT'],
  ])('answers %s %s with 405 and Allow: %s', async (method, path, allow) => {
    const answer = await daemon.rest.call(method, path);
    expectProblem(answer, 'METHOD_NOT_ALLOWED', { status: 405, detail: `${method} ${path}` });
    expect(answer.headers.allow).toBe(allow);
  });
});

describe('a path that nothing is at', () => {
  it.each([
    '/',
    '/v1',
    '/v1/',
    '/v1/maps/m/',
    '/v1/map',
    '/v1/maps/m/nope',
    '/v1/maps/m/handlers/h/x',
    '/v2/maps',
  ])('answers %s with 404', async (path) => {
    const answer = await daemon.rest.call('GET', path);
    expectProblem(answer, 'NO_ROUTE', { status: 404, detail: `GET ${path}` });
    expect(answer.headers.allow).toBeUndefined();
  });

  it.each(['/v1/maps/%zz', '/v1/maps/%', '/v1/maps/%C3'])(
    'answers %s, which cannot be decoded, with 400',
    async (path) => {
      expectProblem(await daemon.rest.call('GET', path), 'BAD_REQUEST', { status: 400 });
    },
  );
});

describe('a body that is not JSON', () => {
  const send = (method: RestMethod, path: string, body: string | undefined, type = 'application/json') =>
    daemon.rest.send(method, path, body, { 'content-type': type });

  it.each(['{', '{"a":1', 'null and void', '{"max_entries":4096,}', "{'a':1}", '\u0000', ''])(
    'is refused with 400: %j',
    async (body) => {
      for (const [method, path] of JSON_CALLS)
        expectProblem(await send(method, path, body), 'BAD_REQUEST', { status: 400 });
    },
  );

  it('is refused also when it is missing', async () => {
    for (const [method, path] of JSON_CALLS)
      expectProblem(await send(method, path, undefined), 'BAD_REQUEST', { status: 400 });
  });

  it.each(['null', '[]', '"x"', '1', 'true'])(
    'is refused when it is JSON but no object: %s',
    async (body) => {
      for (const [method, path] of JSON_CALLS)
        expectProblem(await send(method, path, body), 'BAD_REQUEST', { status: 400, detail: /^body/ });
    },
  );

  it.each(['{"__proto__":{"max_entries":4096}}', '{"constructor":{"prototype":{"x":1}}}'])(
    'is refused when it reaches for prototypes: %s',
    async (body) => {
      for (const [method, path] of JSON_CALLS)
        expectProblem(await send(method, path, body), 'BAD_REQUEST', { status: 400 });
    },
  );
});

describe('a body of another type', () => {
  const types = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/json',
    'application/jsonx',
    'application/xml',
    'application/octet-stream',
    'json',
    '*/*',
    '',
  ];

  it.each(types)('is refused with 415 where JSON is due: %j', async (type) => {
    for (const [method, path, body] of JSON_CALLS)
      expectProblem(
        await daemon.rest.send(method, path, JSON.stringify(body), { 'content-type': type }),
        'MEDIA_TYPE',
        { status: 415, detail: /this call takes application\/json$/ },
      );
  });

  it('is refused with 415 where samples are due', async () => {
    for (const type of [...types, 'application/json'].filter((other) => other !== 'application/octet-stream'))
      expectProblem(
        await daemon.rest.send('POST', '/v1/maps/m/samples', 'x', { 'content-type': type }),
        'MEDIA_TYPE',
        { status: 415, detail: /takes application\/octet-stream, application\/x-ndjson, / },
      );
    expect((await daemon.rest.showMap('m')).producer_pos).toBe('0');
  });

  it('is refused with 415 when it names none', async () => {
    for (const [method, path, body] of JSON_CALLS)
      expectProblem(await daemon.rest.send(method, path, JSON.stringify(body)), 'MEDIA_TYPE', {
        status: 415,
        detail: /^Content-Type is missing/,
      });
    expectProblem(await daemon.rest.send('POST', '/v1/maps/m/samples', 'x'), 'MEDIA_TYPE', { status: 415 });
  });

  it('is taken with a charset', async () => {
    const answer = await daemon.rest.send('PUT', '/v1/maps/m', '{"max_entries":4096}', {
      'content-type': 'application/json; charset=utf-8',
    });
    expect(answer.status).toBe(200);
  });
});

describe('a body over limits.max_body_bytes', () => {
  it('is refused with 413 by every call that takes one, and nothing is changed', async () => {
    for (const [method, path, body] of JSON_CALLS) {
      const text = JSON.stringify({ ...body, padding: 'x'.repeat(4096) });
      expectProblem(
        await daemon.rest.send(method, path, text, { 'content-type': 'application/json' }),
        'BODY_TOO_BIG',
        { status: 413 },
      );
    }
  });
});

describe('what is not HTTP', () => {
  it('ends that connection and no other', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(daemon.port, '127.0.0.1', () => socket.write('NONSENSE\r\n\r\n'));
      let text = '';
      socket.setEncoding('utf8');
      socket.on('data', (chunk: string) => (text += chunk));
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect((await daemon.rest.call('GET', '/livez')).status).toBe(200);
  });
});
