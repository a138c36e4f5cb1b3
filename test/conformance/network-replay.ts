import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Pool } from 'undici';
import { buildApp, type App } from '../../src/app.js';
import { configFromObject } from '../../src/server/config.js';
import { modeFor, NetworkPlayer } from './network-player.js';
import { findDifference, type Difference, type Replay } from './outcome.js';
import type { Trace } from './trace.js';

/** Traces that run at the same time, each on its own map and connection. */
const CONCURRENCY = 8;

/** Whether a trace can be replayed over the network: a drain from inside a callback has no REST form. */
export function hasNetworkForm(trace: Trace): boolean {
  return trace.ops.every((op) => op.op !== 'drain_nested');
}

/** A daemon in this process, for as many traces as come. */
export class NetworkReplay {
  readonly #app: App;
  readonly #origin: string;
  readonly #rest: Pool;
  readonly #dataDir: string;
  #maps = 0;

  private constructor(app: App, url: string, dataDir: string) {
    this.#app = app;
    this.#origin = new URL(url).host;
    this.#rest = new Pool(url, { connections: CONCURRENCY });
    this.#dataDir = dataDir;
  }

  static async start(): Promise<NetworkReplay> {
    const dataDir = mkdtempSync(join(tmpdir(), 'ringbufd-conformance-'));
    const { config } = configFromObject({
      listen: '127.0.0.1:0',
      data_dir: dataDir,
      // The kernel knows neither leases nor a number of reservations.
      producers: { lease_ms: 3_600_000 },
      limits: {
        max_reservations_per_connection: 1_000_000,
        max_total_ring_bytes: 2 ** 35,
        max_event_loop_delay_ms: 0,
      },
    });
    const app = await buildApp(config, { logger: pino({ level: 'silent' }) });
    const { url } = await app.listen();
    return new NetworkReplay(app, url, dataDir);
  }

  /** Replays traces, several at a time; `done` hears of each as it ends. Results are in the traces' order. */
  async replay(
    traces: readonly Trace[],
    done: (replay: Replay) => void = () => undefined,
  ): Promise<Replay[]> {
    const results = new Array<Replay>(traces.length);
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < traces.length) {
        const place = next++;
        results[place] = await this.#replayOne(traces[place]!);
        done(results[place]);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    return results;
  }

  async close(): Promise<void> {
    await this.#rest.close();
    await this.#app.close({ graceMs: 0 });
    rmSync(this.#dataDir, { recursive: true, force: true });
  }

  async #replayOne(trace: Trace): Promise<Replay> {
    const difference = await this.#findFirst(trace);
    const identical = difference ? difference.index : trace.ops.length;
    return { trace: trace.name, ops: trace.ops.length, identical, ...(difference && { difference }) };
  }

  async #findFirst(trace: Trace): Promise<Difference | undefined> {
    const way = `over the network, ${modeFor(trace)}`;
    let index = 0;
    let player: NetworkPlayer | undefined;
    try {
      player = await NetworkPlayer.start(this.#rest, this.#origin, `trace-${++this.#maps}`, trace);
      for (; index < trace.ops.length; index++) {
        const difference = findDifference(trace, index, await player.play(trace.ops[index]!), way);
        if (difference) return difference;
      }
      return undefined;
    } catch (error) {
      // An answer that fits no op is a difference like any other, and must not end the run.
      const op = trace.ops[index]?.op ?? 'poll';
      const actual = error instanceof Error ? error.message : String(error);
      return { trace: trace.name, index, op, field: 'answer', expected: 'one that fits the op', actual, way };
    } finally {
      await player?.stop().catch(() => undefined);
    }
  }
}
