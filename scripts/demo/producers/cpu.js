// @ts-check
/**
 * The producer `cpu`: the SDK with a producer id, one `output` call per batch. Now and then it sends a burst that is
 * larger than the ring, meets ENOSPC, and goes on when the daemon wakes it.
 */
import { connect, RingbufError } from 'ringbufd/client';
import { readCpu } from '../host-readings.js';
import { SampleNumberer } from '../sample-text.js';
import { runProducer } from './producer-process.js';
import { ticks } from './sampling-clock.js';

const FIRST_BURST_MS = 900;
const BURST_EVERY_MS = 5_000;
/** Bytes of a burst, by the size of the ring. */
const BURST_FACTOR = 1.25;

await runProducer(async ({ job, stop, progress }) => {
  const producer = await connect({ url: job.url, map: job.map, producer: 'cpu' });
  producer.on('wakeup', () => progress.wakeups++);
  const numberer = new SampleNumberer('cpu');
  const read = () => readCpu(job.procRoot).map((reading) => numberer.next(reading));

  let burstAt = performance.now() + FIRST_BURST_MS;
  for await (const _tick of ticks(job.everyMs, stop)) {
    const samples = read();
    if (performance.now() >= burstAt) {
      burstAt += BURST_EVERY_MS;
      let bytes = 0;
      while (bytes < producer.welcome.maxEntries * BURST_FACTOR) {
        const more = read();
        bytes += more.reduce((sum, sample) => sum + sample.length, 0);
        samples.push(...more);
      }
    }
    await store(samples);
  }
  await producer.close();

  /** @param {string[]} samples */
  async function store(samples) {
    progress.sent += samples.length;
    try {
      const { accepted } = await producer.output(samples, { whenFull: 'fail' });
      progress.stored += accepted;
    } catch (error) {
      // A plain `output(samples)` would do the same by itself; it is in two steps here to be counted.
      if (!(error instanceof RingbufError) || error.errno !== 'ENOSPC') throw error;
      progress.stored += error.accepted;
      progress.enospc++;
      progress.waits++;
      progress.waiting = true;
      const { accepted } = await producer.output(samples.slice(error.accepted), { whenFull: 'wait' });
      progress.stored += accepted;
      progress.waiting = false;
    }
  }
});
