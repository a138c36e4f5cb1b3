import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refusalReasons, type RefusalReason } from '../../src/server/map-counters.js';
import type { SocketEvents } from '../../src/server/session-socket.js';
import { buildOutputFrame, Op } from '../../src/wire/index.js';
import { stall } from '../api/stall.js';
import { assertConservation } from '../support/conservation.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { JournalStoreDouble } from '../support/journal-double.js';
import { ManualClock } from '../support/manual-clock.js';
import { RawClient, toBytes } from '../support/raw-client.js';
import { until } from '../support/until.js';

const journals = new JournalStoreDouble();
let daemon: TestDaemon;
let clock: ManualClock;
let clients: RawClient[] = [];

beforeAll(async () => {
  clock = new ManualClock({ realSoon: true });
  daemon = await startDaemon({ limits: { max_reservations_per_connection: 2 } }, { clock, journals });
});
afterAll(async () => {
  await assertConservation(daemon);
  await daemon.close();
});

const client = async (map: string, query = ''): Promise<RawClient> => {
  const opened = await RawClient.welcomed(daemon.produceUrl(map, query));
  clients.push(opened);
  return opened;
};
const octets = (map: string, body: string): Promise<unknown> =>
  daemon.rest.send('POST', `/v1/maps/${map}/samples`, body, { 'content-type': 'application/octet-stream' });
const records = (map: string, body: Uint8Array): Promise<unknown> =>
  daemon.rest.send('POST', `/v1/maps/${map}/samples`, body, {
    'content-type': 'application/vnd.ringbuf.records',
  });
const drain = (map: string, body: object): Promise<unknown> =>
  daemon.rest.call('POST', `/v1/maps/${map}/drain`, { handler: 'count', ...body });

/** One OUTPUT frame whose run is these bytes. */
function outputOf(seq: number, run: Uint8Array): Uint8Array {
  return Uint8Array.from([...buildOutputFrame(seq, []), ...run]);
}

/** A sample that the journal of a map cannot keep. */
async function withoutJournal(map: string, fault: 'ENOSPC' | 'EIO', state: string): Promise<void> {
  journals.of(map).fault = fault;
  const c = await client(map);
  c.output(1, ['x']);
  const journal = async (): Promise<unknown> =>
    (await daemon.rest.expect(200, 'GET', `/v1/maps/${map}`)).journal;
  await until(async () => (await journal()) === state, `the journal to be ${state}`);
}

/**
 * How each reason comes about: makes it happen `n` times on a map of 4096 bytes, and names the errno. A reason without a
 * row does not compile, and a row that moves another series than its own fails.
 */
const rows: Record<
  RefusalReason,
  {
    errno: string;
    mode?: 'direct';
    durability?: 'written';
    n: number;
    cause: (map: string) => Promise<void>;
    /** Of what conservation cannot be asked afterwards. */
    after?: (map: string) => Promise<unknown>;
  }
