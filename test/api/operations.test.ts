import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Op } from '../../src/wire/index.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';
import { expectProblem } from './problem.js';
import { stall } from './stall.js';

const under = useDaemon();

describe('GET /livez and /readyz', () => {
  it('answer while the daemon serves', async () => {
    expect(await under.daemon.rest.expect(200, 'GET', '/livez')).toEqual({ status: 'live' });
    expect(await under.daemon.rest.expect(200, 'GET', '/readyz')).toEqual({ status: 'ready' });
  });
});

describe('GET /v1/maps/{map}/produce over plain HTTP', () => {
  it('says that it is a WebSocket', async () => {
    const map = await under.newMap();
    const answer = await under.daemon.rest.call('GET', `/v1/maps/${map}/produce`);
    expectProblem(answer, 'UPGRADE_REQUIRED', { status: 426 });
    expect(answer.headers.upgrade).toBe('websocket');
  });
});

describe('GET /v1/maps/{map}/producers', () => {
  it('shows who is connected', async () => {
    const map = await under.newMap();
    const { rest } = under.daemon;
    expect(await rest.expect(200, 'GET', `/v1/maps/${map}/producers`)).toEqual({ producers: [] });
    const named = await under.client(map, 'producer=p1&on_full=block');
    named.output(1, ['ab', 'c']);
    await named.expect(Op.ACK);
    await named.reserve(8);
    await under.open(map, '', { protocols: [] });
    expect(await rest.expect(200, 'GET', `/v1/maps/${map}/producers`)).toEqual({
      producers: [
        {
          id: 'p1',
          producer: 'p1',
          token: 'anonymous',
          subprotocol: 'ringbuf.v1',
          on_full: 'block',
          remote_address: '127.0.0.1',
          connected_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
          last_seq: '1',
          partial: 0,
          acked_seq: '1',
          acked_pos: '32',
          accepted_samples: 2,
          accepted_bytes: 32,
          open_reservations: 1,
          waiting_for_room: false,
          queued_bytes: 0,
        },
        expect.objectContaining({
          id: expect.stringMatching(/^~\d+$/) as string,
          producer: null,
          subprotocol: 'ringbuf.v1.plain',
          last_seq: '0',
        }),
      ],
    });
  });
});

describe('DELETE /v1/maps/{map}/producers/{producer}', () => {
  it('disconnects a producer by its id, and an anonymous one by its label, with 4507', async () => {
    const map = await under.newMap();
    const named = await under.client(map, 'producer=p1');
    const anonymous = await under.client(map);
    const { producers } = (await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/producers`)) as {
      producers: { id: string }[];
    };
    for (const { id } of producers)
      await under.daemon.rest.expect(204, 'DELETE', `/v1/maps/${map}/producers/${id}`);
    await named.expectClose(4507, 'EPERM');
    await anonymous.expectClose(4507, 'EPERM');
    expect(await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/producers`)).toEqual({
      producers: [],
    });
  });

  it('answers 404 for one that is not connected, and 400 for what is no id', async () => {
    const map = await under.newMap();
    const path = `/v1/maps/${map}/producers`;
    expectProblem(await under.daemon.rest.call('DELETE', `${path}/p1`), 'NO_PRODUCER', { status: 404 });
    expectProblem(await under.daemon.rest.call('DELETE', `${path}/~7`), 'NO_PRODUCER', { status: 404 });
    expectProblem(await under.daemon.rest.call('DELETE', `${path}/a%2Fb`), 'BAD_NAME', { status: 400 });
  });
});

describe('a daemon that shuts down', () => {
  /** A daemon in the middle of its shutdown, held up by a drain. */
  async function inShutdown(test: (daemon: TestDaemon) => Promise<void>): Promise<void> {
    const daemon = await startDaemon();
    await daemon.rest.createMap('m');
    await daemon.rest.expect(201, 'PUT', '/v1/maps/m/handlers/f', { kind: 'file' });
    const { started, release } = stall(daemon, 'm', 'f');
    const sample = { 'content-type': 'application/octet-stream' };
    await daemon.rest.send('POST', '/v1/maps/m/samples', 'x', sample);
    const drain = daemon.rest.call('POST', '/v1/maps/m/drain', { handler: 'f' });
    await started;
    const closed = daemon.app.close({ graceMs: 5000 });
    try {
      await test(daemon);
    } finally {
      release();
      expect((await drain).body).toMatchObject({ ret: 1 });
      await closed;
      await daemon.close();
    }
  }

  it('is live, not ready, can be looked at, and takes no samples, drains or changes', async () => {
    await inShutdown(async ({ rest }) => {
      expect((await rest.call('GET', '/livez')).status).toBe(200);
      expectProblem(await rest.call('GET', '/readyz'), 'SHUTTING_DOWN', { status: 503 });
      for (const path of ['/metrics', '/v1/metrics', '/v1/maps', '/v1/maps/m', '/v1/maps/m/samples'])
        expect((await rest.call('GET', path)).status, path).toBe(200);
      const sample = { 'content-type': 'application/octet-stream' };
      const refused = [
        await rest.send('POST', '/v1/maps/m/samples', 'y', sample),
        await rest.call('POST', '/v1/maps/m/drain', { handler: 'count' }),
        await rest.call('PUT', '/v1/maps/n', { max_entries: 4096 }),
        await rest.call('DELETE', '/v1/maps/m'),
        await rest.call('PUT', '/v1/maps/m/handlers/h', { kind: 'count' }),
        await rest.call('DELETE', '/v1/maps/m/handlers/count'),
      ];
      for (const answer of refused)
        expectProblem(answer, 'SHUTTING_DOWN', { status: 503, retryAfterMs: 1000 });
    });
  });
});

