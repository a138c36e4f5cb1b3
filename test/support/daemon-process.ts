import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { RestClient } from './rest.js';

/** The built daemon; `npm run build` makes it. */
export const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** Characters kept of what the daemon says on standard error. */
const MAX_LOG_CHARS = 200_000;

/** The real daemon, ready. */
export interface LaunchedDaemon {
  readonly child: ChildProcess;
  /** Its exit code, null when a signal ended it; and that signal. */
  readonly exited: Promise<[number | null, NodeJS.Signals | null]>;
  readonly url: string;
  /** Maps that it had when it was ready. */
  readonly maps: number;
  /** The end of what it has logged. */
  readonly log: () => string;
}

/**
 * Starts the built daemon and waits until it is ready.
 * @param args of `serve`
 * @throws Error with its log when it ends instead
 */
export async function launch(args: readonly string[]): Promise<LaunchedDaemon> {
  const child = spawn(process.execPath, [MAIN, 'serve', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit') as LaunchedDaemon['exited'];
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-MAX_LOG_CHARS)));
  const [line] = (await Promise.race([
    once(createInterface(child.stdout), 'line'),
    exited.then(() => Promise.reject(new Error(`the daemon ended: ${log}`))),
  ])) as [string];
  const { url, maps } = JSON.parse(line) as { url: string; maps: number };
  return { child, exited, url, maps, log: () => log };
}

/** The real daemon as a process of its own, with a folder of its own. */
export class DaemonProcess {
  readonly url: string;
  readonly rest: RestClient;
  readonly folder: string;
  readonly handlersDir: string;
  readonly #process: LaunchedDaemon;

  private constructor(folder: string, launched: LaunchedDaemon) {
    this.url = launched.url;
    this.folder = folder;
    this.handlersDir = join(folder, 'handlers');
    this.rest = new RestClient(launched.url);
    this.#process = launched;
  }

  /**
   * Starts the daemon on a free port.
   * @param config as in the YAML file, over the defaults and what is needed here
   * @throws Error with its log when it does not start
   */
  static async start(config: Record<string, unknown> = {}): Promise<DaemonProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'ringbufd-process-'));
    const handlersDir = join(folder, 'handlers');
    mkdirSync(handlersDir);
    const file = join(folder, 'ringbufd.yaml');
    const { limits, ...others } = config;
    const whole = {
      listen: '127.0.0.1:0',
      data_dir: join(folder, 'data'),
      handlers_dir: handlersDir,
      webhooks: { allow: ['127.0.0.1'] },
      ...others,
      limits: { max_peek_samples: 1_000_000, max_event_loop_delay_ms: 0, ...(limits as object) },
    };
    writeFileSync(file, stringify(whole));
    return new DaemonProcess(folder, await launch(['--config', file]));
  }

  get pid(): number {
    return this.#process.child.pid!;
  }

  /** The end of what the daemon has logged. */
  get log(): string {
    return this.#process.log();
  }

  get alive(): boolean {
    const { exitCode, signalCode } = this.#process.child;
    return exitCode === null && signalCode === null;
  }

  /** Ends it as an operator does; returns its exit code. */
  async stop(): Promise<number | null> {
    await this.rest.close();
    this.#process.child.kill('SIGTERM');
    const [code] = await this.#process.exited;
    return code;
  }

  /** For the end of a test: whatever state it is in, nothing of it is left. */
  async destroy(): Promise<void> {
    await this.rest.close();
    this.#process.child.kill('SIGKILL');
    await this.#process.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
