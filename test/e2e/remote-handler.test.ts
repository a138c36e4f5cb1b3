/** Handlers that attach over real sockets, well behaved and not; after each test every sample is accounted for. */
import { afterEach, describe, expect, it } from 'vitest';
import { handle, type HandleOptions, type OnBatch, type RemoteHandler } from '../../src/client/index.js';
import { startDaemon } from '../support/daemon.js';
import { RawClient } from '../support/raw-client.js';
import { attachUrl, RawHandler } from '../support/raw-handler.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

const under = useDaemon({
  limits: { max_handlers_per_map: 8 },
  drain: { backoff_min_ms: 5, backoff_max_ms: 20 },
});
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const auto = { mode: 'auto' };
const manual = { mode: 'manual' };

/** A map with a remote handler "remote". */
async function remoteMap(
  config: Record<string, unknown> = {},
  trigger: object = auto,
  maxEntries = 65_536,
): Promise<string> {
  const map = await under.newMap({ max_entries: maxEntries });
  await putRemote(map, config, trigger);
  return map;
}

function putRemote(
  map: string,
  config: Record<string, unknown> = {},
  trigger: object = auto,
): Promise<unknown> {
  const body = { kind: 'remote', config, trigger };
  return under.daemon.rest.call('PUT', `/v1/maps/${map}/handlers/remote`, body);
}

async function raw(
  map: string,
  query?: string,
  options?: Parameters<typeof RawHandler.open>[1],
): Promise<RawHandler> {
  const handler = await RawHandler.open(attachUrl(under.daemon.url, map, 'remote', query), options);
  cleanups.push(() => handler.terminate());
  return handler;
}

async function sdk(
  map: string,
  onBatch: OnBatch,
  options: Partial<HandleOptions> = {},
): Promise<RemoteHandler> {
  const handler = await handle(map, 'remote', onBatch, {
    url: under.daemon.url,
    reconnect: { minDelayMs: 1, maxDelayMs: 10 },
    ...options,
  });
  cleanups.push(() => handler.close({ timeoutMs: 0 }));
  return handler;
}

async function store(map: string, samples: readonly string[]): Promise<void> {
  const body = samples.map((sample) => `${sample}\n`).join('');
  const type = { 'content-type': 'application/x-ndjson' };
  const answer = await under.daemon.rest.send('POST', `/v1/maps/${map}/samples`, body, type);
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
}

async function stateOf(map: string): Promise<Record<string, unknown>> {
  const body = await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/remote`);
  return body.state as Record<string, unknown>;
}

const empty = (map: string): Promise<unknown> =>
  until(async () => {
    const shown = await under.daemon.rest.showMap(map);
    return shown.consumer_pos === shown.producer_pos;
  }, `map "${map}" is drained`);

const numbered = (count: number, prefix = 'sample'): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix} ${index}`);
const texts = (samples: readonly Uint8Array[]): string[] =>
  samples.map((sample) => new TextDecoder().decode(sample));

/** Asserts that each sample came at least once, and for the first time in order. */
function expectAllInOrder(seen: readonly string[], sent: readonly string[]): void {
  expect([...new Set(seen)]).toEqual(sent);
}

