/** Handlers that emit into a map with a journal: what a sample led to is durable before the sample is forgotten. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { JournalStoreDouble } from '../support/journal-double.js';
import type { RestAnswer } from '../support/rest.js';
import { until } from '../support/until.js';

/** Takes no sample that it could not pass on. */
const MODULE = `export default (sample, ctx) => {
  if (ctx.emit('out', sample) !== 0) throw new Error('not taken');
  return 0;
};
`;

let folder: string;
let journals: JournalStoreDouble;
let daemon: TestDaemon;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringbufd-emits-'));
  writeFileSync(join(folder, 'pass.mjs'), MODULE);
  journals = new JournalStoreDouble();
  daemon = await startDaemon({ handlers_dir: folder }, { journals });
  await setUp();
});
afterEach(async () => {
  for (const journal of journals.journals.values()) {
    journal.manual = false;
    journal.fault = undefined;
    journal.commit();
  }
  await daemon.close();
  rmSync(folder, { recursive: true, force: true });
});

async function setUp(): Promise<void> {
  for (const map of ['out', 'in'])
    await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}`, { max_entries: 16_384, durability: 'written' });
  await daemon.rest.expect(201, 'PUT', '/v1/maps/in/handlers/pass', {
    kind: 'module',
    config: { file: 'pass.mjs', emit: ['out'], budget_ms: 10_000, load_ms: 20_000 },
  });
  await daemon.rest.expect(201, 'PUT', '/v1/maps/in/handlers/count', { kind: 'count' });
  await daemon.rest.expect(201, 'PUT', '/v1/maps/out/handlers/capture', { kind: 'capture' });
}

/** The daemon dies: what was committed is all that the next one has. */
async function crash(): Promise<void> {
  for (const journal of journals.journals.values()) {
    journal.commit = () => false;
    journal.close = () => Promise.resolve();
  }
  await daemon.close();
  daemon = await startDaemon({ handlers_dir: folder }, { journals });
  await setUp();
}

const store = (sample: string): Promise<RestAnswer> =>
  daemon.rest.send('POST', '/v1/maps/in/samples', sample, { 'content-type': 'application/octet-stream' });
const drain = (handler = 'pass'): Promise<RestAnswer> =>
  daemon.rest.call('POST', '/v1/maps/in/drain', { handler });
const accepted = async (map: string): Promise<number> =>
  (await daemon.rest.showMap(map)).counters.accepted_samples;
const freed = async (): Promise<unknown> =>
  (await daemon.rest.expect(200, 'GET', '/v1/maps/in'))['freed_pos'];

/** A drain that has emitted one sample and waits until that is durable. */
async function emitting(): Promise<{ answer: Promise<RestAnswer> }> {
  expect(await store('a')).toMatchObject({ status: 200 });
  journals.of('out').manual = true;
  const answer = drain();
  await until(async () => (await accepted('out')) === 1, 'the emit', 30_000);
  return { answer };
}

describe('a sample that its handler passed on into a map with a journal', { timeout: 60_000 }, () => {
  it('is forgotten once that is durable, and not before', async () => {
    const { answer } = await emitting();
    expect(await freed()).toBe('0');
    journals.of('out').commit();
    expect(await answer).toMatchObject({ status: 200, body: { drained: 1 } });
    await until(async () => (await freed()) === '16', 'the checkpoint');
  });

  it('waits while that journal has no room; meanwhile the handler is refused, and its samples stay', async () => {
    const { answer } = await emitting();
    journals.of('out').fault = 'ENOSPC';
    journals.of('out').commit();
    expect(await freed()).toBe('0');
    journals.of('out').fault = undefined;
    journals.of('out').commit();
    expect(await answer).toMatchObject({ status: 200, body: { drained: 1 } });

    expect(await store('b')).toMatchObject({ status: 200 });
    const other = daemon.rest.send('POST', '/v1/maps/out/samples', 'x', {
      'content-type': 'application/octet-stream',
    });
    await until(async () => (await accepted('out')) === 2, 'a sample to commit');
    journals.of('out').fault = 'ENOSPC';
    journals.of('out').commit();
    expect(await drain()).toMatchObject({ status: 500, body: { drained: 0 } });
    expect(await daemon.rest.peek('in')).toHaveLength(1);
    journals.of('out').fault = undefined;
    journals.of('out').manual = false;
    journals.of('out').commit();
    await other;
    expect(await drain()).toMatchObject({ status: 200, body: { drained: 1 } });
    expect(await accepted('out')).toBe(3);
  });

  it('is not forgotten by another drain while that journal has no room: the first one is not over', async () => {
    const { answer } = await emitting();
    journals.of('out').fault = 'ENOSPC';
    journals.of('out').commit();
    expect(await store('b')).toMatchObject({ status: 200 });
    expect(await daemon.rest.expect(200, 'GET', '/v1/maps/out')).toMatchObject({ journal: 'full' });
    expect(await daemon.rest.expect(200, 'GET', '/v1/maps/in')).toMatchObject({ draining: true });
    expect(await drain('count')).toMatchObject({ status: 409, body: { errno: 'EBUSY' } });
    expect(await freed()).toBe('0');
    journals.of('out').fault = undefined;
    journals.of('out').manual = false;
    journals.of('out').commit();
    expect(await answer).toMatchObject({ status: 200, body: { drained: 1 } });
    expect(await drain('count')).toMatchObject({ status: 200, body: { drained: 1 } });
    expect(await daemon.rest.expect(200, 'GET', '/v1/maps/in/ledger')).toMatchObject({ holds: true });
  });

  it('comes again after a restart when that journal failed, whoever asks for it before', async () => {
    const { answer } = await emitting();
    journals.of('out').fault = 'EIO';
    journals.of('out').commit();
    expect(await answer).toMatchObject({ status: 500 });
    expect(await store('b')).toMatchObject({ status: 200 });
    // A drain by anybody else would forget the first sample, too.
    expect(await drain('count')).toMatchObject({ status: 500, body: { drained: 0 } });
    expect(await freed()).toBe('0');
    await crash();
    expect(await drain()).toMatchObject({ status: 200, body: { drained: 2 } });
    expect(await daemon.rest.drainSamples('out')).toEqual(
      ['a', 'b'].map((text) => Buffer.from(text).toString('hex')),
    );
  });
});
