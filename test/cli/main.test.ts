/** The process itself: the built program with real signals, pipes and ports. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

let directory: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringbufd-main-'));
});
afterEach(async () => {
  for (const child of children.splice(0))
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
      await once(child, 'exit');
  rmSync(directory, { recursive: true });
});

interface Running {
  child: ChildProcess;
  output: { stdout: string; stderr: string };
  /** The first line on standard output, or a rejection when the process ends without one. */
  firstLine: Promise<string>;
  exitCode: Promise<number | null>;
}

function start(...argv: string[]): Running {
  const child = spawn(process.execPath, [MAIN, ...argv], {
    cwd: directory,
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const output = { stdout: '', stderr: '' };
  const exitCode = once(child, 'close').then(([code]) => code as number | null);
  const firstLine = new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text;
      const end = output.stdout.indexOf('\n');
      if (end >= 0) resolve(output.stdout.slice(0, end));
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    void exitCode.then((code) => reject(new Error(`ended with ${code}: ${output.stderr}`)));
  });
  firstLine.catch(() => undefined);
  return { child, output, firstLine, exitCode };
}

describe('serve', () => {
  it('prints one JSON line when ready, logs JSON to standard error, and ends with 0 on SIGTERM', async () => {
    writeFileSync(join(directory, 'ringbufd.yaml'), 'maps: [{ name: m, max_entries: 4096 }]\n');
    const daemon = start('serve', '--config', 'ringbufd.yaml', '--listen', '127.0.0.1:0');
    const ready = JSON.parse(await daemon.firstLine) as Record<string, unknown>;
    expect(ready).toEqual({
      ready: true,
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string,
      pid: daemon.child.pid,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      maps: 1,
    });
    expect((await fetch(`${String(ready.url)}/livez`)).status).toBe(200);

    daemon.child.kill('SIGTERM');
    expect(await daemon.exitCode).toBe(0);
    expect(daemon.output.stdout.trimEnd().split('\n')).toHaveLength(1);
    const logged = daemon.output.stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string });
    expect(logged.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['shutting down', 'closed']));
  });

  it('ends with 0 on SIGINT too', async () => {
    const daemon = start('serve', '--listen', '127.0.0.1:0');
    await daemon.firstLine;
    daemon.child.kill('SIGINT');
    expect(await daemon.exitCode).toBe(0);
  });

  it('says in one message that the port is taken, and ends with 1', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    try {
      const daemon = start('serve', '--listen', `127.0.0.1:${port}`, '--log-level', 'silent');
      expect(await daemon.exitCode).toBe(1);
      expect(daemon.output.stdout).toBe('');
      const [what, advice, ...rest] = daemon.output.stderr.split('\n');
      expect(what).toBe(`ringbufd: cannot listen on 127.0.0.1:${port}: another process already does`);
      expect(advice).toMatch(/--listen/);
      expect(rest).toEqual(['']);
    } finally {
      other.close();
    }
  });
});

describe('the exit code', () => {
  it.each([
    [['--version'], 0],
    [['serve', '--help'], 0],
    [['srve'], 2],
    [['serve', '--limits-max-maps', 'x'], 1],
    [['check-config', 'none.yaml'], 1],
  ])('of %j is %i', async (argv, code) => {
    const { exitCode, output } = start(...argv);
    expect(await exitCode).toBe(code);
    expect(output.stdout === '').toBe(code !== 0);
    expect(output.stderr === '').toBe(code === 0);
  });
});