> = {
  ring_full: {
    errno: 'ENOSPC',
    n: 4,
    async cause(map) {
      await octets(map, 'x'.repeat(4000));
      await octets(map, 'x'.repeat(100));
      await octets(map, 'x'.repeat(100));
      const c = await client(map);
      c.output(1, ['x'.repeat(100)]);
      await c.expect(Op.ERROR);
      c.send({ op: Op.RESERVE, seq: 1n, size: 100 });
      await c.expect(Op.ERROR);
    },
  },
  journal: {
    errno: 'ENOSPC',
    durability: 'written',
    n: 3,
    async cause(map) {
      await withoutJournal(map, 'ENOSPC', 'full');
      await octets(map, 'x');
      const c = await client(map);
      c.output(1, ['x']);
      await c.expect(Op.ERROR);
      await drain(map, {});
    },
    after: async (map) => (journals.of(map).fault = undefined),
  },
  journal_failed: {
    errno: 'EIO',
    durability: 'written',
    n: 2,
    async cause(map) {
      await withoutJournal(map, 'EIO', 'failed');
      await octets(map, 'x');
      await drain(map, {});
    },
    after: (map) => daemon.rest.expect(204, 'DELETE', `/v1/maps/${map}`),
  },
  never_fits: {
    errno: 'E2BIG',
    n: 4,
    async cause(map) {
      await octets(map, 'x'.repeat(4089));
      const c = await client(map);
      c.output(1, ['x'.repeat(4089)]);
      await c.expect(Op.ERROR);
      c.send({ op: Op.RESERVE, seq: 1n, size: 4089 });
      await c.expect(Op.ERROR);
      c.send({ op: Op.WATCH, seq: 2n, on: true, minFree: 4097 });
      await c.expect(Op.ERROR);
    },
  },
  bad_run: {
    errno: 'EINVAL',
    n: 2,
    async cause(map) {
      await records(map, Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0, 65, 0, 0, 0, 0, 0, 0, 0));
      const c = await client(map);
      c.sendBytes(outputOf(1, Uint8Array.of(1, 0, 0, 0)));
      await c.expect(Op.ERROR);
    },
  },
  bad_frame: {
    errno: 'EPROTO',
    n: 1,
    async cause(map) {
      const c = await client(map);
      c.sendBytes(Uint8Array.of(0x7f, ...new Uint8Array(15)));
      await c.ended();
    },
  },
  sequence: {
    errno: 'EPROTO',
    n: 1,
    async cause(map) {
      const c = await client(map);
      c.output(5, ['gap']);
      await c.ended();
    },
  },
  ignored_after_error: {
    errno: 'EAGAIN',
    n: 3,
    async cause(map) {
      const c = await client(map);
      c.sendBytes(outputOf(1, Uint8Array.of(1, 0, 0, 0)));
      for (const seq of [2, 3, 4]) c.output(seq, ['later']);
      await c.settle();
      // The one that is open is another counter's business.
      daemon.app.daemon.maps.get(map).counters.refused.delete('EINVAL|bad_run');
    },
  },
  not_allowed: {
    errno: 'EPERM',
    mode: 'direct',
    n: 3,
    async cause(map) {
      await octets(map, 'x');
      const c = await client(map);
      c.output(1, ['x']);
      await c.expect(Op.ERROR);
      c.send({ op: Op.RESERVE, seq: 1n, size: 8 });
      await c.expect(Op.ERROR);
    },
  },
  bad_argument: {
    errno: 'EINVAL',
    mode: 'direct',
    n: 1,
    async cause(map) {
      const c = await client(map);
      c.send({ op: Op.WRITE, seq: 1n, offset: 8192n, bytes: Uint8Array.of(1) });
      await c.expect(Op.ERROR);
    },
  },
  reservation_unknown: {
    errno: 'ENOENT',
    n: 3,
    async cause(map) {
      const [a, b] = [await client(map), await client(map)];
      const position = await a.reserve(8);
      b.send({ op: Op.DISCARD, seq: 1n, position });
      await b.expect(Op.ERROR);
      a.send({ op: Op.SUBMIT, seq: 1n, position: position + 8n, payload: new Uint8Array(8) });
      await a.expect(Op.ERROR);
      a.send({ op: Op.DISCARD, seq: 2n, position });
      await a.expect(Op.DONE);
      a.send({ op: Op.DISCARD, seq: 3n, position });
      await a.expect(Op.ERROR);
    },
  },
  reservation_expired: {
    errno: 'ESTALE',
    n: 2,
    async cause(map) {
      const c = await client(map);
      const position = await c.reserve(8);
      clock.advance(30_000);
      c.send({ op: Op.SUBMIT, seq: 1n, position, payload: new Uint8Array(8) });
      await c.expect(Op.ERROR);
      c.send({ op: Op.DISCARD, seq: 2n, position });
      await c.expect(Op.ERROR);
    },
  },
  reservation_size: {
    errno: 'EINVAL',
    n: 1,
    async cause(map) {
      const c = await client(map);
      const position = await c.reserve(8);
      c.send({ op: Op.SUBMIT, seq: 1n, position, payload: new Uint8Array(7) });
      await c.expect(Op.ERROR);
    },
  },
  reservation_limit: {
    errno: 'ENOMEM',
    n: 1,
    async cause(map) {
      const c = await client(map);
      await c.reserve(8);
      await c.reserve(8);
      c.send({ op: Op.RESERVE, seq: 9n, size: 8 });
      await c.expect(Op.ERROR);
    },
  },
  fenced: {
    errno: 'EBUSY',
    n: 2,
    async cause(map) {
      const c = await client(map, 'producer=p');
      const [session] = daemon.app.daemon.maps.get(map).connections;
      // Read by ws after the daemon has closed the connection: the client has not heard of it yet.
      session!.disconnect('DISCONNECTED');
      const late = session as unknown as SocketEvents;
      for (const seq of [1, 2]) late.message(buildOutputFrame(seq, [toBytes('late')]), true);
      await c.ended();
    },
  },
  connection_lost: {
    errno: 'EIO',
    n: 1,
    async cause(map) {
      await octets(map, 'x'.repeat(4000));
      const c = await client(map, 'on_full=block');
      c.output(1, ['x'.repeat(200)]);
      await until(() => daemon.app.daemon.maps.get(map).waiting.length === 1);
      c.terminate();
      await until(() => daemon.app.daemon.maps.get(map).connections.size === 0);
    },
  },
  drain_busy: {
    errno: 'EBUSY',
    n: 2,
    async cause(map) {
      await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/f`, { kind: 'file' });
      const { started, release } = stall(daemon, map, 'f');
      await octets(map, 'x');
      const first = drain(map, { handler: 'f' });
      await started;
      await drain(map, {});
      await drain(map, {});
      release();
      await first;
    },
  },
  bad_flags: {
    errno: 'EINVAL',
    n: 2,
    async cause(map) {
      await drain(map, { flags: 4 });
      await drain(map, { flags: '18446744073709551615' });
    },
  },
  bad_ctx: {
    errno: 'EINVAL',
    n: 1,
    async cause(map) {
      await drain(map, { handler: 'capture', ctx: { stop: 1 } });
    },
  },
  handler_disabled: {
    errno: 'EAGAIN',
    n: 2,
    async cause(map) {
      await daemon.rest.expect(200, 'POST', `/v1/maps/${map}/handlers/count/disable`);
      await drain(map, {});
      await drain(map, {});
    },
  },
  dead_letter: {
    errno: 'ENOENT',
    n: 2,
    async cause(map) {
      // A webhook whose address is refused fails at once.
      await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/fails`, {
        kind: 'webhook',
        config: { url: 'http://localhost:1/' },
        on_error: { policy: 'dead_letter', map: 'nowhere', max_attempts: 1 },
      });
      await octets(map, 'a');
      await drain(map, { handler: 'fails' });
      await drain(map, { handler: 'fails' });
    },
  },
  map_busy: {
    errno: 'EBUSY',
    n: 2,
    async cause(map) {
      await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/f`, { kind: 'file' });
      const { started, release } = stall(daemon, map, 'f');
      await octets(map, 'x');
      const first = drain(map, { handler: 'f' });
      await started;
      await daemon.rest.call('DELETE', `/v1/maps/${map}`);
      await daemon.rest.call('DELETE', `/v1/maps/${map}`);
      release();
      await first;
    },
  },
  handler_changing: {
    errno: 'EBUSY',
    n: 3,
    async cause(map) {
      await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/f`, { kind: 'file' });
      const registered = daemon.app.daemon.maps.get(map).handlers.get('f');
      let close = (): void => undefined;
      registered.handler.close = () => new Promise((resolve) => (close = resolve));
      const removal = daemon.rest.call('DELETE', `/v1/maps/${map}/handlers/f`);
      await until(() => registered.retiring);
      await daemon.rest.call('PUT', `/v1/maps/${map}/handlers/f`, { kind: 'count' });
      await daemon.rest.call('DELETE', `/v1/maps/${map}/handlers/f`);
      await drain(map, { handler: 'f' });
      close();
      await removal;
    },
  },
};

