import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { attachUrl, RawHandler } from '../support/raw-handler.js';
import type { RestAnswer } from '../support/rest.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';
import { answer, Receiver } from '../server/handlers/webhook-receiver.js';
import { expectProblem } from './problem.js';
import { stall } from './stall.js';

const folder = mkdtempSync(join(tmpdir(), 'ringbufd-swap-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const under = useDaemon({ handlers_dir: folder, webhooks: { allow: ['127.0.0.1'] } });
const receivers: Receiver[] = [];
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.stop();
});

const auto = { mode: 'auto' };
const path = (map: string, handler = 'h'): string => `/v1/maps/${map}/handlers/${handler}`;
const put = (map: string, body: Record<string, unknown>, handler = 'h'): Promise<RestAnswer> =>
  under.daemon.rest.call('PUT', path(map, handler), body);
const registered = (map: string) => under.daemon.app.daemon.maps.get(map).handlers.get('h');

async function store(map: string, ...samples: string[]): Promise<void> {
  const answered = await under.daemon.rest.send('POST', `/v1/maps/${map}/samples`, samples.join('\n'), {
    'content-type': 'application/x-ndjson',
  });
  expect(answered.status).toBe(200);
}

const shown = async (map: string): Promise<Record<string, unknown>> =>
  (await under.daemon.rest.expect(200, 'GET', path(map))).state as Record<string, unknown>;
/** First bytes of what a capture handler holds, as text. */
const captured = async (map: string): Promise<string[]> =>
  ((await shown(map)).samples as { head: string }[]).map(({ head }) => Buffer.from(head, 'hex').toString());
const drained = async (map: string): Promise<number> =>
  (await under.daemon.rest.showMap(map)).counters.drained_samples;

/** A map whose auto handler "h" is a `file` that is stopped in the middle of its first run, of two samples out of five. */
async function stalledMap(): Promise<{ map: string; release: () => void }> {
  const map = await under.newMap();
  await under.daemon.rest.expect(201, 'PUT', path(map), {
    kind: 'file',
    config: { name: 'out.ndjson' },
    trigger: auto,
  });
  Object.assign(registered(map).handler, { maxRunBytes: 2 });
  const { started, release } = stall(under.daemon, map, 'h');
  await store(map, 'a', 'b', 'c', 'd', 'e');
  await started;
  return { map, release };
}

describe('a PUT over a handler through which a drain is under way', () => {
  it('takes effect behind the batch at hand: the old one answers for it, the new one gets the rest, by itself', async () => {
    const { map, release } = await stalledMap();
    const swap = put(map, { kind: 'capture', config: { keep: 'first' }, trigger: auto });
    await until(() => registered(map).retiring);
    release();
    expect((await swap).status).toBe(200);
    await until(async () => (await drained(map)) === 5);
    expect(await captured(map)).toEqual(['c', 'd', 'e']);
    const written = await readFile(join(under.daemon.dataDir, 'out', map, 'out.ndjson'), 'utf8');
    expect(written.trim().split('\n')).toEqual(['{"pos":"0","sample":"a"}', '{"pos":"16","sample":"b"}']);
    await store(map, 'f');
    await until(async () => (await captured(map)).length === 4);
  });

  it('shows the old one until then, and refuses drains through it and a second change of it', async () => {
    const { map, release } = await stalledMap();
    const swap = put(map, { kind: 'count', trigger: auto });
    await until(() => registered(map).retiring);
    expect(await under.daemon.rest.expect(200, 'GET', path(map))).toMatchObject({ kind: 'file' });
    expectProblem(await put(map, { kind: 'count' }), 'HANDLER_CHANGING', { status: 409 });
    expectProblem(await under.daemon.rest.call('DELETE', path(map)), 'HANDLER_CHANGING', { status: 409 });
    expect((await put(map, { kind: 'count' }, 'another')).status).toBe(201);
    expectProblem(await put(map, { kind: 'count', trigger: auto }, 'third'), 'AUTO_TAKEN');
    release();
    expect((await swap).body).toMatchObject({ kind: 'count' });
    await until(async () => (await drained(map)) === 5);
    expect(await shown(map)).toEqual({ samples: 3, bytes: 3 });
  });

  it('flushes the old one before the new one is called: they may write the same file', async () => {
    const { map, release } = await stalledMap();
    let closed = (): void => undefined;
    const { handler } = registered(map);
    const close = handler.close.bind(handler);
    handler.close = async () => {
      await new Promise<void>((resolve) => (closed = resolve));
      await close();
    };
    const swap = put(map, { kind: 'file', config: { name: 'out.ndjson' }, trigger: auto });
    release();
    await until(async () => (await drained(map)) === 2);
    const busy = await under.daemon.rest.call('POST', `/v1/maps/${map}/drain`, { handler: 'h' });
    expectProblem(busy, 'DRAIN_BUSY', { extra: { ...busy.body, ret: -16 } });
    closed();
    expect((await swap).status).toBe(200);
    await until(async () => (await drained(map)) === 5);
    const written = await readFile(join(under.daemon.dataDir, 'out', map, 'out.ndjson'), 'utf8');
    expect(written.match(/"sample":"."/g)).toHaveLength(5);
  });

  it('changes nothing when the new one is refused', async () => {
    const { map, release } = await stalledMap();
    const refused = { kind: 'wasm', config: { module: 'AAAA' }, trigger: auto };
    expectProblem(await put(map, refused), 'HANDLER_CONFIG');
    expectProblem(await put(map, { kind: 'file', config: { keep: -1 } }), 'HANDLER_CONFIG');
    release();
    await until(async () => (await drained(map)) === 5);
    expect(await shown(map)).toMatchObject({ samples: 5 });
  });
});

