/** Latencies of the daemon, seen from raw connections. */
import { Op } from '../../src/wire/index.js';
import { createCountedMap, type RunningDaemon } from '../peers/ringbufd.js';
import { runOf } from '../peers/ringbufd-link.js';
import { FrameConnection } from './frame-connection.js';
import { Latencies } from './histogram.js';
import type { Load } from './load.js';
import { startOpenLoop } from './open-loop.js';

const RING_BYTES = 1 << 20;
export const SAMPLE_BYTES = 64;
const RECORD_BYTES = 72;

/**
 * One sample at a time under an open load: until its ACK is read, and until a WAKEUP says that it was drained.
 * @param map a name that is not taken yet
 */
export async function measureSampleLatency(
  daemon: RunningDaemon,
  map: string,
  load: Load,
): Promise<{ acked: Latencies; drained: Latencies }> {
  await createCountedMap(daemon, map, { max_entries: RING_BYTES });
  const connection = await FrameConnection.open(daemon.port, map);
  const acked = new Latencies();
  const drained = new Latencies();
  const run = runOf({ sampleBytes: SAMPLE_BYTES, samplesPerMessage: 1 });
  connection.send({ op: Op.WATCH, seq: 0n, on: true, minFree: 0 });
  let ackedUpTo = 0;
  let drainedUpTo = 0;
  const { sends, dueAt, sent } = startOpenLoop({
    ...load,
    send: (index) => connection.send({ op: Op.OUTPUT, seq: index + 1, atomic: false, resend: false, run }),
  });
  const everything = new Promise<void>((resolve, reject) => {
    connection.onFrame = (frame) => {
      const now = performance.now();
      if (frame.op === Op.ACK) while (ackedUpTo < Number(frame.seq)) acked.record(now - dueAt(ackedUpTo++));
      else if (frame.op === Op.WAKEUP)
        while (drainedUpTo < Number(frame.consumerPos) / RECORD_BYTES)
          drained.record(now - dueAt(drainedUpTo++));
      else if (frame.op === Op.ERROR) reject(new Error(frame.message));
      if (ackedUpTo === sends && drainedUpTo === sends) resolve();
    };
  });
  await Promise.all([sent, everything]);
  connection.close();
  await daemon.call('DELETE', `/v1/maps/${map}`);
  return { acked, drained };
}
