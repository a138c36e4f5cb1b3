// @ts-check
import { spawn } from 'node:child_process';
import { openSync, closeSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endedWithin, endOf } from './child-exit.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const STOP_MS = 15_000;
/** More than a ring of the demo can hold, so that the check sees all of it. */
const MAX_PEEK_SAMPLES = 100_000;

/** The daemon as a process of its own, and its REST interface. */
export class DaemonProcess {
  #child;
  #ended;

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {Promise<import('./child-exit.js').Ended>} ended
   * @param {string} url
   */
  constructor(child, ended, url) {
    this.#child = child;
    this.#ended = ended;
    /** Base address, as its ready line says. */
    this.url = url;
  }

  /** Resolves when the daemon is gone. */
  get ended() {
    return this.#ended;
  }

  /**
   * Starts the daemon on a free port and waits for its ready line.
   * @param {string} dataDir its log goes to `daemon.log` in there
   * @throws {Error} with the end of the log, if it does not start
   */
  static async start(dataDir) {
    const logFile = join(dataDir, 'daemon.log');
    const log = openSync(logFile, 'a', 0o600);
    const child = spawn(
      process.execPath,
      [
        ...[MAIN, 'serve', '--listen', '127.0.0.1:0', '--data-dir', dataDir],
        ...['--limits-max-peek-samples', String(MAX_PEEK_SAMPLES), '--log-format', 'json'],
      ],
      // A process group of its own: Ctrl-C is for the demo, which ends the daemon when the producers are done.
      { stdio: ['ignore', 'pipe', log], detached: true, env: withoutSettings(process.env) },
    );
    closeSync(log);
    const ended = endOf(child);
    // The last resort if the demo itself dies: nothing of it stays behind.
    const killAtExit = () => void child.kill('SIGKILL');
    process.once('exit', killAtExit);
    void ended.then(() => process.off('exit', killAtExit));

    let output = '';
    const ready = new Promise((resolve) =>
      child.stdout?.setEncoding('utf8').on('data', (text) => {
        output += text;
        if (output.includes('\n')) resolve(output.slice(0, output.indexOf('\n')));
      }),
    );
    const line = await Promise.race([ready, ended.then(() => undefined)]);
    if (line === undefined)
      throw new Error(`the daemon did not start:\n${readFileSync(logFile, 'utf8').slice(-2000)}`);
    return new DaemonProcess(child, ended, JSON.parse(line).url);
  }

  /**
   * One REST call.
   * @param {string} method
   * @param {string} path below /v1
   * @param {unknown} [body]
   * @returns {Promise<any>} the JSON of the answer, undefined if it has none
   * @throws {RestError}
   */
  async call(method, path, body) {
    const response = await fetch(`${this.url}/v1${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    const answer = text === '' ? undefined : JSON.parse(text);
    if (!response.ok) throw new RestError(response.status, `${method} ${path}: ${answer?.detail ?? text}`);
    return answer;
  }

  /** SIGTERM, and a hard end if that takes too long. */
  async stop() {
    this.#child.kill('SIGTERM');
    return endedWithin(this.#child, this.#ended, STOP_MS);
  }
}

export class RestError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The demo's daemon is configured by its flags alone. @param {NodeJS.ProcessEnv} env */
function withoutSettings(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('RINGBUFD_')));
}
