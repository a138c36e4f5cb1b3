// @ts-check
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { endedWithin, endOf } from './child-exit.js';

const KEPT_STDERR = 2_000;

/** @typedef {import('./producers/producer-process.js').Progress} Progress */

/** A producer process as the demo sees it. */
export class ProducerChild {
  #child;
  #ended;
  #done = false;
  /** @type {string | undefined} */
  #failure;
  #stderr = '';
  #stopping = false;
  /** @type {Progress} */
  progress = { sent: 0, stored: 0, enospc: 0, waits: 0, wakeups: 0, waiting: false };

  /**
   * @param {string} name of the producer and of its file
   * @param {string} mode for people
   * @param {import('./producers/producer-process.js').Job} job
   */
  constructor(name, mode, job) {
    this.name = name;
    this.mode = mode;
    const file = fileURLToPath(new URL(`./producers/${name}.js`, import.meta.url));
    this.#child = fork(file, [JSON.stringify(job)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#ended = endOf(this.#child);
    this.#child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.#stderr = (this.#stderr + text).slice(-KEPT_STDERR);
    });
    this.#child.on('error', (error) => (this.#failure ??= error.message));
    this.#child.on('message', (message) => this.#heard(message));
    const killAtExit = () => void this.#child.kill('SIGKILL');
    process.once('exit', killAtExit);
    void this.#ended.then(() => process.off('exit', killAtExit));
  }

  /** Resolves if the process ends although nobody stopped it. */
  get endedEarly() {
    return new Promise((resolve) => void this.#ended.then(() => this.#stopping || resolve(undefined)));
  }

  /** Whether its numbers are its last word. */
  get done() {
    return this.#done;
  }

  /**
   * Lets it finish what it is sending. Resolves when the process is gone.
   * @param {number} timeoutMs then it is killed
   */
  async stop(timeoutMs) {
    this.#stopping = true;
    if (this.#child.connected) this.#child.send('stop', () => undefined);
    await endedWithin(this.#child, this.#ended, timeoutMs);
  }

  /** Why its numbers cannot be trusted; undefined if they can. Known when it is gone. */
  get failure() {
    if (this.#done) return undefined;
    const why = this.#failure ?? (this.#stderr.trim() || 'it ended without a report');
    return `producer ${this.name}: ${why}`;
  }

  /** @param {unknown} message */
  #heard(message) {
    const report = /** @type {import('./producers/producer-process.js').Report} */ (message);
    this.progress = report.progress;
    if (report.type === 'done') this.#done = true;
    if (report.type === 'failed') this.#failure = report.message;
  }
}
