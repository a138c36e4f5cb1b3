import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { launch } from './daemon-process.js';
import { RestClient } from './rest.js';

/** The real daemon from one start to its end. */
export interface DaemonLife {
  readonly url: string;
  /** Maps that it had when it was ready. */
  readonly maps: number;
  readonly rest: RestClient;
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with its exit code. */
  term(): Promise<number | null>;
}

export interface DaemonLives {
  /** What the daemons of one test share. */
  readonly dataDir: string;
  /**
   * Starts the daemon on the data directory of the test.
   * @param listen `HOST:PORT`; default a free port
   * @param flags of `serve`, beside these
   */
  start(listen?: string, flags?: readonly string[]): Promise<DaemonLife>;
}

/** For tests of what one daemon leaves to the next: a data directory for each, and nothing left of either behind it. */
export function useDaemonLives(): DaemonLives {
  let dataDir: string;
  let lives: DaemonLife[];

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'ringbufd-lives-'));
    lives = [];
  });
  afterEach(async () => {
    for (const life of lives) await life.kill();
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  });

  return {
    get dataDir() {
      return dataDir;
    },
    async start(listen = '127.0.0.1:0', flags = []) {
      const args = ['--listen', listen, '--data-dir', dataDir, ...flags];
      const { child, exited, url, maps } = await launch(args);
      const rest = new RestClient(url);
      const end = async (signal: NodeJS.Signals): Promise<number | null> => {
        child.kill(signal);
        const [code] = await exited;
        await rest.close();
        return code;
      };
      const life: DaemonLife = {
        url,
        maps,
        rest,
        kill: async () => void (await end('SIGKILL')),
        term: () => end('SIGTERM'),
      };
      lives.push(life);
      return life;
    },
  };
}
