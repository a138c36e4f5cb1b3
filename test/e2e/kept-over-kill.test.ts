/** What was answered is there after kill -9: the real process, started from the built files, twice on one data directory. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RestClient } from '../support/rest.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

if (!existsSync(MAIN))
  describe('the built daemon is not there', () => {
    it.skip('NOT RUN: the registry over kill -9 (npm run build makes dist/main.js)', () => undefined);
  });

describe.skipIf(!existsSync(MAIN))('the registry over kill -9', () => {
  let dataDir: string;
  let children: ChildProcess[];

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'ringbufd-kill-'));
    children = [];
  });
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  });

  async function start(): Promise<{ rest: RestClient; maps: number; kill: () => Promise<void> }> {
    const child = spawn(process.execPath, [MAIN, 'serve', '--listen', '127.0.0.1:0', '--data-dir', dataDir], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(child);
    const exited = once(child, 'exit');
    const [line] = (await Promise.race([
      once(createInterface(child.stdout), 'line'),
      exited.then(() => Promise.reject(new Error('the daemon ended'))),
    ])) as [string];
    const { url, maps } = JSON.parse(line) as { url: string; maps: number };
    const rest = new RestClient(url);
    return {
      rest,
      maps,
      async kill() {
        child.kill('SIGKILL');
        await exited;
        await rest.close();
      },
    };
  }

  it('has every map and handler whose call was answered', async () => {
    const first = await start();
    await first.rest.createMap('gone');
    for (let number = 0; number < 5; number++) await first.rest.createMap(`m${number}`);
    await first.rest.expect(204, 'DELETE', '/v1/maps/gone');
    await first.kill();

    const second = await start();
    expect(second.maps).toBe(5);
    const { maps } = await second.rest.expect(200, 'GET', '/v1/maps');
    expect(
      (maps as { name: string; handlers: string[] }[]).map(({ name, handlers }) => [name, handlers]),
    ).toEqual([0, 1, 2, 3, 4].map((number) => [`m${number}`, ['count', 'capture']]));
    await second.rest.expect(200, 'PUT', '/v1/maps/m0', { max_entries: 4096 });
    await second.kill();
  });
});