describe('GET', () => {
  it('never changes state, however often it is called', async () => {
    const map = await under.newMap();
    const { rest } = under.daemon;
    const client = await under.client(map, 'producer=p');
    client.output(1, ['a', 'b']);
    await client.expect(Op.ACK);
    await client.reserve(8);
    client.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 4096 });
    await client.expect(Op.DONE);
    await rest.drain(map, 'capture', { ctx: { stop_after: 1 }, flags: 1 });
    const paths = under.daemon.app.fastify.routeList
      .filter(({ method, url }) => method === 'GET' && !url.startsWith('/docs'))
      .map(({ url }) => url.replace(':map', map).replace(':handler', 'capture'));
    expect(paths.length).toBeGreaterThan(10);
    const look = async (): Promise<Record<string, string>> => {
      const seen: Record<string, string> = {};
      for (const path of paths) {
        const { status, text } = await rest.call('GET', path);
        seen[path] = `${status} ${withoutTime(text)}`;
      }
      return seen;
    };
    await look();
    const first = await look();
    expect(await look()).toEqual(first);
  });
});

/** Ages, times, and the numbers of the process itself go on while one looks; so does the count of 426 answers. */
function withoutTime(text: string): string {
  return (
    text
      .replace(/"oldest_age_ms":[\d.]+/g, '"oldest_age_ms":0')
      // Whole lines: Node's own series come and go, and would leave a different number of empty ones.
      .replace(/^(ringbufd_(oldest|event_loop|requests_refused)|process_|nodejs_|# ).*\n/gm, '')
      .replace(
        /"(ringbufd_(oldest|event_loop|requests_refused)|process|nodejs)_[a-z0-9_]+":\[.*?\](?=,"|})/g,
        '',
      )
  );
}

describe('metrics', () => {
  const prometheus = async (): Promise<Map<string, number>> => {
    const answer = await under.daemon.rest.call('GET', '/metrics');
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    const series = new Map<string, number>();
    for (const line of answer.text.split('\n')) {
      const match = /^([a-z_]+)(\{.*\})? (\S+)$/.exec(line);
      if (match) series.set(`${match[1]}${match[2] ?? ''}`, Number(match[3]));
    }
    return series;
  };

  it('are the same numbers as text and as JSON', async () => {
    const map = await under.newMap();
    const client = await under.client(map);
    client.output(1, ['a', 'b', 'c']);
    await client.expect(Op.ACK);
    await under.daemon.rest.drain(map, 'capture', { ctx: { stop_after: 1 } });
    const text = await prometheus();
    const { metrics } = (await under.daemon.rest.expect(200, 'GET', '/v1/metrics')) as {
      metrics: Record<string, { labels: Record<string, string | number>; value: number | null }[]>;
    };
    const json = new Map(
      Object.entries(metrics).flatMap(([name, values]) =>
        values.map(({ labels, value }) => {
          const pairs = Object.entries(labels).map(([label, of]) => `${label}="${of}"`);
          return [`${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''}`, value] as const;
        }),
      ),
    );
    const steady = [...text].filter(
      ([name]) => name.startsWith('ringbufd_') && !/oldest_sample_age|event_loop_delay/.test(name),
    );
    expect(steady.length).toBeGreaterThan(40);
    for (const [name, value] of steady) expect(json.get(name), name).toBe(value);
    expect(Object.keys(metrics)).toEqual(
      expect.arrayContaining(['ringbufd_oldest_sample_age_seconds', 'ringbufd_event_loop_delay_seconds']),
    );
  });

  it('count the syncs of a journal, which only a synced map has, the commits that the event loop carries out, of a written one, and the time of both', async () => {
    const { rest } = under.daemon;
    for (const durability of ['memory', 'written', 'synced'] as const) {
      await rest.createMap(durability, { durability });
      await rest.send('POST', `/v1/maps/${durability}/samples`, 'a sample', {
        'content-type': 'application/octet-stream',
      });
    }
    const series = await prometheus();
    const of = (name: string, map: string): number =>
      series.get(`ringbufd_journal_${name}_total{map="${map}"}`)!;
    for (const map of ['memory', 'written'])
      expect([of('syncs', map), of('sync_seconds', map)], map).toEqual([0, 0]);
    expect(of('commits', 'synced')).toBeGreaterThan(0);
    expect(of('syncs', 'synced')).toBe(of('commits', 'synced'));
    expect(of('sync_seconds', 'synced')).toBeGreaterThan(0);
    // Who carries the commits out.
    for (const map of ['memory', 'synced'])
      expect([of('loop_commits', map), of('loop_write_seconds', map)], map).toEqual([0, 0]);
    expect(of('commits', 'written')).toBeGreaterThan(0);
    expect(of('loop_commits', 'written')).toBe(of('commits', 'written'));
    expect(of('loop_write_seconds', 'written')).toBeGreaterThan(0);
  });

  it('follow what happens to a map, one by one', async () => {
    const map = await under.newMap();
    const value = async (name: string, labels = ''): Promise<number | undefined> =>
      (await prometheus()).get(`ringbufd_${name}{map="${map}"${labels}}`);
    const client = await under.client(map);
    client.output(1, ['a'.repeat(8), 'b'.repeat(8)]);
    await client.expect(Op.ACK);
    const position = await client.reserve(8);
    client.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 4096 });
    await client.expect(Op.DONE);
    expect(await value('samples_accepted_total')).toBe(3);
    expect(await value('accepted_bytes_total')).toBe(48);
    expect(await value('frames_accepted_total')).toBe(1);
    expect(await value('reservations_total')).toBe(1);
    expect(await value('reservations_open')).toBe(1);
    expect(await value('samples_buffered')).toBe(3);
    expect(await value('ring_used_bytes')).toBe(48);
    expect(await value('ring_size_bytes')).toBe(4096);
    expect(await value('ring_fill_ratio')).toBe(48 / 4096);
    expect(await value('oldest_sample_age_seconds')).toBeGreaterThan(0);
    expect(await value('producers_connected')).toBe(1);
    expect(await value('watchers')).toBe(1);
    expect(await value('handlers')).toBe(2);

    // Verdict 1; woken nobody, since 4096 bytes are not free.
    await under.daemon.rest.drain(map, 'capture', { ctx: { stop_after: 1 } });
    expect(await value('drains_total')).toBe(1);
    expect(await value('drains_stopped_total')).toBe(1);
    expect(await value('samples_drained_total')).toBe(1);
    expect(await value('released_bytes_total')).toBe(16);
    expect(await value('wakeups_unmet_total')).toBe(1);
    expect(await value('wakeups_sent_total')).toBe(0);

    await under.daemon.rest.drain(map, 'count', { flags: ['BPF_RB_NO_WAKEUP'] });
    expect(await value('wakeups_suppressed_total')).toBe(1);
    await under.daemon.rest.drain(map, 'count', { flags: ['BPF_RB_FORCE_WAKEUP'] });
    expect(await value('wakeups_forced_total')).toBe(1);
    expect(await value('wakeups_sent_total')).toBe(1);

    client.send({ op: Op.DISCARD, seq: 2n, position });
    await until(async () => (await value('reservations_open')) === 0);
    await under.daemon.rest.drain(map, 'count');
    expect(await value('samples_discarded_total')).toBe(1);
    expect(await value('released_bytes_total')).toBe(48);
    expect(await value('samples_buffered')).toBe(0);
    expect(await value('drain_duration_seconds_count', ',handler="count"')).toBe(3);
    expect(await value('drain_duration_seconds_count', ',handler="capture"')).toBe(1);
    expect(await value('drain_duration_seconds_sum', ',handler="count"')).toBeGreaterThan(0);
  });

  it('forget a map that is deleted, and a handler that is deleted', async () => {
    const map = await under.newMap();
    const { rest } = under.daemon;
    const about = async (label: string): Promise<string[]> =>
      [...(await prometheus()).keys()].filter((name) => name.includes(label));
    await rest.drain(map, 'count');
    await rest.drain(map, 'capture');
    expect(await about(`map="${map}"`)).not.toEqual([]);
    expect(await about('handler="count"')).not.toEqual([]);
    await rest.expect(204, 'DELETE', `/v1/maps/${map}/handlers/count`);
    expect(await about('handler="count"')).toEqual([]);
    expect(await about('handler="capture"')).not.toEqual([]);
    await rest.expect(204, 'DELETE', `/v1/maps/${map}`);
    expect(await about(`map="${map}"`)).toEqual([]);
  });

  it('show how late the event loop was', async () => {
    const delay = async (): Promise<number> =>
      (await prometheus()).get('ringbufd_event_loop_delay_seconds{quantile="1"}')!;
    // The histogram notices a block at its next tick.
    await until(async () => {
      const end = performance.now() + 120;
      while (performance.now() < end);
      await sleep(30);
      return (await delay()) >= 0.1;
    });
    expect(await delay()).toBeLessThan(5);
  });
});
