import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildApp } from '../../src/app.js';
import { configFromObject } from '../../src/server/config.js';
import { Op } from '../../src/wire/index.js';
import { pino } from 'pino';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { RawClient } from '../support/raw-client.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

const under = useDaemon({ drain: { backoff_min_ms: 5, backoff_max_ms: 20 } });

const putAuto = (map: string, kind = 'count', trigger: object = {}, config: object = {}) =>
  under.daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/auto`, {
    kind,
    config,
    trigger: { mode: 'auto', ...trigger },
  });
const stateOf = async (map: string): Promise<Record<string, unknown>> =>
  (await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/auto`)).state as Record<
    string,
    unknown
  >;

describe('an auto trigger in a running daemon', () => {
  it('drains what producers send, and wakes them as any drain does', async () => {
    const map = await under.newMap();
    await putAuto(map);
    const client = await under.client(map);
    client.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 0 });
    await client.expect(Op.DONE);
    await client.expect(Op.WAKEUP);
    client.output(1, ['a', 'b']);
    await client.expect(Op.ACK);
    expect(await client.expect(Op.WAKEUP)).toMatchObject({ drained: 2, seq: 1n, consumerPos: 32n });
    expect(await stateOf(map)).toEqual({ samples: 2, bytes: 2 });
  });

  it('takes its flags to every drain', async () => {
    const map = await under.newMap();
    await putAuto(map, 'count', { flags: ['BPF_RB_NO_WAKEUP'] });
    const client = await under.client(map);
    client.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 0 });
    await client.expect(Op.DONE);
    await client.expect(Op.WAKEUP);
    client.output(1, ['a']);
    await client.expect(Op.ACK);
    await until(async () => (await stateOf(map)).samples === 1);
    expect(await client.settle()).toEqual([]);
    expect((await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}`)).counters).toMatchObject({
      wakeups_suppressed: 1,
    });
  });

  it('whose handler fails keeps its samples, says so in its state, and goes on when it is mended', async () => {
    const map = await under.newMap();
    await putAuto(map);
    const { handler } = under.daemon.app.daemon.maps.get(map).handlers.get('auto');
    const { onSample } = handler as { onSample: unknown };
    Object.assign(handler, {
      onSample: () => {
        throw new Error('broken');
      },
    });
    const client = await under.client(map);
    client.output(1, ['a', 'b']);
    await client.expect(Op.ACK);
    const counters = () => under.daemon.app.daemon.maps.get(map).counters;
    await until(() => (counters().drainErrors.get('EIO') ?? 0) >= 3);
    expect(await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/auto`)).toMatchObject({
      auto: { state: 'backing_off' },
      last_error: { errno: 'EIO', message: 'broken' },
    });
    expect(counters().bufferedSamples).toBe(2);
    Object.assign(handler, { onSample });
    await until(async () => (await stateOf(map)).samples === 2);
    expect(await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/auto`)).toMatchObject({
      auto: { state: 'parked', backoff_ms: 0 },
      last_error: null,
    });
  });

  it('of a hot map starves neither a cold map nor /livez', async () => {
    const [hot, cold] = [await under.newMap({ max_entries: 2 ** 20 }), await under.newMap()];
    await putAuto(hot);
    await putAuto(cold);
    // A handler that takes its time: 20 µs a sample, so that draining the hot ring once takes about 0.3 s.
    const { handler } = under.daemon.app.daemon.maps.get(hot).handlers.get('auto');
    Object.assign(handler, {
      onSample: () => {
        const end = performance.now() + 0.02;
        while (performance.now() < end);
        return 0;
      },
    });
    const producer = await under.client(hot, 'on_full=block');
    const samples = new Array<string>(1000).fill('x'.repeat(50));
    let seq = 0;
    let sending = true;
    const flood = (async () => {
      while (sending) {
        producer.output(++seq, samples);
        await producer.expect(Op.ACK, 15_000);
      }
    })();
    const hotMap = under.daemon.app.daemon.maps.get(hot);
    await until(() => hotMap.counters.drainedSamples > 1000);

    const client = await under.client(cold);
    const livez: number[] = [];
    const coldDelays: number[] = [];
    for (let i = 1; i <= 15; i++) {
      const before = performance.now();
      expect((await under.daemon.rest.call('GET', '/livez')).status).toBe(200);
      livez.push(performance.now() - before);
      const sent = performance.now();
      client.output(i, ['cold']);
      await client.expect(Op.ACK);
      const coldMap = under.daemon.app.daemon.maps.get(cold);
      await until(() => coldMap.counters.drainedSamples === i);
      coldDelays.push(performance.now() - sent);
    }
    const stillHot = hotMap.counters.drainedSamples;
    sending = false;
    await flood;
    expect(stillHot).toBeGreaterThan(2000);
    const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;
    // A turn is 5 ms; the bounds leave room for a machine that is busy with other things.
    expect(median(livez)).toBeLessThan(100);
    expect(median(coldDelays)).toBeLessThan(150);
    expect(Math.max(...livez, ...coldDelays)).toBeLessThan(2000);
    await until(() => hotMap.ring.used === 0, 'the hot ring is empty', 15_000);
  });
});

describe('a shutdown', () => {
  it('drains what an auto trigger was still waiting to have more of, at once', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'ringbufd-shutdown-'));
    try {
      const { config } = configFromObject({
        listen: '127.0.0.1:0',
        data_dir: dataDir,
        maps: [
          {
            name: 'host',
            max_entries: 65536,
            handlers: [
              {
                name: 'f',
                kind: 'file',
                config: {},
                trigger: { mode: 'auto', flags: [], min_bytes: 32768, max_delay_ms: 60_000 },
              },
            ],
          },
        ],
      });
      const app = await buildApp(config, { logger: pino({ level: 'silent' }) });
      const { port } = await app.listen();
      const client = await RawClient.welcomed(`ws://127.0.0.1:${port}/v1/maps/host/produce`);
      client.output(1, ['last', 'words']);
      await client.expect(Op.ACK);
      const before = performance.now();
      await app.close({ graceMs: 10_000 });
      expect(performance.now() - before).toBeLessThan(5000);
      await client.expectClose(4412, 'EAGAIN');
      const text = await readFile(join(dataDir, 'out', 'host', 'f.ndjson'), 'utf8');
      expect(text).toBe('{"pos":"0","sample":"last"}\n{"pos":"16","sample":"words"}\n');
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });

  it('says in the log what a map without a trigger still held', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
    const daemon: TestDaemon = await startDaemon({}, { logger });
    await daemon.rest.createMap('m');
    await daemon.rest.send('POST', '/v1/maps/m/samples', 'x', { 'content-type': 'application/octet-stream' });
    await daemon.close();
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { map: 'm', samples: 1, bytes: 16, msg: 'a memory map is closed with samples in it' },
    ]);
  });
});
