/** What a sample costs the daemon as maps get more and as a ring gets larger. */
import { cpuSeconds } from '../peers/server.js';
import { countedSamples, createCountedMap, startDaemon, type RunningDaemon } from '../peers/ringbufd.js';
import { flowFor, type Shape } from '../websocket/protocol.js';
import type { Producers } from '../websocket/producers.js';

const SHAPE: Shape = { sampleBytes: 64, samplesPerMessage: 56 };
const RECORD_BYTES = 72;
const SMALL_RING = 1 << 16;
const USUAL_RING = 1 << 20;
const TARGET = 'target';

/** Nanoseconds of the daemon's processor time per sample, in 4 KiB frames of 64-byte samples. */
export async function costPerSample(
  daemon: RunningDaemon,
  producers: Producers,
  map: string,
  seconds: number,
): Promise<number> {
  const flow = flowFor(SHAPE.samplesPerMessage * RECORD_BYTES + 16);
  const before = cpuSeconds(daemon.pid);
  const had = await countedSamples(daemon, map);
  const done = await producers.run({
    link: 'ringbufd',
    port: daemon.port,
    target: map,
    producers: 1,
    shape: SHAPE,
    flow,
    seconds,
  });
  const samples = done.messages * SHAPE.samplesPerMessage;
  let counted = 0;
  for (let tries = 0; counted < samples && tries < 1000; tries++)
    counted = (await countedSamples(daemon, map)) - had;
  if (counted !== samples) throw new Error(`${map}: ${samples} acknowledged, ${counted} drained`);
  return ((cpuSeconds(daemon.pid) - before) * 1e9) / samples;
}

/** A daemon that has `maps` maps, each with a handler that drains it; the one that is measured is among them. */
export async function startWithMaps(maps: number): Promise<{ daemon: RunningDaemon; target: string }> {
  const daemon = await startDaemon();
  for (let number = 1; number < maps; number++)
    await createCountedMap(daemon, `other-${number}`, { max_entries: SMALL_RING });
  await createCountedMap(daemon, TARGET, { max_entries: USUAL_RING });
  return { daemon, target: TARGET };
}

/** A daemon with one map whose ring has `bytes` bytes. */
export async function startWithRing(bytes: number): Promise<{ daemon: RunningDaemon; target: string }> {
  const daemon = await startDaemon();
  await createCountedMap(daemon, TARGET, { max_entries: bytes });
  return { daemon, target: TARGET };
}
