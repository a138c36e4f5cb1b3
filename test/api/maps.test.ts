import { describe, expect, it } from 'vitest';
import { startDaemon } from '../support/daemon.js';
import { useDaemon } from '../support/use-daemon.js';
import { Op } from '../../src/wire/index.js';
import { expectProblem } from './problem.js';

const under = useDaemon();
const put = (name: string, body: unknown) => under.daemon.rest.call('PUT', `/v1/maps/${name}`, body);

describe('PUT /v1/maps/{map}', () => {
  it('creates a map and shows it whole', async () => {
    const answer = await put('host', { max_entries: 65536, mode: 'managed', durability: 'memory' });
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      name: 'host',
      max_entries: 65536,
      mode: 'managed',
      durability: 'memory',
      incarnation: expect.stringMatching(/^[A-Za-z0-9_-]{16}$/) as string,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
      producer_pos: '0',
      consumer_pos: '0',
      visible_pos: '0',
      freed_pos: '0',
      journal: 'none',
      journal_findings: [],
      ledger: 'count',
      quarantined: [],
      used_bytes: '0',
      free_bytes: 65536,
      fill: 0,
      writable: true,
      draining: false,
      oldest_age_ms: 0,
      producers: 0,
      producers_waiting: 0,
      watchers: 0,
      open_reservations: 0,
      handlers: [],
      counters: {
        accepted_samples: 0,
        accepted_bytes: 0,
        drained_samples: 0,
        discarded_samples: 0,
        dead_lettered_samples: 0,
        buffered_samples: 0,
        quarantined_samples: 0,
        drains: 0,
        stops: 0,
        wakeups_sent: 0,
        wakeups_suppressed: 0,
        wakeups_coalesced: 0,
        wakeups_forced: 0,
        refused: {},
        drain_errors: {},
      },
    });
    expect(await under.daemon.rest.expect(200, 'GET', '/v1/maps/host')).toEqual(answer.body);
  });

  it('fills in managed and memory, and takes the attributes of bpf_map_create', async () => {
    expect(await put('a', { max_entries: 4096 })).toMatchObject({
      status: 201,
      body: { mode: 'managed', durability: 'memory' },
    });
    const all = { max_entries: 4096, mode: 'direct', key_size: 0, value_size: 0, map_flags: 4 };
    expect(await put('b', all)).toMatchObject({ status: 201, body: { mode: 'direct', oldest_age_ms: null } });
  });

  it('answers the same again with 200 and leaves the map as it is', async () => {
    const first = await put('a', { max_entries: 4096 });
    await under.daemon.rest.send('POST', '/v1/maps/a/samples', 'x', {
      'content-type': 'application/octet-stream',
    });
    const again = await put('a', { max_entries: 4096, mode: 'managed' });
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({ incarnation: first.body.incarnation, producer_pos: '16' });
  });

  it.each([
    ['another size', { max_entries: 8192 }],
    ['another mode', { max_entries: 4096, mode: 'direct' }],
  ])('refuses %s for a map that exists', async (_what, body) => {
    await put('a', { max_entries: 4096 });
    expectProblem(await put('a', body), 'MAP_EXISTS', {
      status: 409,
      detail: 'map "a" has max_entries 4096, mode managed, durability memory, ledger count',
    });
  });

  it.each([
    [0, 'BAD_MAP_SIZE', 400],
    [-4096, 'BAD_MAP_SIZE', 400],
    [4095, 'BAD_MAP_SIZE', 400],
    [12288, 'BAD_MAP_SIZE', 400],
    [2048, 'BAD_MAP_SIZE', 400],
    [4096.5, 'BAD_MAP_SIZE', 400],
    [2 ** 31, 'MAP_TOO_BIG', 413],
    [2 ** 40, 'MAP_TOO_BIG', 413],
    ['x', 'BAD_REQUEST', 400],
    ['4096', 'BAD_REQUEST', 400],
    [null, 'BAD_REQUEST', 400],
    [true, 'BAD_REQUEST', 400],
    [[4096], 'BAD_REQUEST', 400],
  ] as const)('refuses max_entries %j with %s', async (max_entries, key, status) => {
    expectProblem(await put('a', { max_entries }), key, { status, detail: /max_entries/ });
    expectProblem(await under.daemon.rest.call('GET', '/v1/maps/a'), 'NO_MAP', { status: 404 });
  });

  it.each([
    [{ key_size: 4 }, 'BAD_MAP_SIZE', /key_size 4/],
    [{ value_size: 8 }, 'BAD_MAP_SIZE', /value_size 8/],
    [{ map_flags: 1 }, 'BAD_MAP_SIZE', /map_flags 1/],
    [{ mode: 'both' }, 'BAD_REQUEST', /^body\.mode /],
    [{ mode: 'direct', durability: 'synced' }, 'DURABILITY', /"synced" on a direct map/],
    [{ mode: 'direct', durability: 'written' }, 'DURABILITY', /"written"/],
    [{ durability: 'never' }, 'BAD_REQUEST', /^body\.durability /],
    [{ max_entires: 1 }, 'BAD_REQUEST', /^body\.max_entires is not a known key$/],
  ] as const)('refuses %j', async (extra, key, detail) => {
    expectProblem(await put('a', { max_entries: 4096, ...extra }), key, { status: 400, detail });
  });

  it.each([
    ['%2Fetc', 'a slash in front'],
    ['a%2Fb', 'a slash'],
    ['.', 'one dot'],
    ['..', 'two dots'],
    ['%2e%2e', 'two dots, encoded'],
    ['a'.repeat(65), '65 characters'],
    ['a'.repeat(1000), '1000 characters'],
    ['a%20b', 'a space'],
    ['%C3%A4', 'a letter outside of ASCII'],
    ['a%00', 'a zero byte'],
    ['a%0A', 'a newline at the end'],
  ])('refuses the name %s (%s)', async (name) => {
    expectProblem(await put(name, { max_entries: 4096 }), 'BAD_NAME', { status: 400 });
    expect((await under.daemon.rest.expect(200, 'GET', '/v1/maps')).maps).toEqual([]);
  });

  it.each(['a'.repeat(64), '...', '.a', '-', '_', 'A-b_c.9'])('takes the name %s', async (name) => {
    expect((await put(name, { max_entries: 4096 })).status).toBe(201);
  });

  it('takes a ring of 1 GiB only if the limits let it, and says which limit it was', async () => {
    const daemon = await startDaemon({ limits: { max_maps: 2, max_total_ring_bytes: 16384 } });
    try {
      const { rest } = daemon;
      await rest.expect(201, 'PUT', '/v1/maps/a', { max_entries: 8192 });
      expectProblem(await rest.call('PUT', '/v1/maps/b', { max_entries: 16384 }), 'LIMIT_RING_BYTES', {
        status: 507,
        detail: 'all rings would take 24576 bytes',
      });
      await rest.expect(201, 'PUT', '/v1/maps/b', { max_entries: 8192 });
      expectProblem(await rest.call('PUT', '/v1/maps/c', { max_entries: 4096 }), 'LIMIT_MAPS', {
        status: 507,
        detail: '2 maps exist',
      });
      // What is deleted is given back.
      await rest.expect(204, 'DELETE', '/v1/maps/b');
      await rest.expect(201, 'PUT', '/v1/maps/c', { max_entries: 8192 });
    } finally {
      await daemon.close();
    }
  });
});

