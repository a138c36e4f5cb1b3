/** Every kind of handler on a map with a journal, whose ring is in shared memory: it gets the bytes that were stored. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { attachUrl, RawHandler } from '../support/raw-handler.js';

const MODULE = `export default (sample, ctx) => (ctx.emit('out', sample) === 0 ? 0 : 1);\n`;
/** The third one goes over the end of the ring. */
const SAMPLES = ['text', '', 'ä'.repeat(1000), 'end'];
const HEX = SAMPLES.map((text) => Buffer.from(text).toString('hex'));

let folder: string;
let daemon: TestDaemon;
let log: string[];
let receiver: Server;
let bodies: string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringbufd-kinds-'));
  writeFileSync(join(folder, 'pass.mjs'), MODULE);
  log = [];
  bodies = [];
  receiver = createServer((request: IncomingMessage, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      bodies.push(body);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const logger = pino({ level: 'info' }, { write: (line: string) => void log.push(line) });
  daemon = await startDaemon({ handlers_dir: folder, webhooks: { allow: ['127.0.0.1'] } }, { logger });
});
afterEach(async () => {
  await daemon.close();
  receiver.close();
  rmSync(folder, { recursive: true, force: true });
});

const rest = () => daemon.rest;

async function putHandler(kind: string, config: Record<string, unknown> = {}): Promise<void> {
  await rest().expect(201, 'PUT', '/v1/maps/m/handlers/h', { kind, config });
}

async function store(text: string): Promise<void> {
  const answer = await rest().send('POST', '/v1/maps/m/samples', text, {
    'content-type': 'application/octet-stream',
  });
  expect(answer.status).toBe(200);
}

/** So that the third sample begins near the end of the ring. */
async function fillUp(): Promise<void> {
  await store('x'.repeat(3000));
  await rest().drain('m');
  for (const text of SAMPLES) await store(text);
}

describe.each(['written', 'synced'] as const)('a map of durability %s gives its samples to', (durability) => {
  beforeEach(async () => {
    await rest().createMap('m', { durability });
    await rest().createMap('out', { durability });
    await fillUp();
  });

  const drained = async () => expect((await rest().drain('m', 'h')).drained).toBe(SAMPLES.length);

  it('capture', async () => {
    expect(await rest().drainSamples('m')).toEqual(HEX.map((hex) => hex.slice(0, 128)));
  });

  it('log', async () => {
    await putHandler('log', { head_bytes: 4096 });
    await drained();
    const logged = log.map((line) => JSON.parse(line) as { msg: string; sample: string });
    expect(logged.filter(({ msg }) => msg === 'sample').map(({ sample }) => sample)).toEqual(SAMPLES);
  });

  it.each(['ndjson', 'records'])('file, as %s', async (format) => {
    await putHandler('file', { format, name: 'f' });
    await drained();
    const file = readFileSync(join(daemon.dataDir, 'out', 'm', 'f'));
    if (format === 'ndjson')
      expect(
        file
          .toString()
          .trimEnd()
          .split('\n')
          .map((line) => (JSON.parse(line) as { sample: string }).sample),
      ).toEqual(SAMPLES);
    else for (const text of SAMPLES) expect(file.includes(text)).toBe(true);
  });

  it('webhook', async () => {
    const { port } = receiver.address() as AddressInfo;
    await putHandler('webhook', { url: `http://127.0.0.1:${port}/` });
    await drained();
    for (const text of SAMPLES) expect(bodies.join('')).toContain(text);
  });

  it('remote', async () => {
    await putHandler('remote');
    const client = await RawHandler.open(attachUrl(daemon.url, 'm', 'h'));
    client.onDelivery = ({ number, samples }) => client.answer(number, samples.length);
    await drained();
    expect(client.deliveries.flatMap(({ samples }) => samples)).toEqual(SAMPLES);
    client.socket.close();
  });

  it('module, and takes what that emits', { timeout: 60_000 }, async () => {
    await putHandler('module', { file: 'pass.mjs', emit: ['out'], budget_ms: 20_000, load_ms: 20_000 });
    await drained();
    expect(await rest().drainSamples('out')).toEqual(HEX.map((hex) => hex.slice(0, 128)));
    // The ring is drained by another thread now, and by this one again.
    await store('more');
    expect(await rest().drainSamples('m')).toEqual([Buffer.from('more').toString('hex')]);
  });

  it('a map of dead letters', { timeout: 60_000 }, async () => {
    writeFileSync(join(folder, 'fail.mjs'), `export default () => { throw new Error('never'); };`);
    await rest().expect(201, 'PUT', '/v1/maps/m/handlers/h', {
      kind: 'module',
      config: { file: 'fail.mjs', budget_ms: 20_000, load_ms: 20_000 },
      on_error: { policy: 'dead_letter', map: 'out', max_attempts: 1 },
    });
    for (const text of SAMPLES)
      expect(await rest().call('POST', '/v1/maps/m/drain', { handler: 'h' }), text).toMatchObject({
        body: { dead_letters: [{ map: 'out' }] },
      });
    expect(await rest().peek('out')).toHaveLength(SAMPLES.length);
    expect(await rest().peek('m')).toEqual([]);
  });
});
