import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../../support/daemon.js';

let dataDir: string;
let running: TestDaemon[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ringbufd-registry-'));
  running = [];
});
afterEach(async () => {
  for (const daemon of running) await daemon.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const start = async (config: Record<string, unknown> = {}): Promise<TestDaemon> => {
  const daemon = await startDaemon({ data_dir: dataDir, ...config });
  running.push(daemon);
  return daemon;
};
const stop = async (daemon: TestDaemon): Promise<void> => {
  running = running.filter((other) => other !== daemon);
  await daemon.close();
};
const file = (): string => join(dataDir, 'registry.json');
const content = () =>
  JSON.parse(readFileSync(file(), 'utf8')) as {
    maps: { name: string; handlers: { name: string }[] }[];
    handlers: unknown[];
  };
const failure = (config: Record<string, unknown> = {}): Promise<{ code: string; detail: string }> =>
  start(config).then(
    () => Promise.reject(new Error('it started')),
    (error: unknown) => error as { code: string; detail: string },
  );

describe('the registry', () => {
  it('brings back maps and handlers that were made over REST, empty and with a new incarnation', async () => {
    const first = await start();
    await first.rest.expect(201, 'PUT', '/v1/maps/m', { max_entries: 8192, ledger: 'hash' });
    const trigger = { mode: 'auto', flags: ['BPF_RB_NO_WAKEUP'], min_bytes: 4096, max_delay_ms: 7000 };
    await first.rest.expect(201, 'PUT', '/v1/maps/m/handlers/look', {
      kind: 'capture',
      config: { max: 5 },
      trigger,
    });
    await first.rest.send('POST', '/v1/maps/m/samples', 'x', { 'content-type': 'application/octet-stream' });
    const before = await first.rest.showMap('m');
    await stop(first);

    const second = await start();
    const after = await second.rest.expect(200, 'GET', '/v1/maps/m');
    expect(after).toMatchObject({ max_entries: 8192, ledger: 'hash', producer_pos: '0', handlers: ['look'] });
    expect(after.incarnation).not.toBe(before.incarnation);
    expect(await second.rest.expect(200, 'GET', '/v1/maps/m/handlers/look')).toMatchObject({
      kind: 'capture',
      config: { max: 5, head_bytes: 16 },
      trigger,
    });
  });

  it('forgets what was deleted', async () => {
    const first = await start();
    await first.rest.createMap('a');
    await first.rest.createMap('b');
    await first.rest.expect(204, 'DELETE', '/v1/maps/a');
    await first.rest.expect(204, 'DELETE', '/v1/maps/b/handlers/count');
    await stop(first);
    const { rest } = await start();
    expect((await rest.call('GET', '/v1/maps/a')).status).toBe(404);
    expect(await rest.expect(200, 'GET', '/v1/maps/b')).toMatchObject({ handlers: ['capture'] });
  });

  it('has everything on the disk that was answered, however many ask at once', async () => {
    const { rest } = await start();
    await Promise.all(
      Array.from({ length: 20 }, async (_, number) => {
        await rest.expect(201, 'PUT', `/v1/maps/m${number}`, { max_entries: 4096 });
        expect(content().maps.map(({ name }) => name)).toContain(`m${number}`);
      }),
    );
    expect(content().maps).toHaveLength(20);
  });

  it('keeps secrets where only the daemon reads them, and shows them nowhere else', async () => {
    const secret = 'a secret of some length';
    const first = await start();
    await first.rest.createMap('m');
    await first.rest.expect(201, 'PUT', '/v1/maps/m/handlers/push', {
      kind: 'webhook',
      config: { url: 'https://example.org/in', secret },
    });
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    await stop(first);
    const { rest } = await start();
    const { text } = await rest.call('GET', '/v1/maps/m/handlers/push');
    expect(text).toContain('***');
    expect(text).not.toContain(secret);
    expect(readFileSync(file(), 'utf8')).toContain(secret);
  });

  it('gives way to what the configuration declares', async () => {
    const first = await start();
    await first.rest.createMap('m', { max_entries: 8192 });
    await stop(first);
    const declared = {
      maps: [{ name: 'm', max_entries: 4096, handlers: [{ name: 'count', kind: 'capture' }] }],
    };
    const second = await start(declared);
    expect(await second.rest.expect(200, 'GET', '/v1/maps/m')).toMatchObject({
      max_entries: 4096,
      handlers: ['count', 'capture'],
    });
    expect(await second.rest.expect(200, 'GET', '/v1/maps/m/handlers/count')).toMatchObject({
      kind: 'capture',
    });
    // Only the handler that the configuration does not have is kept now.
    expect(content()).toMatchObject({ maps: [], handlers: [{ map: 'm', handlers: [{ name: 'capture' }] }] });
    await stop(second);
    expect(await (await start(declared)).rest.expect(200, 'GET', '/v1/maps/m')).toMatchObject({
      handlers: ['count', 'capture'],
    });
  });

  it('brings back what a handler does when it fails, and that it is disabled', async () => {
    const first = await start();
    await first.rest.createMap('m');
    const onError = { policy: 'dead_letter', map: 'lost', max_attempts: 2, backoff_min_ms: 7 };
    await first.rest.expect(201, 'PUT', '/v1/maps/m/handlers/own', { kind: 'count', on_error: onError });
    await first.rest.expect(200, 'POST', '/v1/maps/m/handlers/own/disable');
    await stop(first);
    const second = await start();
    expect(await second.rest.expect(200, 'GET', '/v1/maps/m/handlers/own')).toMatchObject({
      on_error: { ...onError, backoff_max_ms: 30_000 },
      enabled: false,
      status: 'disabled',
    });
    expect(await second.rest.call('POST', '/v1/maps/m/drain', { handler: 'own' })).toMatchObject({
      status: 409,
      body: { code: 'RINGBUFD_ERR_HANDLER_DISABLED' },
    });
    await second.rest.expect(200, 'POST', '/v1/maps/m/handlers/own/enable');
    await stop(second);
    const { rest } = await start();
    expect(await rest.expect(200, 'GET', '/v1/maps/m/handlers/own')).toMatchObject({
      enabled: true,
      status: 'running',
    });
  });

  it('leaves it to the configuration whether a handler that it declares is enabled after a restart', async () => {
    const declared = (enabled: boolean) => ({
      maps: [{ name: 'm', max_entries: 4096, handlers: [{ name: 'h', kind: 'count', enabled }] }],
    });
    const isEnabled = async ({ rest }: TestDaemon): Promise<unknown> =>
      (await rest.expect(200, 'GET', '/v1/maps/m/handlers/h')).enabled;
    const first = await start(declared(true));
    await first.rest.expect(200, 'POST', '/v1/maps/m/handlers/h/disable');
    expect(await isEnabled(first)).toBe(false);
    await stop(first);
    const second = await start(declared(true));
    expect(await isEnabled(second)).toBe(true);
    await stop(second);
    const third = await start(declared(false));
    expect(await isEnabled(third)).toBe(false);
    await third.rest.expect(200, 'POST', '/v1/maps/m/handlers/h/enable');
    await stop(third);
    expect(await isEnabled(await start(declared(false)))).toBe(false);
  });

  it('keeps a handler that cannot be restored, until it is put again or deleted', async () => {
    const handlers = join(dataDir, 'handlers');
    mkdirSync(handlers);
    writeFileSync(join(handlers, 'own.mjs'), 'export default () => 0;');
    const first = await start({ handlers_dir: handlers });
    await first.rest.createMap('m');
    const body = { kind: 'module', config: { file: 'own.mjs' } };
    await first.rest.expect(201, 'PUT', '/v1/maps/m/handlers/own', body);
    await stop(first);
    const second = await start();
    expect(await second.rest.expect(200, 'GET', '/v1/maps/m')).toMatchObject({
      handlers: ['count', 'capture'],
    });
    await second.rest.expect(204, 'DELETE', '/v1/maps/m/handlers/count');
    await stop(second);
    const third = await start({ handlers_dir: handlers });
    expect(await third.rest.expect(200, 'GET', '/v1/maps/m')).toMatchObject({
      handlers: ['capture', 'own'],
    });
    await stop(third);
    const fourth = await start();
    await fourth.rest.expect(204, 'DELETE', '/v1/maps/m/handlers/own');
    expect((await fourth.rest.call('DELETE', '/v1/maps/m/handlers/own')).status).toBe(404);
    expect(content().maps[0]!.handlers).toMatchObject([{ name: 'capture' }]);
  });

  it.each([
    ['is empty', ''],
    ['is cut off', '{"format":1,"maps":[{"name":"m",'],
    ['has another format', '{"format":2,"maps":[]}'],
    ['has no object', 'null'],
    ['has a map without a size', '{"format":1,"maps":[{"name":"m"}]}'],
    ['has an unknown key', '{"format":1,"maps":[],"more":1}'],
  ])('stops the start, and is left as it is, when it %s', async (_, text) => {
    writeFileSync(file(), text);
    const { code, detail } = await failure();
    expect(code).toBe('RINGBUFD_ERR_REGISTRY_DAMAGED');
    expect(detail).toContain(file());
    expect(readFileSync(file(), 'utf8')).toBe(text);
  });

  it('stops the start when the data directory cannot be written', async () => {
    writeFileSync(join(dataDir, 'in-the-way'), '');
    const { code, detail } = await failure({ data_dir: join(dataDir, 'in-the-way') });
    expect(code).toBe('RINGBUFD_ERR_DATA_DIR_UNUSABLE');
    expect(detail).toMatch(/in-the-way: E(EXIST|NOTDIR)/);
  });

  it('tells whoever asked when it cannot be written, and takes the same call again', async () => {
    const { rest } = await start();
    rmSync(dataDir, { recursive: true });
    writeFileSync(dataDir, '');
    const answer = await rest.call('PUT', '/v1/maps/m', { max_entries: 4096 });
    expect([answer.status, answer.body.code, answer.body.retryable]).toEqual([
      500,
      'RINGBUFD_ERR_REGISTRY_NOT_WRITTEN',
      true,
    ]);
    rmSync(dataDir);
    await rest.expect(200, 'PUT', '/v1/maps/m', { max_entries: 4096 });
    expect(content().maps).toMatchObject([{ name: 'm' }]);
  });
});
