import { describe, expect, it } from 'vitest';
import { startDaemon } from '../support/daemon.js';
import type { RestAnswer } from '../support/rest.js';
import { useDaemon } from '../support/use-daemon.js';
import { expectProblem } from './problem.js';

const under = useDaemon({ limits: { max_handlers_per_map: 4, max_file_bytes_per_map: 2 ** 30 } });
const put = (map: string, name: string, body: unknown): Promise<RestAnswer> =>
  under.daemon.rest.call('PUT', `/v1/maps/${map}/handlers/${name}`, body);
const list = async (map: string): Promise<unknown[]> =>
  (await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers`)).handlers as unknown[];

async function emptyMap(maxEntries = 4096): Promise<string> {
  const map = await under.newMap({ max_entries: maxEntries });
  for (const name of ['count', 'capture'])
    await under.daemon.rest.expect(204, 'DELETE', `/v1/maps/${map}/handlers/${name}`);
  return map;
}

describe('PUT /v1/maps/{map}/handlers/{handler}', () => {
  it('registers a manual handler', async () => {
    const map = await emptyMap();
    const answer = await put(map, 'h', { kind: 'count', config: {}, trigger: { mode: 'manual' } });
    expect([answer.status, answer.body]).toEqual([
      201,
      {
        name: 'h',
        kind: 'count',
        config: {},
        trigger: { mode: 'manual' },
        on_error: { policy: 'stop' },
        enabled: true,
        status: 'running',
        state: { samples: 0, bytes: 0 },
        shadow: null,
        auto: null,
        last_error: null,
        dead_letter_error: null,
        attempts: 0,
        last_drain: null,
        counters: { calls: 0, samples: 0, stops: 0, retries: 0, dead_letters: 0, errors: {} },
      },
    ]);
    expect(await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/h`)).toEqual(answer.body);
    expect(await list(map)).toEqual([answer.body]);
  });

  it('needs only the kind, and shows the defaults of the rest', async () => {
    const map = await emptyMap();
    expect((await put(map, 'c', { kind: 'capture' })).body).toMatchObject({
      config: { max: 4096, head_bytes: 16, keep: 'newest' },
      trigger: { mode: 'manual' },
      state: { samples: [] },
    });
    expect((await put(map, 'f', { kind: 'file' })).body).toMatchObject({
      config: { format: 'ndjson', rotate_bytes: 67108864, keep: 3 },
    });
    expect((await put(map, 'l', { kind: 'log' })).body).toMatchObject({
      config: { level: 'info', head_bytes: 256 },
    });
    expect((await put(map, 'a', { kind: 'count', trigger: { mode: 'auto' } })).body).toMatchObject({
      trigger: { mode: 'auto', flags: [], min_bytes: 1, max_delay_ms: 0 },
      auto: { state: 'parked', backoff_ms: 0 },
    });
  });

  it('takes the auto trigger of the contract as it is', async () => {
    const map = await emptyMap();
    const trigger = {
      mode: 'auto',
      flags: ['BPF_RB_NO_WAKEUP', 'BPF_RB_FORCE_WAKEUP'],
      min_bytes: 4096,
      max_delay_ms: 50,
    };
    expect((await put(map, 'h', { kind: 'count', config: {}, trigger })).body).toMatchObject({ trigger });
  });

  it('takes a min_bytes over the size of the ring if age starts the drain', async () => {
    const map = await emptyMap();
    const trigger = { mode: 'auto', min_bytes: 4097, max_delay_ms: 60_000 };
    expect((await put(map, 'h', { kind: 'count', trigger })).status).toBe(201);
  });

  it('puts a new handler in the place of one of the same name: 200, and its state is gone', async () => {
    const map = await under.newMap();
    await under.daemon.rest.send('POST', `/v1/maps/${map}/samples`, 'x', {
      'content-type': 'application/octet-stream',
    });
    await under.daemon.rest.drain(map, 'count');
    const answer = await put(map, 'count', { kind: 'count' });
    expect([answer.status, answer.body.state]).toEqual([200, { samples: 0, bytes: 0 }]);
  });

  it.each([
    [{ kind: 'counter' }, 'HANDLER_KIND', /^"counter" is none of count, capture, log, file/],
    [{ kind: 'constructor' }, 'HANDLER_KIND', /"constructor"/],
    [{ kind: '' }, 'HANDLER_KIND', /""/],
    [{ kind: 7 }, 'BAD_REQUEST', /^body\.kind /],
    [{}, 'BAD_REQUEST', /kind/],
    [{ kind: 'count', config: { max: 1 } }, 'HANDLER_CONFIG', 'config.max is not a known key'],
    [{ kind: 'count', config: [] }, 'BAD_REQUEST', /^body\.config /],
    [{ kind: 'capture', config: { maximum: 1 } }, 'HANDLER_CONFIG', 'config.maximum is not a known key'],
    [{ kind: 'capture', config: { max: 0 } }, 'HANDLER_CONFIG', /^config\.max /],
    [{ kind: 'capture', config: { max: '1' } }, 'HANDLER_CONFIG', /^config\.max /],
    [{ kind: 'capture', config: { keep: 'oldest' } }, 'HANDLER_CONFIG', /^config\.keep /],
    [{ kind: 'capture', config: { max: 65536, head_bytes: 65536 } }, 'HANDLER_CONFIG', /^max × head_bytes /],
    [{ kind: 'log', config: { level: 'loud' } }, 'HANDLER_CONFIG', /^config\.level /],
    [{ kind: 'file', config: { name: '../x' } }, 'HANDLER_CONFIG', /^config\.name "\.\.\/x"/],
    [{ kind: 'file', config: { name: 'a/b' } }, 'HANDLER_CONFIG', /^config\.name /],
    [{ kind: 'file', config: { name: '..' } }, 'HANDLER_CONFIG', /^config\.name /],
    [{ kind: 'file', config: { name: '' } }, 'HANDLER_CONFIG', /^config\.name /],
    [{ kind: 'file', config: { name: 'x'.repeat(65) } }, 'HANDLER_CONFIG', /^config\.name /],
    [{ kind: 'file', config: { format: 'csv' } }, 'HANDLER_CONFIG', /^config\.format /],
    [{ kind: 'file', config: { rotate_bytes: 4095 } }, 'HANDLER_CONFIG', /^config\.rotate_bytes /],
    [{ kind: 'file', config: { keep: -1 } }, 'HANDLER_CONFIG', /^config\.keep /],
    [{ kind: 'file', config: { keep: 16 } }, 'HANDLER_CONFIG', /over limits\.max_file_bytes_per_map/],
    [{ kind: 'count', trigger: {} }, 'BAD_REQUEST', /^body\.trigger/],
    [{ kind: 'count', trigger: { mode: 'sometimes' } }, 'BAD_REQUEST', /^body\.trigger/],
    [{ kind: 'count', trigger: { mode: 'manual', min_bytes: 1 } }, 'BAD_REQUEST', /^body\.trigger/],
    [{ kind: 'count', trigger: { mode: 'auto', min_bytes: 0 } }, 'BAD_REQUEST', /^body\.trigger/],
    [{ kind: 'count', trigger: { mode: 'auto', max_delay_ms: -1 } }, 'BAD_REQUEST', /^body\.trigger/],
    [{ kind: 'count', trigger: { mode: 'auto', flags: ['NO'] } }, 'BAD_REQUEST', /^body\.trigger/],
    [
      { kind: 'count', trigger: { mode: 'auto', min_bytes: 4097 } },
      'HANDLER_CONFIG',
      /^trigger\.min_bytes is 4097, the ring has 4096 .*would never drain/,
    ],
    [{ kind: 'count', triger: {} }, 'BAD_REQUEST', 'body.triger is not a known key'],
  ] as const)('refuses %j', async (body, key, detail) => {
    const map = await emptyMap();
    expectProblem(await put(map, 'h', body), key, { status: 400, detail });
    expect(await list(map)).toEqual([]);
  });

  it.each(['..', 'a%2Fb', 'a'.repeat(65), '%20'])('refuses the name %s', async (name) => {
    const map = await emptyMap();
    expectProblem(await put(map, name, { kind: 'count' }), 'BAD_NAME', { status: 400 });
  });

  it('keeps one handler with an auto trigger a map', async () => {
    const map = await emptyMap();
    const auto = { kind: 'count', trigger: { mode: 'auto' } };
    expect((await put(map, 'a', auto)).status).toBe(201);
    expectProblem(await put(map, 'b', auto), 'AUTO_TAKEN', {
      status: 409,
      detail: `handler "a" has the auto trigger of map "${map}"`,
    });
    expect((await put(map, 'a', auto)).status).toBe(200);
    expect((await put(map, 'b', { kind: 'count' })).status).toBe(201);
    expect((await put(map, 'a', { kind: 'count' })).status).toBe(200);
    expect((await put(map, 'b', auto)).status).toBe(200);
  });

  it('bounds the handlers of a map; one that is there can still be changed', async () => {
    const map = await emptyMap();
    for (const name of ['a', 'b', 'c', 'd'])
      expect((await put(map, name, { kind: 'count' })).status).toBe(201);
    expectProblem(await put(map, 'e', { kind: 'count' }), 'LIMIT_HANDLERS', { status: 507 });
    expect((await put(map, 'd', { kind: 'capture' })).status).toBe(200);
    await under.daemon.rest.expect(204, 'DELETE', `/v1/maps/${map}/handlers/a`);
    await under.daemon.rest.expect(204, 'DELETE', `/v1/maps/${map}/handlers/b`);
  });

  it.each([
    ['out', 'out'],
    ['out', 'out.1'],
    ['out.12', 'out'],
  ])('refuses a second handler for the file of another one, rotated ones included: %s, %s', async (a, b) => {
    const map = await emptyMap();
    const small = { rotate_bytes: 4096, keep: 1 };
    expect((await put(map, 'a', { kind: 'file', config: { ...small, name: a } })).status).toBe(201);
    expectProblem(await put(map, 'b', { kind: 'file', config: { ...small, name: b } }), 'HANDLER_CONFIG', {
      status: 400,
      detail: /^handler "a" writes out\//,
    });
    // The same handler may take its own file again.
    expect((await put(map, 'a', { kind: 'file', config: { ...small, name: b } })).status).toBe(200);
  });

  it('bounds what the file handlers of a map may keep on disk, together', async () => {
    const map = await emptyMap();
    const half = { rotate_bytes: 2 ** 28, keep: 1 };
    expect((await put(map, 'a', { kind: 'file', config: half })).status).toBe(201);
    expect((await put(map, 'b', { kind: 'file', config: half })).status).toBe(201);
    expectProblem(
      await put(map, 'c', { kind: 'file', config: { rotate_bytes: 4096, keep: 0 } }),
      'HANDLER_CONFIG',
      {
        detail: /with 1073741824 of the map's other handlers/,
      },
    );
  });
});

