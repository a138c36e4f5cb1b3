/** The real process: started from the built files, fed over a socket, ended with SIGTERM. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CloseCode, Op } from '../../src/wire/index.js';
import { RawClient } from '../support/raw-client.js';
import { RestClient } from '../support/rest.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

if (!existsSync(MAIN))
  describe('the built daemon is not there', () => {
    it.skip('NOT RUN: the real process (npm run build makes dist/main.js)', () => undefined);
  });

describe.skipIf(!existsSync(MAIN))('the built daemon', () => {
  it('is a command of its own, however often it was built', async () => {
    const child = spawn(MAIN, ['--version'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    expect(line).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it('says where it listens, takes samples, tells producers of its end, and exits with 0', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'ringbufd-process-'));
    const child = spawn(process.execPath, [MAIN, 'serve', '--listen', '127.0.0.1:0', '--data-dir', dataDir], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(child, 'exit');
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    try {
      const [line] = (await Promise.race([
        once(createInterface(child.stdout), 'line'),
        exited.then(() => Promise.reject(new Error(`the daemon ended: ${log}`))),
      ])) as [string];
      const ready = JSON.parse(line) as { ready: boolean; url: string; pid: number };
      expect(ready).toMatchObject({ ready: true, pid: child.pid });

      const rest = new RestClient(ready.url);
      await rest.createMap('m');
      const url = `${ready.url.replace('http', 'ws')}/v1/maps/m/produce`;
      const client = await RawClient.welcomed(url);
      client.output(1, ['a', 'b', 'c']);
      expect(await client.expect(Op.ACK)).toMatchObject({ seq: 1, producerPos: 48n });
      expect(await rest.drainSamples('m')).toEqual(['61', '62', '63']);
      await rest.close();

      child.kill('SIGTERM');
      await client.expectClose(CloseCode.DRAINING, 'EAGAIN');
      expect(await exited).toEqual([0, null]);
      expect(log).not.toMatch(/"level":(50|60)/);
    } finally {
      child.kill('SIGKILL');
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
