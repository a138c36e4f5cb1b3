/** A daemon that starts on a full disk: what it needs is there already, or it says what is missing. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeHeader } from '../../src/server/journal/file-header.js';
import { dataAt } from '../../src/server/journal/layout.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { fillDisk, mountSmall } from '../support/small-disk.js';

let folder: string;
let dataDir: string;
let unmount: (() => void) | undefined;
let running: TestDaemon | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringbufd-full-'));
  unmount = mountSmall(folder, 4096);
  dataDir = join(folder, 'data');
  mkdirSync(dataDir);
});
afterEach(async () => {
  await running?.close();
  running = undefined;
  unmount?.();
  rmSync(folder, { recursive: true, force: true });
});

const start = async (maps: unknown[] = []): Promise<TestDaemon> =>
  (running = await startDaemon({ data_dir: dataDir, maps, limits: { max_producers_per_map: 16 } }));
/** The data directory stays. */
const stop = async (): Promise<void> => {
  await running?.close();
  running = undefined;
};
const store = ({ rest }: TestDaemon, sample: string): Promise<{ status: number }> =>
  rest.send('POST', '/v1/maps/m/samples', sample, { 'content-type': 'application/octet-stream' });
const hex = (text: string): string => Buffer.from(text).toString('hex');

/** Runs `test` on a small disk, or says that it was not run. */
const onSmallDisk = (test: () => Promise<void>) => async (): Promise<void> => {
  if (unmount === undefined)
    console.warn('NOT RUN: start on a full disk (needs root on Linux, to mount a tmpfs)');
  else await test();
};

describe('a daemon on a full disk', () => {
  beforeEach(async () => {
    if (unmount === undefined) return;
    const first = await start();
    await first.rest.createMap('m', { max_entries: 16_384, durability: 'synced' });
    await store(first, 'before');
    await stop();
  });

  it(
    'starts, takes samples, drains them, and keeps them',
    onSmallDisk(async () => {
      const free = fillDisk(folder);
      const second = await start();
      expect(await store(second, 'on a full disk')).toMatchObject({ status: 200 });
      expect(await second.rest.expect(200, 'GET', '/v1/maps/m')).toMatchObject({ journal: 'ok' });
      await stop();
      const third = await start();
      expect(await third.rest.drainSamples('m')).toEqual(
        ['before', 'on a full disk'].map((text) => hex(text)),
      );
      expect(await third.rest.call('PUT', '/v1/maps/new', { max_entries: 4096 })).toMatchObject({
        status: 500,
        body: { code: 'RINGBUFD_ERR_REGISTRY_NOT_WRITTEN' },
      });
      expect(
        await third.rest.call('PUT', '/v1/maps/kept', { max_entries: 4096, durability: 'written' }),
      ).toMatchObject({ status: 507, body: { code: 'RINGBUFD_ERR_JOURNAL_SPACE' } });
      free();
      await third.rest.expect(200, 'PUT', '/v1/maps/new', { max_entries: 4096 });
      await stop();
      expect((await start()).app.daemon.maps.size).toBe(2);
    }),
  );

  it(
    'says what has no room when it needs more than there is',
    onSmallDisk(async () => {
      const free = fillDisk(folder);
      const declared = [{ name: 'declared', max_entries: 16_384, durability: 'written' }];
      await expect(start(declared)).rejects.toMatchObject({
        key: 'JOURNAL_SPACE',
        detail: expect.stringContaining('map "declared" takes') as string,
      });
      free();
      expect((await start(declared)).app.daemon.maps.size).toBe(2);
    }),
  );

  it(
    'gives up no damaged record before its bytes are kept aside',
    onSmallDisk(async () => {
      const file = join(dataDir, 'journal', 'm.ring');
      const bytes = readFileSync(file);
      const header = decodeHeader(bytes.subarray(0, 512));
      if (typeof header === 'string') throw new Error(header);
      bytes[dataAt(header.tableBytes) + 9]! ^= 1;
      writeFileSync(file, bytes);
      const free = fillDisk(folder);
      await expect(start()).rejects.toMatchObject({
        key: 'JOURNAL_SPACE',
        detail: expect.stringContaining('damaged bytes of map "m"') as string,
      });
      free();
      const again = await start();
      expect(await again.rest.expect(200, 'GET', '/v1/maps/m')).toMatchObject({
        quarantined: [{ pos: '0', bytes: 16 }],
      });
    }),
  );
});