describe('a handler at the other end of a WebSocket', () => {
  it('gets every sample of every producer, in order, as producers and drains overlap', async () => {
    const map = await remoteMap({ max_batch_bytes: 512 });
    const seen: string[] = [];
    const positions: bigint[] = [];
    await sdk(map, async (samples, _ctx, info) => {
      seen.push(...texts(samples));
      positions.push(...samples.map((_, index) => info.positionOf(index)));
      await new Promise((resolve) => setImmediate(resolve));
      return 0;
    });
    const producer = await under.client(map, 'producer=p&on_full=block');
    const sent = numbered(2000);
    for (let at = 0; at < 2000; at += 100) producer.output(at / 100 + 1, sent.slice(at, at + 100));
    await until(() => seen.length >= 2000, 'all samples');
    expect(seen).toEqual(sent);
    expect(positions).toEqual([...positions].sort((a, b) => (a < b ? -1 : 1)));
    expect(new Set(positions).size).toBe(2000);
    await empty(map);
    expect(await stateOf(map)).toMatchObject({ attached: 1, in_flight_bytes: 0, samples: 2000, errors: {} });
  });

  it('sees the ctx of a drain by hand, and its verdict 1 stops it', async () => {
    const map = await remoteMap({}, manual);
    const seen: unknown[] = [];
    await sdk(map, async (samples, ctx) => {
      seen.push(texts(samples), ctx);
      return { consumed: 2, stop: true };
    });
    await store(map, ['a', 'b', 'c']);
    const drain = await under.daemon.rest.drain(map, 'remote', { ctx: { why: ['test'] } });
    expect(drain).toMatchObject({ ret: 2, drained: 2, stopped: true });
    expect(seen).toEqual([['a', 'b', 'c'], { why: ['test'] }]);
    expect(await under.daemon.rest.peek(map)).toHaveLength(1);
  });

  it('is what a drain by hand waits for: nobody attached is an error, and nothing is lost', async () => {
    const map = await remoteMap({}, manual);
    await store(map, ['a']);
    const answer = await under.daemon.rest.call('POST', `/v1/maps/${map}/drain`, { handler: 'remote' });
    expect([answer.status, answer.body.errno, answer.body.drained]).toEqual([503, 'EAGAIN', 0]);
    expect(await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/remote`)).toMatchObject({
      last_error: { errno: 'EAGAIN', message: 'no client is attached' },
    });
  });

  it('gets what had waited for it, whenever it attaches', async () => {
    const map = await remoteMap();
    await store(map, numbered(10));
    await until(
      async () => ((await stateOf(map)).errors as { EAGAIN?: number }).EAGAIN,
      'a drain without a client',
    );
    const seen: string[] = [];
    await sdk(map, async (samples) => (seen.push(...texts(samples)), 0));
    await empty(map);
    expect(seen).toEqual(numbered(10));
  });

  it('carries samples of any size, empty ones and the largest included', async () => {
    const map = await under.newMap({ max_entries: 4 * 2 ** 20 });
    await putRemote(map);
    const sizes: number[] = [];
    await sdk(map, async (samples) => (sizes.push(...samples.map(({ length }) => length)), 0));
    const producer = await under.client(map, 'producer=p');
    const wanted = [0, 1, 7, 8, 1000, 300_000, 2 ** 20 - 8, 3];
    for (const [index, size] of wanted.entries()) producer.output(index + 1, [new Uint8Array(size)]);
    await until(() => sizes.length === wanted.length, 'all samples');
    expect(sizes).toEqual(wanted);
  });
});

describe('several handlers', () => {
  it('take over from each other in the middle of deliveries: every sample at least once, in order', async () => {
    const map = await remoteMap({ max_batch_bytes: 256 });
    const seen: string[] = [];
    // Each of them dies in the middle of its third delivery; the last one does the rest.
    for (let index = 0; index < 4; index++) {
      const handler = await raw(map, `credit=65536&client=c${index}`);
      expect(handler.attached!.role).toBe(index === 0 ? 'active' : 'standby');
      let count = 0;
      handler.onDelivery = ({ number, samples }) => {
        seen.push(...samples);
        if (++count === 3 && index < 3) handler.terminate();
        else handler.answer(number, samples.length);
      };
    }
    const sent = numbered(300);
    await store(map, sent);
    await empty(map);
    expectAllInOrder(seen, sent);
    expect(seen.length).toBeGreaterThan(sent.length);
    expect(await stateOf(map)).toMatchObject({
      attached: 1,
      active: 'c3',
      samples: 300,
      takeovers: 3,
      errors: { EIO: 3 },
    });
  });

  it('take over when the active one leaves, which fails nothing', async () => {
    const map = await remoteMap({ max_batch_bytes: 128 });
    const seen: string[] = [];
    const roles: string[] = [];
    const collect: OnBatch = async (samples) => {
      seen.push(...texts(samples));
      await new Promise((resolve) => setImmediate(resolve));
      return 0;
    };
    const first = await sdk(map, collect, { client: 'first' });
    const second = await sdk(map, collect, { client: 'second' });
    second.on('role', ({ active }) => roles.push(active ? 'active' : 'standby'));
    expect([first.active, second.active]).toEqual([true, false]);
    const sent = numbered(400);
    await store(map, sent);
    await until(() => seen.length > 20, 'some samples');
    await first.close();
    await empty(map);
    // Exactly once: nobody died.
    expect(seen).toEqual(sent);
    expect(roles).toEqual(['active']);
    expect(await stateOf(map)).toMatchObject({ attached: 1, active: 'second', takeovers: 1, errors: {} });
  });
});

describe('a handler that misbehaves', () => {
  it('by never answering costs its own delivery: a standby goes on, and other maps never stop', async () => {
    const map = await remoteMap({ timeout_ms: 2000 });
    const other = await under.newMap();
    const hung = await raw(map, 'credit=65536&client=hung');
    const seen: string[] = [];
    const good = await raw(map, 'credit=65536&client=good');
    good.onDelivery = ({ number, samples }) => {
      seen.push(...samples);
      good.answer(number, samples.length);
    };
    const sent = numbered(20);
    await store(map, sent);
    const stuck = await hung.next();
    // While it hangs: the map itself refuses a second drain, and everything else works.
    const busy = await under.daemon.rest.call('POST', `/v1/maps/${map}/drain`, { handler: 'count' });
    expect(busy.status).toBe(409);
    expect(await stateOf(map)).toMatchObject({ active: 'hung', in_flight_bytes: stuck.bytes });
    await store(other, ['x', 'y']);
    expect(await under.daemon.rest.drain(other)).toMatchObject({ drained: 2 });
    expect((await under.daemon.rest.call('GET', '/livez')).status).toBe(200);

    await empty(map);
    expect(seen).toEqual(sent);
    expect(hung.notices).toEqual([`cancel ${stuck.number} 110`, 'standby']);
    expect(await stateOf(map)).toMatchObject({
      attached: 2,
      active: 'good',
      in_flight_bytes: stuck.bytes,
      samples: 20,
      takeovers: 1,
      errors: { ETIMEDOUT: 1 },
    });
    // Late, it counts for nothing, and makes it one of the others again.
    hung.answer(stuck.number, stuck.samples.length);
    await until(async () => (await stateOf(map)).late_answers === 1, 'the late answer');
    expect(await stateOf(map)).toMatchObject({ in_flight_bytes: 0, samples: 20, active: 'good' });
    expect(hung.closed).toBeUndefined();
  });

  it('alone, by never answering, leaves the samples where they are', async () => {
    const map = await remoteMap({ timeout_ms: 50 }, manual);
    const hung = await raw(map);
    await store(map, ['a', 'b']);
    const answer = await under.daemon.rest.call('POST', `/v1/maps/${map}/drain`, { handler: 'remote' });
    expect(answer.body).toMatchObject({ ret: -110, drained: 0 });
    expect(await under.daemon.rest.peek(map)).toHaveLength(2);
    // It is not given them again; it has as much time again for what it owes.
    const again = await under.daemon.rest.call('POST', `/v1/maps/${map}/drain`, { handler: 'remote' });
    expect(again).toMatchObject({ status: 504, body: { ret: -110, drained: 0 } });
    expect(hung.deliveries).toHaveLength(1);
  });

  it('by answering twice releases nothing twice', async () => {
    const map = await remoteMap({ max_batch_bytes: 64 });
    const handler = await raw(map);
    const seen: string[] = [];
    handler.onDelivery = ({ number, samples }) => {
      seen.push(...samples);
      handler.answer(number, samples.length);
      handler.answer(number, samples.length);
      handler.fail(number, 'and now it has failed');
    };
    const sent = numbered(50);
    await store(map, sent);
    await empty(map);
    expect(seen).toEqual(sent);
    const { stray_answers, deliveries, samples, errors } = await stateOf(map);
    expect({ stray_answers, samples, errors }).toEqual({
      stray_answers: 2 * (deliveries as number),
      samples: 50,
      errors: {},
    });
    expect(handler.closed).toBeUndefined();
  });

  it('by answering for more than it was given gets EINVAL, and another one its samples', async () => {
    const map = await remoteMap();
    const liar = await raw(map, 'credit=65536&client=liar');
    const good = await raw(map, 'credit=65536&client=good');
    liar.onDelivery = ({ number, samples }) => liar.answer(number, samples.length + 1);
    const seen: string[] = [];
    good.onDelivery = ({ number, samples }) => {
      seen.push(...samples);
      good.answer(number, samples.length);
    };
    await store(map, numbered(10));
    await empty(map);
    expect(seen).toEqual(numbered(10));
    expect(liar.deliveries).toHaveLength(1);
    expect(await stateOf(map)).toMatchObject({ active: 'good', samples: 10, errors: { EINVAL: 1 } });
  });

  it('by answering what it never got is closed with 4505', async () => {
    const map = await remoteMap();
    const [active, standby] = [await raw(map), await raw(map)];
    active.onDelivery = ({ number, samples }) => {
      standby.answer(number, samples.length);
      void until(() => standby.closed).then(() => active.answer(number, samples.length));
    };
    await store(map, ['a', 'b']);
    await empty(map);
    expect(standby.closed).toEqual({ code: 4505, reason: expect.stringMatching(/^EPROTO: /) as string });
  });

  it('by dying in the middle of a batch gets the same samples again, at the same positions', async () => {
    const map = await remoteMap();
    const first = await raw(map);
    first.onDelivery = () => first.terminate();
    await store(map, ['a', 'b', 'c']);
    const lost = await first.next();
    const second = await raw(map);
    const again = await second.next();
    expect({ ...again, number: 0 }).toEqual({ ...lost, number: 0 });
    expect(again.number).toBeGreaterThan(lost.number);
    second.answer(again.number, 3);
    await empty(map);
  });

  it('by failing keeps its samples, and its role', async () => {
    const map = await remoteMap();
    let failures = 0;
    const seen: string[] = [];
    const handler = await sdk(map, async (samples) => {
      if (++failures <= 3) throw new Error('the database is away');
      seen.push(...texts(samples));
      return 0;
    });
    await store(map, ['a', 'b']);
    await empty(map);
    expect(seen).toEqual(['a', 'b']);
    expect(handler.active).toBe(true);
    expect(await stateOf(map)).toMatchObject({ samples: 2, errors: { EIO: 3 }, takeovers: 0 });
  });

  it('by an answer that is none of 0 and 1 ends the drain with EINVAL: 422', async () => {
    const map = await remoteMap({}, manual);
    await sdk(map, (() => 2) as unknown as OnBatch);
    await store(map, ['a']);
    const answer = await under.daemon.rest.call('POST', `/v1/maps/${map}/drain`, { handler: 'remote' });
    expect([answer.status, answer.body.ret]).toEqual([422, -22]);
  });

  it.each([
    ['text', (handler: RawHandler) => handler.socket.send('{}')],
    ['no frame', (handler: RawHandler) => handler.send(Uint8Array.of(1, 2, 3))],
    ['an OUTPUT', (handler: RawHandler) => handler.send(Uint8Array.of(1, ...new Uint8Array(15)))],
  ])('by sending %s is closed with 4505', async (_what, send) => {
    const map = await remoteMap();
    const handler = await raw(map);
    send(handler);
    expect((await until(() => handler.closed)).code).toBe(4505);
    expect(await stateOf(map)).toMatchObject({ attached: 0, active: null });
  });

  it('by not answering pings is ended, and its delivery with it', async () => {
    const daemon = await startDaemon({ producers: { heartbeat_ms: 40 } });
    cleanups.push(() => daemon.close());
    await daemon.rest.createMap('m');
    await daemon.rest.expect(201, 'PUT', '/v1/maps/m/handlers/remote', { kind: 'remote' });
    const handler = await RawHandler.open(attachUrl(daemon.url, 'm', 'remote'), { autoPong: false });
    await daemon.rest.send('POST', '/v1/maps/m/samples', 'x', { 'content-type': 'application/octet-stream' });
    const answer = await daemon.rest.call('POST', '/v1/maps/m/drain', { handler: 'remote' });
    expect(answer.body).toMatchObject({ ret: -5, drained: 0 });
    expect((await until(() => handler.closed)).code).toBe(1006);
  });
});

describe('credit', () => {
  it('of 1 KiB is never exceeded by what is on its way', async () => {
    const map = await remoteMap();
    const handler = await raw(map, 'credit=1024');
    const seen: string[] = [];
    const inFlight: number[] = [];
    const looks: Promise<void>[] = [];
    handler.onDelivery = ({ number, samples, bytes }) => {
      seen.push(...samples);
      expect(bytes).toBeLessThanOrEqual(1024);
      // A look while the delivery is unanswered.
      looks.push(
        stateOf(map).then(({ in_flight_bytes }) => {
          inFlight.push(in_flight_bytes as number);
          expect(in_flight_bytes).toBe(bytes);
          handler.answer(number, samples.length);
        }),
      );
    };
    const sent = numbered(500);
    await store(map, sent);
    await empty(map);
    await Promise.all(looks);
    expect(seen).toEqual(sent);
    expect(Math.max(...inFlight)).toBeGreaterThan(900);
    expect(Math.max(...inFlight)).toBeLessThanOrEqual(1024);
  });

  it('that is too small for a sample is ENOSPC, until there is more', async () => {
    const map = await remoteMap();
    const handler = await raw(map, 'credit=64');
    await store(map, ['x'.repeat(200)]);
    await until(async () => ((await stateOf(map)).errors as { ENOSPC?: number }).ENOSPC, 'ENOSPC');
    expect(handler.deliveries).toEqual([]);
    handler.credit(4096);
    const delivery = await handler.next();
    handler.answer(delivery.number, 1);
    await empty(map);
  });
});

describe('a handler that is replaced', () => {
  it('sends its clients away with 1012, and the SDK attaches to the new one', async () => {
    const map = await remoteMap({}, manual);
    const seen: string[] = [];
    const handler = await sdk(map, async (samples) => (seen.push(...texts(samples)), 0));
    const plain = await raw(map);
    await putRemote(map, { timeout_ms: 1234 }, auto);
    expect(await until(() => plain.closed)).toEqual({
      code: 1012,
      reason: 'ENOENT: the handler was removed or replaced',
    });
    await until(() => handler.active && handler.attached!.timeoutMs === 1234, 'attached again');
    await store(map, ['a']);
    await empty(map);
    expect(seen).toEqual(['a']);
  });

  it('by nothing ends the SDK: 404', async () => {
    const map = await remoteMap({}, manual);
    const handler = await sdk(map, async () => 0);
    await under.daemon.rest.expect(204, 'DELETE', `/v1/maps/${map}/handlers/remote`);
    expect(await handler.ended).toMatchObject({ errno: 'ENOENT', status: 404 });
  });
});

describe('a daemon that shuts down', () => {
  it('has its attached handlers finish what is in the rings', async () => {
    const daemon = await startDaemon();
    cleanups.push(() => daemon.close());
    await daemon.rest.createMap('m');
    const trigger = { mode: 'auto', min_bytes: 4096 };
    await daemon.rest.expect(201, 'PUT', '/v1/maps/m/handlers/remote', { kind: 'remote', trigger });
    const seen: string[] = [];
    const handler = await handle('m', 'remote', async (samples) => (seen.push(...texts(samples)), 0), {
      url: daemon.url,
      reconnect: false,
    });
    await daemon.rest.send('POST', '/v1/maps/m/samples', 'x', { 'content-type': 'application/octet-stream' });
    expect(seen).toEqual([]);
    await daemon.app.close({ graceMs: 2000 });
    expect(seen).toEqual(['x']);
    expect(await handler.ended).toMatchObject({ closeCode: 1012 });
  });
});

describe('attaching', () => {
  it.each([
    ['nobody/handlers/remote', 'credit=1', 404, 'NO_MAP'],
    ['MAP/handlers/none', 'credit=1', 404, 'NO_HANDLER'],
    ['MAP/handlers/count', 'credit=1', 400, 'BAD_REQUEST'],
    ['MAP/handlers/no%20name', 'credit=1', 400, 'BAD_NAME'],
    ['MAP/handlers/remote', 'credit=x', 400, 'BAD_REQUEST'],
    ['MAP/handlers/remote', 'credit=4294967296', 400, 'BAD_REQUEST'],
    ['MAP/handlers/remote', 'credits=1', 400, 'BAD_REQUEST'],
    ['MAP/handlers/remote', 'client=a/b', 400, 'BAD_NAME'],
  ])('to %s with %s is refused with %i %s', async (path, query, status, key) => {
    const map = await remoteMap();
    const url = `${under.daemon.url.replace('http', 'ws')}/v1/maps/${path.replace('MAP', map)}/attach?${query}`;
    const refusal = await RawClient.refusal(url, { protocols: ['ringbuf.v1.handler'] });
    expect([refusal.status, refusal.body.code]).toEqual([status, `RINGBUFD_ERR_${key}`]);
  });

  it.each([[[]], [['ringbuf.v1']], [['ringbuf.v1.plain', 'ringbuf.v1.json']]])(
    'with the subprotocols %j is refused',
    async (protocols) => {
      const map = await remoteMap();
      const refusal = await RawClient.refusal(attachUrl(under.daemon.url, map, 'remote'), { protocols });
      expect([refusal.status, refusal.body.detail]).toEqual([
        400,
        'offer the subprotocol ringbuf.v1.handler',
      ]);
    },
  );

  it('and producing keep to their own subprotocols', async () => {
    const map = await remoteMap();
    const url = under.daemon.produceUrl(map);
    expect((await RawClient.refusal(url, { protocols: ['ringbuf.v1.handler'] })).status).toBe(400);
    const handler = await raw(map, 'credit=1', { protocols: ['ringbuf.v1', 'ringbuf.v1.handler'] });
    expect(handler.socket.protocol).toBe('ringbuf.v1.handler');
  });

  it('needs the scope drain for the map; a browser sees the close code', async () => {
    const sha = (token: string): Promise<ArrayBuffer> =>
      crypto.subtle.digest('SHA-256', new TextEncoder().encode(token));
    const hex = async (token: string): Promise<string> => Buffer.from(await sha(token)).toString('hex');
    const daemon = await startDaemon(
      {
        allowed_origins: ['https://page.test'],
        tokens: [
          { name: 'root', sha256: await hex('root'), scopes: ['admin'] },
          { name: 'worker', sha256: await hex('worker'), scopes: ['drain:ev*'] },
          { name: 'sensor', sha256: await hex('sensor'), scopes: ['produce:*', 'read:*', 'drain:other'] },
        ],
      },
      { token: 'root' },
    );
    cleanups.push(() => daemon.close());
    await daemon.rest.createMap('events');
    await daemon.rest.expect(201, 'PUT', '/v1/maps/events/handlers/remote', { kind: 'remote' });
    const options = { url: daemon.url, reconnect: false } as const;
    const onBatch: OnBatch = async () => 0;
    const worker = await handle('events', 'remote', onBatch, { ...options, token: 'worker' });
    expect(worker.active).toBe(true);
    await worker.close();
    await expect(handle('events', 'remote', onBatch, { ...options, token: 'sensor' })).rejects.toMatchObject({
      errno: 'EPERM',
      status: 403,
      message: expect.stringContaining('drain:events') as string,
    });
    await expect(handle('events', 'remote', onBatch, options)).rejects.toMatchObject({ status: 401 });
    const browser = await RawHandler.open(attachUrl(daemon.url, 'events', 'remote'), {
      origin: 'https://page.test',
    });
    expect(browser.closed).toMatchObject({ code: 4501 });
    expect(browser.socket.protocol).toBe('ringbuf.v1.handler');
  });

  it('counts towards the limit of connections, and gives its place back', async () => {
    const daemon = await startDaemon({ limits: { max_connections: 1 } });
    cleanups.push(() => daemon.close());
    await daemon.rest.createMap('m');
    await daemon.rest.expect(201, 'PUT', '/v1/maps/m/handlers/remote', { kind: 'remote' });
    const url = attachUrl(daemon.url, 'm', 'remote');
    const first = await RawHandler.open(url);
    expect((await RawClient.refusal(url, { protocols: ['ringbuf.v1.handler'] })).status).toBe(429);
    first.terminate();
    await until(() => daemon.app.daemon.connections.total === 0, 'the place is free');
    const second = await RawHandler.open(url);
    expect(second.attached!.role).toBe('active');
    second.terminate();
  });
});