const prometheus = async (): Promise<string[]> =>
  (await daemon.rest.call('GET', '/metrics')).text.split('\n').filter((line) => !line.startsWith('#'));

describe('everything that a map refuses or drops is counted', () => {
  it('has a row for every reason', () => {
    expect(Object.keys(rows).sort()).toEqual(Object.keys(refusalReasons).sort());
  });

  it.each(Object.entries(rows))('%s: its counter moves by exactly n, and no other', async (reason, row) => {
    const map = reason;
    const { mode = 'managed', durability = 'memory' } = row;
    await daemon.rest.createMap(map, { mode, durability });
    await row.cause(map);
    const refused = (await prometheus()).filter((line) =>
      line.startsWith(`ringbufd_refused_total{map="${map}"`),
    );
    expect(refused).toEqual([
      `ringbufd_refused_total{map="${map}",errno="${row.errno}",reason="${reason}"} ${row.n}`,
    ]);
    expect((await daemon.rest.showMap(map)).counters.refused).toEqual({ [`${row.errno}|${reason}`]: row.n });
    for (const opened of clients) opened.terminate();
    clients = [];
    await row.after?.(map);
  });
});

describe('every call that is answered with an error is counted by its code', () => {
  it.each([
    ['no_map', 'ENOENT', 'GET', '/v1/maps/nope', undefined],
    ['no_route', 'ENOENT', 'GET', '/nope', undefined],
    ['method_not_allowed', 'EINVAL', 'POST', '/livez', undefined],
    ['bad_name', 'EINVAL', 'GET', '/v1/maps/a%2Fb', undefined],
    ['bad_request', 'EINVAL', 'GET', '/v1/maps/%zz', undefined],
    ['bad_map_size', 'EINVAL', 'PUT', '/v1/maps/x', { max_entries: 1 }],
    ['map_too_big', 'E2BIG', 'PUT', '/v1/maps/x', { max_entries: 2 ** 40 }],
    [
      'durability',
      'EINVAL',
      'PUT',
      '/v1/maps/x',
      { max_entries: 4096, mode: 'direct', durability: 'synced' },
    ],
    ['media_type', 'EINVAL', 'PUT', '/v1/maps/x', undefined],
    ['upgrade_required', 'EPROTO', 'GET', '/v1/maps/x/produce', undefined],
  ] as const)('%s', async (reason, errno, method, path, body) => {
    const series = `ringbufd_requests_refused_total{surface="http",reason="${reason}",errno="${errno}"} `;
    const count = async (): Promise<number> =>
      Number((await prometheus()).find((line) => line.startsWith(series))?.slice(series.length) ?? 0);
    const before = await count();
    for (let i = 0; i < 3; i++) await daemon.rest.call(method, path, body);
    expect(await count()).toBe(before + 3);
  });
});
