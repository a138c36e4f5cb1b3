/** SIGTERM while an SDK producer sends: the next daemon has every sample once, in order. The real process, twice. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { MAIN } from '../support/daemon-process.js';
import { RestClient } from '../support/rest.js';

if (!existsSync(MAIN))
  describe('the built daemon is not there', () => {
    it.skip('NOT RUN: SIGTERM under load (npm run build makes dist/main.js)', () => undefined);
  });

describe.skipIf(!existsSync(MAIN))('SIGTERM under load', { timeout: 60_000 }, () => {
  let dataDir: string;
  let children: ChildProcess[];

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'ringbufd-term-'));
    children = [];
  });
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  });

  async function start(listen: string) {
    const child = spawn(process.execPath, [MAIN, 'serve', '--listen', listen, '--data-dir', dataDir], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(child);
    const exited = once(child, 'exit');
    const [line] = (await Promise.race([
      once(createInterface(child.stdout), 'line'),
      exited.then(() => Promise.reject(new Error('the daemon ended'))),
    ])) as [string];
    const { url } = JSON.parse(line) as { url: string };
    return {
      url,
      rest: new RestClient(url),
      async term(): Promise<unknown> {
        child.kill('SIGTERM');
        const [code] = (await exited) as [number | null];
        return code;
      },
    };
  }

  it.each(['written', 'synced'] as const)('loses and doubles nothing on a %s map', async (durability) => {
    const first = await start('127.0.0.1:0');
    await first.rest.createMap('m', { max_entries: 1 << 20, durability });
    const producer = await connect({ url: first.url, map: 'm', producer: 'p' });
    const outcomes: Promise<unknown>[] = [];
    let sent = 0;
    let acknowledged = 0;
    const send = (): void => {
      const samples = Array.from({ length: 5 }, () => String(sent++));
      outcomes.push(producer.output(samples).then(() => acknowledged++));
    };
    // Always some under way, also when the signal comes.
    while (acknowledged < 50) {
      for (let count = 0; count < 10; count++) send();
      await Promise.race(outcomes.slice(-10));
    }
    for (let count = 0; count < 20; count++) send();
    const ending = first.term();
    for (let count = 0; count < 20; count++) send();
    expect(await ending).toBe(0);
    await first.rest.close();

    const second = await start(new URL(first.url).host);
    try {
      await Promise.all(outcomes);
      expect(await producer.close()).toMatchObject({ flushed: true, failed: 0 });
      const drained = await second.rest.drainSamples('m');
      expect(drained.map((hex) => Buffer.from(hex, 'hex').toString())).toEqual(
        Array.from({ length: sent }, (_, number) => String(number)),
      );
      expect(await second.rest.expect(200, 'GET', '/v1/maps/m/ledger')).toMatchObject({
        holds: true,
        producers: [{ producer: 'p', accepted: { samples: sent }, drained: { samples: sent } }],
      });
    } finally {
      await second.rest.close();
    }
  });
});
