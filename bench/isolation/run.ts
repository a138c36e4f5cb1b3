/**
 * `npm run isolation [-- --seconds N] [--rounds N] [--out FILE]`: what a hostile handler costs the other maps. Measures what two
 * maps take at most, then offers them 30 % of that, in turns without and with each hostile handler on a third map. Prints a
 * table, writes JSON. Exit status: 0 it ran, whatever the figures are.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { connect } from '../../src/client/index.js';
import { DaemonProcess } from '../../test/support/daemon-process.js';
import { HOSTILE_BYTE, HOSTILE_HANDLERS, type HostileHandler } from '../../test/support/hostile-handlers.js';
import { Latencies } from '../latency/histogram.js';
import { thisCommit, thisMachine } from '../measure/machine.js';
import { median } from '../measure/statistics.js';
import { Neighbours } from './neighbours.js';

const OFFERED_SHARE = 0.3;
const LIVEZ_EVERY_MS = 5;
/** Shorter pauses than anybody's: a hostile handler that is left alone for long harms nobody. */
const DRAIN = { backoff_min_ms: 5, backoff_max_ms: 20 };

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '1' },
    out: { type: 'string', default: 'coverage/isolation.json' },
  },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
if (!(seconds > 0) || !(rounds >= 1)) throw new RangeError('--seconds and --rounds take positive numbers');

interface Window {
  /** Samples a second that the other maps drained. */
  rate: number;
  /** Unit: ms. */
  livezP99: number;
  /** How late this process itself was, the servers and clients of the handlers included: part of `livezP99`. Unit: ms. */
  ownDelayP99: number;
}

const daemon = await DaemonProcess.start({ drain: DRAIN });
try {
  const neighbours = await Neighbours.open(daemon, ['other-a', 'other-b']);
  await neighbours.saturate(2);
  const saturation = await neighbours.saturate(3);
  await neighbours.rest();
  const offered = saturation * OFFERED_SHARE;
  const measure = async (): Promise<Window> => {
    const livez = watchLivez();
    const own = monitorEventLoopDelay({ resolution: 2 });
    own.enable();
    const rate = await neighbours.offer(offered, seconds);
    own.disable();
    return { rate, livezP99: await livez.end(), ownDelayP99: own.percentile(99) / 1e6 };
  };
  await measure();

  const results = HOSTILE_HANDLERS.map(({ name }) => ({
    name,
    without: [] as Window[],
    with: [] as Window[],
  }));
  for (let round = 0; round < rounds; round++)
    for (const [index, hostile] of HOSTILE_HANDLERS.entries()) {
      await neighbours.rest();
      results[index]!.without.push(await measure());
      const stop = await startHostile(hostile, `hostile-${round}-${index}`);
      results[index]!.with.push(await measure());
      await stop();
      process.stderr.write(`isolation: round ${round + 1}, ${hostile.name}\n`);
    }
  neighbours.close();

  const table = results.map((result) => {
    const shares = result.with.map(({ rate }, at) => rate / result.without[at]!.rate);
    return {
      handler: result.name,
      throughput_percent: Math.round(median(shares) * 1000) / 10,
      livez_p99_ms_without: tenths(median(result.without.map(({ livezP99 }) => livezP99))),
      livez_p99_ms_with: tenths(median(result.with.map(({ livezP99 }) => livezP99))),
      own_delay_p99_ms_with: tenths(median(result.with.map(({ ownDelayP99 }) => ownDelayP99))),
    };
  });
  // More processes that want to run than there are cores: the figures are of the scheduler, not of the daemon.
  const load = loadavg()[0]!;
  console.log(`load of the machine in the last minute: ${tenths(load)} on ${cpus().length} cores`);
  console.log(`saturation: ${Math.round(saturation)} samples/s, offered: ${Math.round(offered)} samples/s`);
  console.table(table);
  mkdirSync(dirname(values.out), { recursive: true });
  const head = { machine: thisMachine(), commit: thisCommit(), load, seconds, rounds, saturation, offered };
  writeFileSync(values.out, `${JSON.stringify({ ...head, table, results }, undefined, 1)}\n`);
} finally {
  await daemon.destroy();
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Asks whether the daemon lives, every few milliseconds, whether or not it has answered. */
function watchLivez(): { end(): Promise<number> } {
  const latencies = new Latencies();
  const asked: Promise<void>[] = [];
  const ask = async (): Promise<void> => {
    const began = performance.now();
    await daemon.rest.expect(200, 'GET', '/livez');
    latencies.record(performance.now() - began);
  };
  const timer = setInterval(() => asked.push(ask()), LIVEZ_EVERY_MS);
  return {
    async end() {
      clearInterval(timer);
      await Promise.all(asked);
      return latencies.percentiles.p99 / 1000;
    },
  };
}

/** A map with the handler, and a producer that keeps it supplied. */
async function startHostile(hostile: HostileHandler, map: string): Promise<() => Promise<void>> {
  await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}`, { max_entries: 65_536 });
  const stopHandler = await hostile.start(daemon, map);
  const producer = await connect({ url: daemon.url, map, producer: 'victim' });
  const stopped = new AbortController();
  const feeding = feed(stopped.signal);
  async function feed(signal: AbortSignal): Promise<void> {
    const samples = Array.from({ length: 50 }, () => Buffer.alloc(100, HOSTILE_BYTE));
    while (!signal.aborted) {
      // Ends by the signal alone: a full ring is waited for.
      await producer.output(samples, { signal }).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  return async () => {
    stopped.abort();
    await feeding;
    await producer.close().catch(() => undefined);
    await stopHandler();
    const path = `/v1/maps/${map}`;
    await daemon.rest.expect(200, 'POST', `${path}/handlers/hostile/disable`);
    while ((await daemon.rest.call('DELETE', `${path}/handlers/hostile`)).status === 409)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await daemon.rest.expect(204, 'DELETE', path);
  };
}