describe('GET /v1/maps', () => {
  it('lists what GET of each map shows', async () => {
    expect(await under.daemon.rest.expect(200, 'GET', '/v1/maps')).toEqual({ maps: [] });
    await put('a', { max_entries: 4096 });
    await put('b', { max_entries: 8192, mode: 'direct' });
    const [a, b] = [
      await under.daemon.rest.expect(200, 'GET', '/v1/maps/a'),
      await under.daemon.rest.expect(200, 'GET', '/v1/maps/b'),
    ];
    const { maps } = await under.daemon.rest.expect(200, 'GET', '/v1/maps');
    const ageless = (map: object) => ({ ...map, oldest_age_ms: 0 });
    expect((maps as object[]).map(ageless)).toEqual([ageless(a), ageless(b)]);
  });
});

describe('GET /v1/maps/{map}', () => {
  it('shows positions, fill, age, who is connected, handlers and counters', async () => {
    const map = await under.newMap();
    const client = await under.client(map, 'producer=p');
    client.output(1, ['a'.repeat(1016), 'b'.repeat(1016)]);
    await client.expect(Op.ACK);
    client.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 4096 });
    await client.expect(Op.DONE);
    await client.reserve(8);
    const shown = await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}`);
    expect(shown).toMatchObject({
      producer_pos: '2064',
      consumer_pos: '0',
      used_bytes: '2064',
      free_bytes: 2032,
      fill: 2064 / 4096,
      writable: true,
      producers: 1,
      producers_waiting: 0,
      watchers: 1,
      open_reservations: 1,
      handlers: ['count', 'capture'],
      counters: { accepted_samples: 3, accepted_bytes: 2064, buffered_samples: 3 },
    });
    expect(shown.oldest_age_ms).toBeGreaterThan(0);
  });

  it('answers 404 for a map that is not there', async () => {
    for (const path of ['', '/query', '/samples', '/handlers', '/handlers/h', '/producers'])
      expectProblem(await under.daemon.rest.call('GET', `/v1/maps/nope${path}`), 'NO_MAP', {
        status: 404,
        detail: 'no map is named "nope"',
      });
  });
});

describe('GET /v1/maps/{map}/query', () => {
  it('shows the four values of bpf_ringbuf_query as decimal strings', async () => {
    const map = await under.newMap();
    await under.daemon.rest.send('POST', `/v1/maps/${map}/samples`, 'x'.repeat(4088), {
      'content-type': 'application/octet-stream',
    });
    expect(await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/query`)).toEqual({
      avail_data: '4096',
      ring_size: '4096',
      consumer_pos: '0',
      producer_pos: '4096',
      writable: false,
    });
  });

  it('shows the positions of a direct map as they are, to the last bit', async () => {
    const map = await under.newMap({ mode: 'direct' });
    const client = await under.client(map);
    client.send({ op: Op.COMMIT, seq: 1n, producerPos: 2n ** 64n - 8n });
    await client.expect(Op.DONE);
    expect(await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/query`)).toEqual({
      avail_data: '18446744073709551608',
      ring_size: '4096',
      consumer_pos: '0',
      producer_pos: '18446744073709551608',
      writable: false,
    });
    expect(await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}`)).toMatchObject({
      used_bytes: '18446744073709551608',
      fill: 1,
      oldest_age_ms: null,
    });
  });
});

