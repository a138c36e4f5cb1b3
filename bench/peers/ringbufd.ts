import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Absent, Contender } from './contender.js';
import { stop, type ServerProcess } from './server.js';

export type Durability = 'memory' | 'written' | 'synced';

const RING_BYTES = 1 << 20;
/** A benchmark asks while the daemon is as busy as can be: that it answers late is no reason not to answer. */
const LIMITS = ['--limits-max-event-loop-delay-ms', '0'];
const SETTLE_TIMEOUT_MS = 10_000;

/** A daemon in a process of its own, as it is built, with its REST. */
export interface RunningDaemon extends ServerProcess {
  readonly port: number;
  /** @returns the status and the body, parsed */
  call: (method: string, path: string, body?: unknown) => Promise<{ status: number; body: unknown }>;
}

/** Starts the daemon that `npm run build` has built. @param flags of `ringbufd serve` */
export async function startDaemon(
  flags: readonly string[] = [],
  nodeFlags: readonly string[] = [],
): Promise<RunningDaemon> {
  const folder = mkdtempSync(join(tmpdir(), 'ringbufd-bench-'));
  const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
  const args = [
    'serve',
    '--listen',
    '127.0.0.1:0',
    '--data-dir',
    folder,
    '--log-level',
    'warn',
    ...LIMITS,
    ...flags,
  ];
  const child = spawn(process.execPath, [...nodeFlags, main, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(() => {
      throw new Error('the daemon did not start');
    }),
  ])) as [string];
  const { url } = JSON.parse(line) as { url: string };
  return {
    pid: child.pid!,
    port: Number(new URL(url).port),
    async call(method, path, body) {
      const response = await fetch(`${url}${path}`, {
        method,
        ...(body !== undefined && {
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json' },
        }),
      });
      const text = await response.text();
      return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
    },
    async stop() {
      await stop(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Creates a map that a `count` handler drains by itself. @throws Error unless it was created */
export async function createCountedMap(
  daemon: RunningDaemon,
  map: string,
  attributes: { max_entries: number; durability?: Durability },
): Promise<void> {
  const created = await daemon.call('PUT', `/v1/maps/${map}`, attributes);
  if (created.status !== 201) throw new Error(`the map was refused: ${titleOf(created.body)}`);
  const handler = {
    kind: 'count',
    config: {},
    trigger: { mode: 'auto', flags: [], min_bytes: 1, max_delay_ms: 0 },
  };
  const put = await daemon.call('PUT', `/v1/maps/${map}/handlers/count`, handler);
  if (put.status !== 201) throw new Error(`the handler was refused: ${titleOf(put.body)}`);
}

/** What an error says, RFC 9457. */
function titleOf(body: unknown): string {
  const { title } = (body ?? {}) as { title?: unknown };
  return typeof title === 'string' ? title : JSON.stringify(body);
}

/** Samples that the `count` handler of a map has had. */
export async function countedSamples(daemon: RunningDaemon, map: string): Promise<number> {
  const { body } = await daemon.call('GET', `/v1/maps/${map}/handlers/count`);
  return (body as { state: { samples: number } }).state.samples;
}

/** What the journal of a map has had of its disk. */
export interface JournalUse {
  readonly syncs: number;
  /** In which a sync was under way. */
  readonly syncSeconds: number;
}

/** @throws Error for a map that does not exist */
export async function journalUse({ port }: RunningDaemon, map: string): Promise<JournalUse> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const read = (name: string): number => {
    const value = new RegExp(`^ringbufd_${name}\\{map="${map}"\\} (.+)$`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`there is no ringbufd_${name} of map "${map}"`);
    return Number(value);
  };
  return {
    syncs: read('journal_syncs_total'),
    syncSeconds: read('journal_sync_seconds_total'),
  };
}

/** What {@link startRingbufd} starts. */
export type RingbufdContender = Contender & { readonly server: RunningDaemon };

/**
 * ringbufd at one durability: acknowledged, and drained by a `count` handler.
 * @param nodeFlags for a profile, or another disk
 */
export async function startRingbufd(
  durability: Durability,
  nodeFlags: readonly string[] = [],
): Promise<RingbufdContender | Absent> {
  const name = `ringbufd, ${durability}`;
  const daemon = await startDaemon([], nodeFlags);
  const target = `bench-${durability}`;
  try {
    await createCountedMap(daemon, target, { max_entries: RING_BYTES, durability });
  } catch (error) {
    await daemon.stop();
    return { name, absent: error instanceof Error ? error.message : String(error) };
  }
  let before = 0;
  return {
    name,
    link: 'ringbufd',
    server: daemon,
    port: daemon.port,
    target,
    setting: 'ringbuf.v1, a ring of 1 MiB, every sample acknowledged and drained by a count handler',
    overheadBytes: 16,
    batches: 'frames',
    async settle(samples) {
      const deadline = performance.now() + SETTLE_TIMEOUT_MS;
      let counted = 0;
      while ((counted = (await countedSamples(daemon, target)) - before) < samples)
        if (performance.now() > deadline) break;
      before += counted;
      if (counted !== samples) throw new Error(`${name}: ${samples} acknowledged, ${counted} drained`);
    },
    stop: () => daemon.stop(),
  };
}

/** The same daemon, with producers that use the SDK: what an application gets. */
export async function startRingbufdForSdk(): Promise<Contender | Absent> {
  const started = await startRingbufd('memory');
  if ('absent' in started) return started;
  return {
    ...started,
    name: 'ringbufd, memory, by the SDK',
    link: 'sdk',
    setting: `${started.setting}; the producers call output() or outputRun() of the SDK, which copies, numbers and masks`,
  };
}
