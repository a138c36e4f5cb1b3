/** Servers under test: each a process of its own, started on a free port and ended by its id. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';

const START_TIMEOUT_MS = 10_000;
const RETRY_MS = 20;

export interface ServerProcess {
  readonly pid: number;
  stop: () => Promise<void>;
}

/** Starts a server that is ready once `port` takes connections. @throws Error when it ends, or takes too long */
export async function startServer(
  command: string,
  args: readonly string[],
  port: number,
): Promise<ServerProcess> {
  // Debian keeps some servers in /usr/sbin, which not every PATH has.
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
  let complaints = '';
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (complaints = (complaints + text).slice(-2000)));
  const failed = once(child, 'error').then(([error]) => error as Error);
  const ended = once(child, 'exit').then(() => new Error(`${command} ended: ${complaints}`));
  const began = performance.now();
  while (!(await takesConnections(port))) {
    const outcome = await Promise.race([failed, ended, pause(RETRY_MS)]);
    if (outcome instanceof Error) throw outcome;
    if (performance.now() - began > START_TIMEOUT_MS)
      throw new Error(`${command} does not listen on ${port}`);
  }
  return { pid: child.pid!, stop: () => stop(child) };
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

/** A port that was free a moment ago, for servers that cannot say which one they took. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Processor seconds, user and system, that the threads of a process have used, to the nanosecond. */
export function cpuSeconds(pid: number): number {
  let seconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) seconds += threadSeconds(pid, thread);
  return seconds;
}

/** The same for its first thread alone, in which Node runs the event loop. */
export function loopSeconds(pid: number): number {
  return threadSeconds(pid, pid);
}

function threadSeconds(pid: number, thread: string | number): number {
  return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0]) / 1e9;
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