describe('DELETE /v1/maps/{map}', () => {
  it('removes the map, and a new one of that name starts anew', async () => {
    const first = await put('a', { max_entries: 4096 });
    const answer = await under.daemon.rest.call('DELETE', '/v1/maps/a');
    expect([answer.status, answer.text]).toEqual([204, '']);
    expectProblem(await under.daemon.rest.call('GET', '/v1/maps/a'), 'NO_MAP');
    expectProblem(await under.daemon.rest.call('DELETE', '/v1/maps/a'), 'NO_MAP', { status: 404 });
    const second = await put('a', { max_entries: 8192 });
    expect(second.body.incarnation).not.toBe(first.body.incarnation);
  });

  it('closes its producers with 4504', async () => {
    const map = await under.newMap();
    const client = await under.client(map);
    await under.daemon.rest.expect(204, 'DELETE', `/v1/maps/${map}`);
    await client.expectClose(4504, 'ENOENT');
  });

  it('gives the bytes of a map back once, however many callers delete it at the same time', async () => {
    const { maps } = under.daemon.app.daemon;
    await put('keep', { max_entries: 4096 });
    await put('a', { max_entries: 8192 });
    await under.daemon.rest.expect(201, 'PUT', '/v1/maps/a/handlers/f', { kind: 'file' });
    const results = await Promise.allSettled([maps.delete('a'), maps.delete('a'), maps.delete('a')]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(maps.ringBytes).toBe(4096);
  });

  it('is found by nobody while it closes: the name is free at once', async () => {
    const { maps } = under.daemon.app.daemon;
    await put('a', { max_entries: 4096 });
    const gone = maps.delete('a');
    expect(() => maps.get('a')).toThrow('no map is named "a"');
    expect(maps.create('a', { maxEntries: 8192 }).created).toBe(true);
    await gone;
    expect(maps.get('a').attributes.maxEntries).toBe(8192);
  });
});
