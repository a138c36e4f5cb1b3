// @ts-check
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const OVERLOADED = 503;
const PATIENCE_MS = 60_000;
const PAUSE_MS = 100;
/** `limits.max_disk_wait_ms`, in turn: a thread writes all; the event loop until it waits a little; the event loop. */
const DISK_WAITS_MS = ['0', '1', '100'];
const WAITING = fileURLToPath(new URL('waiting-daemon.js', import.meta.url));

/** A daemon that is started and killed again and again, on one port and one data directory. */
export class TorturedDaemon {
  #dataDir;
  #port;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child;
  /** Loaded, and waiting for its start. @type {import('node:child_process').ChildProcessByStdio<import('node:stream').Writable, import('node:stream').Readable, null> | undefined} */
  #next;
  #loads = 0;
  kills = 0;
  /** Kills before the daemon said that it is ready. */
  killsInStart = 0;

  /**
   * @param {string} dataDir
   * @param {number} port
   */
  constructor(dataDir, port) {
    this.#dataDir = dataDir;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
    process.once('exit', () => void this.#child?.kill('SIGKILL'));
  }

  /**
   * @param {number} [patienceMs] when it is not ready by then, it is killed
   * @returns {Promise<boolean>} whether it is ready
   * @throws {Error} when it ends by itself
   */
  async start(patienceMs) {
    const child = this.#next ?? this.#load();
    this.#child = child;
    this.#next = undefined;
    child.stdin.write('\n');
    const exited = once(child, 'exit');
    const timer = patienceMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), patienceMs);
    const ready = await Promise.race([once(child.stdout, 'data').then(() => true), exited.then(() => false)]);
    clearTimeout(timer);
    // Loaded behind the start and not beside it, while the producers are at work.
    this.#next = this.#load();
    if (ready) return true;
    if (child.signalCode !== 'SIGKILL') throw new Error(`the daemon ended with ${child.exitCode}`);
    this.kills++;
    this.killsInStart++;
    return false;
  }

  /** Starts a process that loads the daemon and waits. */
  #load() {
    return spawn(
      process.execPath,
      [
        ...[WAITING, 'serve', '--listen', `127.0.0.1:${this.#port}`],
        ...['--data-dir', this.#dataDir, '--log-level', 'error', '--limits-max-event-loop-delay-ms', '0'],
        ...['--limits-max-disk-wait-ms', DISK_WAITS_MS[this.#loads++ % DISK_WAITS_MS.length] ?? ''],
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
  }

  async kill() {
    await this.#end('SIGKILL');
    this.kills++;
  }

  /** @returns {Promise<number | null>} its exit code after SIGTERM */
  async stop() {
    this.#next?.stdin.end();
    return this.#end('SIGTERM');
  }

  /** @param {NodeJS.Signals} signal */
  async #end(signal) {
    const child = this.#child;
    if (child === undefined) throw new Error('the daemon was not started');
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await once(child, 'exit');
    }
    return child.exitCode;
  }

  /**
   * One REST call of a running daemon that may be made twice. Made again while the daemon says that it is overloaded, and when
   * its connection was one of the daemon before.
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>} the JSON of the answer
   * @throws {Error} with the answer, when it is no success
   */
  async call(method, path, body) {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await this.#ask(method, path, body).catch((error) => ({ error }));
      if (!('error' in answer) && answer.ok) return answer.json();
      const isOverloaded = !('error' in answer) && answer.status === OVERLOADED;
      if (!('error' in answer || isOverloaded) || performance.now() > deadline)
        throw new Error(`${method} ${path}: ${'error' in answer ? answer.error : await answer.text()}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} body
   */
  #ask(method, path, body) {
    return fetch(this.url + path, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  }
}

/** @returns {Promise<number>} a port that nobody has right now */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