describe('GET /v1/maps/{map}/handlers/{handler}', () => {
  it('shows the state of each kind', async () => {
    const map = await under.newMap();
    await put(map, 'f', { kind: 'file' });
    for (const sample of ['ab', 'c']) {
      await under.daemon.rest.send('POST', `/v1/maps/${map}/samples`, sample, {
        'content-type': 'application/octet-stream',
      });
      await under.daemon.rest.drain(map, sample === 'ab' ? 'capture' : 'f');
    }
    expect(await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/capture`)).toMatchObject({
      state: { calls: 1, samples: [{ len: 2, head: '6162' }] },
    });
    expect(await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/f`)).toMatchObject({
      state: { samples: 1, bytes: 26, file_bytes: 26, rotations: 0 },
    });
  });

  it('answers 404 for one that is not there', async () => {
    const map = await under.newMap();
    expectProblem(await under.daemon.rest.call('GET', `/v1/maps/${map}/handlers/nope`), 'NO_HANDLER', {
      status: 404,
      detail: `map "${map}" has no handler "nope"`,
    });
  });
});

describe('DELETE /v1/maps/{map}/handlers/{handler}', () => {
  it('removes the handler', async () => {
    const map = await under.newMap();
    const answer = await under.daemon.rest.call('DELETE', `/v1/maps/${map}/handlers/count`);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expectProblem(await under.daemon.rest.call('DELETE', `/v1/maps/${map}/handlers/count`), 'NO_HANDLER', {
      status: 404,
    });
    expect((await under.daemon.rest.showMap(map)) as unknown).toMatchObject({ handlers: ['capture'] });
  });
});

describe('maps and handlers of the configuration', () => {
  it('are there from the start', async () => {
    const daemon = await startDaemon({
      maps: [
        {
          name: 'host',
          max_entries: 8192,
          handlers: [{ name: 'h', kind: 'count', config: {}, trigger: { mode: 'auto', min_bytes: 100 } }],
        },
      ],
    });
    try {
      expect(await daemon.rest.expect(200, 'GET', '/v1/maps/host/handlers/h')).toMatchObject({
        kind: 'count',
        trigger: { mode: 'auto', flags: [], min_bytes: 100, max_delay_ms: 0 },
      });
    } finally {
      await daemon.close();
    }
  });

  it('end the start when a handler is refused, and say why', async () => {
    const handlers = [{ name: 'h', kind: 'counter', config: {}, trigger: { mode: 'manual' } }];
    await expect(startDaemon({ maps: [{ name: 'a', max_entries: 4096, handlers }] })).rejects.toThrow(
      '"counter" is none of count, capture, log, file',
    );
  });
});
