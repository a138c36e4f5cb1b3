/** A map that is deleted while a handler of another one emits into it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { until } from '../support/until.js';

const SAMPLES = 8;
/** Passes each sample on, and takes its time. */
const MODULE = `const cell = new Int32Array(new SharedArrayBuffer(4));
export default (sample, ctx) => {
  ctx.emit('out', sample);
  Atomics.wait(cell, 0, 0, 100);
  return 0;
};
`;

let folder: string;
let daemon: TestDaemon;
let log: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringbufd-deleted-'));
  writeFileSync(join(folder, 'pass.mjs'), MODULE);
  log = '';
  const logger = pino({ level: 'error' }, { write: (line: string) => void (log += line) });
  daemon = await startDaemon({ handlers_dir: folder }, { logger });
});
afterEach(async () => {
  await daemon.close();
  rmSync(folder, { recursive: true, force: true });
});

it('takes nothing more, and the journals of all other maps go on', { timeout: 60_000 }, async () => {
  for (const map of ['out', 'in', 'other'])
    await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}`, { max_entries: 16_384, durability: 'written' });
  await daemon.rest.expect(201, 'PUT', '/v1/maps/in/handlers/pass', {
    kind: 'module',
    config: { file: 'pass.mjs', emit: ['out'], budget_ms: 20_000, load_ms: 20_000 },
  });
  const store = (map: string) =>
    daemon.rest.send('POST', `/v1/maps/${map}/samples`, 'a', { 'content-type': 'application/octet-stream' });
  for (let sample = 0; sample < SAMPLES; sample++) await store('in');
  const drained = daemon.rest.call('POST', '/v1/maps/in/drain', { handler: 'pass' });
  await until(
    async () => (await daemon.rest.showMap('out')).counters.accepted_samples > 0,
    'the first emit',
    30_000,
  );
  await daemon.rest.expect(204, 'DELETE', '/v1/maps/out');
  expect(await drained).toMatchObject({ status: 200, body: { drained: SAMPLES } });
  expect(await store('other')).toMatchObject({ status: 200 });
  expect(await daemon.rest.call('GET', '/readyz')).toMatchObject({ status: 200 });
  expect(log).toBe('');
});
