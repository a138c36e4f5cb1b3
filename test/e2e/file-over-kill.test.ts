/** What the `file` handler has after kill -9 in the middle of drains: each acknowledged sample, once, in order. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { MAIN } from '../support/daemon-process.js';
import { RestClient } from '../support/rest.js';
import { until } from '../support/until.js';

const LIVES = 3;
const SAMPLES_PER_LIFE = 400;
const PATIENCE_MS = 60_000;

if (!existsSync(MAIN))
  describe('the built daemon is not there', () => {
    it.skip('NOT RUN: the file handler over kill -9 (npm run build makes dist/main.js)', () => undefined);
  });

describe.skipIf(!existsSync(MAIN))('the file handler over kill -9', () => {
  let dataDir: string;
  let children: ChildProcess[];

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'ringbufd-file-kill-'));
    children = [];
  });
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  });

  async function start(): Promise<{ url: string; rest: RestClient; kill: () => Promise<void> }> {
    const args = ['serve', '--listen', '127.0.0.1:0', '--data-dir', dataDir];
    const child = spawn(process.execPath, [MAIN, ...args, '--limits-max-event-loop-delay-ms', '0'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(child);
    const exited = once(child, 'exit');
    const [line] = (await Promise.race([
      once(createInterface(child.stdout), 'line'),
      exited.then(() => Promise.reject(new Error('the daemon ended'))),
    ])) as [string];
    const { url } = JSON.parse(line) as { url: string };
    const rest = new RestClient(url);
    return {
      url,
      rest,
      async kill() {
        child.kill('SIGKILL');
        await exited;
        await rest.close();
      },
    };
  }

  it.each(['written', 'synced'])(
    'has what a %s map acknowledged, once and in order',
    async (durability) => {
      let daemon = await start();
      await daemon.rest.expect(201, 'PUT', '/v1/maps/kept', { max_entries: 65_536, durability });
      await daemon.rest.expect(201, 'PUT', '/v1/maps/kept/handlers/out', {
        kind: 'file',
        config: { name: 'out.ndjson' },
        trigger: { mode: 'auto' },
      });
      let sent = 0;
      for (let life = 0; life < LIVES; life++) {
        const producer = await connect({ url: daemon.url, map: 'kept', producer: 'p', reconnect: false });
        for (const end = sent + SAMPLES_PER_LIFE; sent < end;)
          await producer.output(Array.from({ length: 10 }, () => `sample ${sent++}`));
        // Drains are under way: what they wrote and did not release comes again.
        await daemon.kill();
        await producer.close({ timeoutMs: 0 });
        daemon = await start();
      }
      await until(
        async () => {
          const shown = await daemon.rest.expect(200, 'GET', '/v1/maps/kept');
          return shown['freed_pos'] === shown['producer_pos'];
        },
        'everything is drained',
        PATIENCE_MS,
      );
      const text = await readFile(join(dataDir, 'out', 'kept', 'out.ndjson'), 'utf8');
      const lines = text.trimEnd().split('\n');
      expect(lines.map((line) => (JSON.parse(line) as { sample: string }).sample)).toEqual(
        Array.from({ length: LIVES * SAMPLES_PER_LIFE }, (_, number) => `sample ${number}`),
      );
      await daemon.kill();
    },
    2 * PATIENCE_MS,
  );
});
