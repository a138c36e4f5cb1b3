/** `ringbufd migrate` between two daemons on one data directory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run } from '../cli/cli-run.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';

let dataDir: string;
let daemon: TestDaemon | undefined;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ringbufd-migrated-'));
});
afterEach(async () => {
  await daemon?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const migrate = async (): Promise<string> => {
  const { code, stdout } = await run(['migrate', dataDir, 'm', '--max-entries', '8192']);
  expect(code).toBe(0);
  return stdout;
};

it('a map that was made over REST starts with its new size, and has what it had', async () => {
  daemon = await startDaemon({ data_dir: dataDir });
  await daemon.rest.createMap('m', { max_entries: 4096, durability: 'written' });
  await daemon.rest.send('POST', '/v1/maps/m/samples', 'kept', {
    'content-type': 'application/octet-stream',
  });
  const { incarnation } = await daemon.rest.showMap('m');
  await daemon.close();
  daemon = undefined;
  expect(await migrate()).not.toContain('declared');
  daemon = await startDaemon({ data_dir: dataDir });
  expect(await daemon.rest.expect(200, 'GET', '/v1/maps/m')).toMatchObject({
    max_entries: 8192,
    incarnation,
  });
  expect(await daemon.rest.drainSamples('m')).toEqual([Buffer.from('kept').toString('hex')]);
});

it('a map that the configuration declares has to be declared anew, and is told so', async () => {
  const maps = (size: number) => ({
    data_dir: dataDir,
    maps: [{ name: 'm', max_entries: size, durability: 'written' }],
  });
  daemon = await startDaemon(maps(4096));
  await daemon.close();
  daemon = undefined;
  expect(await migrate()).toContain('set max_entries of map "m" to 8192 where the map is declared, too');
  daemon = await startDaemon(maps(8192));
  expect(await daemon.rest.expect(200, 'GET', '/v1/maps/m')).toMatchObject({ max_entries: 8192 });
});
