/** A daemon that may open few files, and clients that use them all up. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startDaemon } from '../support/daemon.js';
import { until } from '../support/until.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const canRun = existsSync(MAIN) && process.platform === 'linux';
const OPEN_FILES = 256;

function openSockets(port: number, count: number): Socket[] {
  return Array.from({ length: count }, () => connect(port, '127.0.0.1').on('error', () => undefined));
}

describe.skipIf(!canRun)(
  'a daemon without a free file descriptor (not run without Linux and a built dist/)',
  () => {
    it('lives on, and answers again when there are some', async () => {
      const command = `ulimit -n ${OPEN_FILES} && exec "$0" "$1" serve --listen 127.0.0.1:0 --data-dir "$2"`;
      const args = ['-c', command, process.execPath, MAIN, tmpdir()];
      const child = spawn('/bin/sh', args, { stdio: ['ignore', 'pipe', 'ignore'] });
      try {
        const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
        const { url } = JSON.parse(line) as { url: string };
        const sockets = openSockets(Number(new URL(url).port), 2 * OPEN_FILES);
        await until(() => sockets.filter(({ connecting }) => !connecting).length > OPEN_FILES);
        // Whatever looks at the process now and then has done so.
        await new Promise((resolve) => setTimeout(resolve, 2500));
        expect([child.exitCode, child.signalCode]).toEqual([null, null]);
        for (const socket of sockets) socket.destroy();
        await until(
          async () =>
            (await fetch(`${url}/livez`, { signal: AbortSignal.timeout(1000) }).catch(() => undefined))
              ?.status === 200,
        );
      } finally {
        child.kill('SIGKILL');
      }
    });
  },
);

describe('limits.max_sockets', () => {
  it('closes what is over it at once, and counts it', async () => {
    const daemon = await startDaemon({ limits: { max_sockets: 3 } });
    try {
      const sockets = openSockets(daemon.port, 6);
      const ended = sockets.map((socket) => once(socket.resume(), 'close'));
      await until(() => sockets.filter(({ closed }) => closed).length === 3);
      for (const socket of sockets) socket.destroy();
      await Promise.all(ended);
      const metrics = await until(async () => {
        const text = await daemon.app.daemon.events.registry.metrics();
        return text.includes('reason="limit_connections"') && text;
      });
      expect(metrics).toMatch(
        /ringbufd_requests_refused_total\{surface="http",reason="limit_connections",errno="EAGAIN"\} 3/,
      );
    } finally {
      await daemon.close();
    }
  });
});
