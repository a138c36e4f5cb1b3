/** Minutes at full rate: nothing may grow. */
import type { Group, GroupContext } from '../measure/group.js';
import { median } from '../measure/statistics.js';
import { countedSamples, createCountedMap, startDaemon } from '../peers/ringbufd.js';
import { atMost, type GroupResult } from '../report/results.js';
import { startProducers } from '../websocket/producers.js';
import { flowFor } from '../websocket/protocol.js';
import { residentBytes } from './memory.js';

const SECONDS = { quick: 10, full: 300 };
const READ_EVERY_MS = 500;
const RING_BYTES = 1 << 20;
const SHAPE = { sampleBytes: 64, samplesPerMessage: 56 };
/** How much more the last fifth may have than the second: what a garbage collector leaves to chance. */
const GROWTH_LIMIT = 1.1;

export const soak: Group = { name: 'soak', onRequest: true, run };

async function run({ quick, progress }: GroupContext): Promise<GroupResult> {
  const seconds = SECONDS[quick ? 'quick' : 'full'];
  const daemon = await startDaemon();
  const producers = startProducers();
  const read: number[] = [];
  const timer = setInterval(() => read.push(residentBytes(daemon.pid) / 2 ** 20), READ_EVERY_MS);
  try {
    progress(`soak: ${seconds} seconds`);
    await createCountedMap(daemon, 'soak', { max_entries: RING_BYTES });
    const flow = flowFor(4096);
    const job = {
      link: 'ringbufd',
      port: daemon.port,
      target: 'soak',
      producers: 1,
      shape: SHAPE,
      flow,
    } as const;
    const done = await producers.run({ ...job, seconds });
    const samples = done.messages * SHAPE.samplesPerMessage;
    const counted = await countedSamples(daemon, 'soak');
    if (counted !== samples) throw new Error(`soak: ${samples} acknowledged, ${counted} drained`);
    const fifth = Math.floor(read.length / 5);
    const early = median(read.slice(fifth, 2 * fifth));
    const late = median(read.slice(-fifth));
    return {
      group: 'soak',
      tables: [
        {
          key: 'soak',
          title: `${seconds} seconds at full rate, 64-byte samples in 4 KiB frames`,
          columns: [
            { key: 'samples', title: 'million samples, acknowledged and drained', digits: 1 },
            { key: 'early', title: 'resident MiB, second fifth', digits: 1 },
            { key: 'late', title: 'resident MiB, last fifth', digits: 1 },
          ],
          rows: [
            {
              name: 'ringbufd, memory',
              cells: {
                samples: { values: [samples / 1e6] },
                early: { values: [early] },
                late: { values: [late] },
              },
            },
          ],
        },
      ],
      targets: [
        atMost('resident memory at the end of a soak: times that at its start', GROWTH_LIMIT, late / early),
      ],
      skipped: [],
    };
  } finally {
    clearInterval(timer);
    await producers.stop();
    await daemon.stop();
  }
}