describe('a DELETE of a handler through which a drain is under way', () => {
  it('takes effect behind the batch at hand: the rest stays in the ring', async () => {
    const { map, release } = await stalledMap();
    const removal = under.daemon.rest.call('DELETE', path(map));
    await until(() => registered(map).retiring);
    release();
    expect((await removal).status).toBe(204);
    const { counters } = await under.daemon.rest.showMap(map);
    expect(counters).toMatchObject({ drained_samples: 2, buffered_samples: 3 });
    expect((await put(map, { kind: 'count', trigger: auto })).status).toBe(201);
    await until(async () => (await drained(map)) === 5);
  });
});

describe('a swap, kind by kind', () => {
  it('webhook: ends its pauses between attempts; the batch that was not delivered goes to the new one', async () => {
    const [broken, sound] = [
      await Receiver.start({ behaviours: [answer(500)] }),
      await Receiver.start({ behaviours: [answer(200)] }),
    ];
    receivers.push(broken, sound);
    const map = await under.newMap();
    const config = { budget_ms: 600_000, backoff_min_ms: 60_000, backoff_max_ms: 60_000, max_attempts: 10 };
    await put(map, { kind: 'webhook', config: { ...config, url: broken.url() }, trigger: auto });
    await store(map, 'a', 'b');
    await until(() => broken.requests.length === 1);
    expect((await put(map, { kind: 'webhook', config: { url: sound.url() }, trigger: auto })).status).toBe(
      200,
    );
    await until(async () => (await drained(map)) === 2);
    expect([broken.requests.length, sound.requests.map(({ body }) => body.toString())]).toEqual([
      1,
      ['{"pos":"0","sample":"a"}\n{"pos":"16","sample":"b"}\n'],
    ]);
  });

  it('remote: the delivery on its way is still answered for, its client told to attach anew', async () => {
    const map = await under.newMap();
    await put(map, { kind: 'remote', config: { max_batch_bytes: 32 }, trigger: auto });
    const client = await RawHandler.open(attachUrl(under.daemon.url, map, 'h', 'credit=4096'));
    await store(map, 'a', 'b', 'c', 'd', 'e');
    const { number, samples } = await client.next();
    expect(samples).toEqual(['a', 'b']);
    const swap = put(map, { kind: 'capture', trigger: auto });
    await until(() => registered(map).retiring);
    client.answer(number, 2);
    expect((await swap).status).toBe(200);
    expect(await until(() => client.closed)).toMatchObject({ code: 1012 });
    await until(async () => (await drained(map)) === 5);
    expect([client.deliveries.length, await captured(map)]).toEqual([1, ['c', 'd', 'e']]);
  });

  it('module: the thread ends its drain behind the sample at hand', async () => {
    // Answers for a sample once its file is there: the test decides when.
    writeFileSync(
      join(folder, 'gate.mjs'),
      `import { existsSync } from 'node:fs';
       export default (sample, ctx) => {
         ctx.log('info', 'at ' + Buffer.from(sample));
         while (!existsSync(ctx.options + '-' + Buffer.from(sample))) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
         return 0;
       };`,
    );
    const gate = join(folder, 'gate');
    const map = await under.newMap();
    const config = { file: 'gate.mjs', options: gate, budget_ms: 60_000 };
    await put(map, { kind: 'module', config, trigger: auto });
    writeFileSync(`${gate}-a`, '');
    await store(map, 'a', 'b', 'c');
    await until(async () => (await under.daemon.rest.showMap(map)).consumer_pos === '16');
    const { handler: old } = registered(map);
    const swap = put(map, { kind: 'capture', trigger: auto });
    await until(() => registered(map).retiring);
    writeFileSync(`${gate}-b`, '');
    expect((await swap).status).toBe(200);
    await until(async () => (await drained(map)) === 3);
    expect([old.state().samples, await captured(map)]).toEqual([2, ['c']]);
  });

  it('module: one that hangs is ended by its own budget, and what it was at goes to the new one', async () => {
    writeFileSync(join(folder, 'hang.mjs'), 'export default () => { for (;;); };');
    const map = await under.newMap();
    await put(map, { kind: 'module', config: { file: 'hang.mjs', budget_ms: 200 }, trigger: auto });
    await store(map, 'a', 'b');
    await until(async () => (await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}`)).draining);
    expect((await put(map, { kind: 'capture', trigger: auto })).status).toBe(200);
    await until(async () => (await drained(map)) === 2);
    expect(await captured(map)).toEqual(['a', 'b']);
  });
});
