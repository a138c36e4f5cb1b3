import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';
import { buildApp, type App } from '../../src/app.js';
import type { Clock } from '../../src/server/clock.js';
import type { JournalStore } from '../../src/server/journal/journal.js';
import { configFromObject } from '../../src/server/config.js';
import { RestClient } from './rest.js';

/** A daemon in this process on a free port, with a data directory of its own. */
export interface TestDaemon {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly port: number;
  readonly app: App;
  readonly rest: RestClient;
  readonly dataDir: string;
  /** The WebSocket URL of a map; `query` as in `producer=p&on_full=block`. */
  produceUrl(map: string, query?: string): string;
  close(): Promise<void>;
}

type Overrides = Record<string, unknown>;

export interface DaemonTestOptions {
  clock?: Clock;
  logger?: Logger;
  /** Where durable maps are kept: outlives the daemon. */
  journals?: JournalStore;
  /** Token that the REST client of the test presents. */
  token?: string;
}

/**
 * Starts a daemon. What it logs goes nowhere unless `options.logger` is given.
 * @param overrides configuration as in the YAML file; sections are merged over the test's own
 */
export async function startDaemon(
  overrides: Overrides = {},
  options: DaemonTestOptions = {},
): Promise<TestDaemon> {
  const dataDir = await mkdtemp(join(tmpdir(), 'ringbufd-test-'));
  const { config } = configFromObject({
    listen: '127.0.0.1:0',
    data_dir: dataDir,
    ...overrides,
    limits: { max_peek_samples: 1_000_000, max_event_loop_delay_ms: 0, ...(overrides.limits as Overrides) },
  });
  const { logger = pino({ level: 'silent' }), clock, journals } = options;
  const app = await buildApp(config, {
    logger,
    ...(clock && { clock }),
    ...(journals && { journals: async () => journals }),
  });
  const { url, port } = await app.listen();
  const rest = new RestClient(url, options.token);
  return {
    url,
    host: `127.0.0.1:${port}`,
    port,
    app,
    rest,
    dataDir,
    produceUrl: (map, query = '') => `ws://127.0.0.1:${port}/v1/maps/${map}/produce${query && `?${query}`}`,
    async close() {
      await rest.close();
      await app.close({ graceMs: 0 });
      await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
