// @ts-check
/**
 * The producer `memory`: the SDK with reserve and submit, as a program that uses libbpf would do it. Room is reserved
 * first, waiting for it if need be, and the sample is written into it.
 */
import { connect, RingbufError } from 'ringbufd/client';
import { readMemory } from '../host-readings.js';
import { SampleNumberer } from '../sample-text.js';
import { runProducer } from './producer-process.js';
import { ticks } from './sampling-clock.js';

const encoder = new TextEncoder();

await runProducer(async ({ job, stop, progress }) => {
  const producer = await connect({ url: job.url, map: job.map, producer: 'memory' });
  producer.on('wakeup', () => progress.wakeups++);
  const numberer = new SampleNumberer('memory');

  for await (const _tick of ticks(job.everyMs, stop)) {
    const payload = encoder.encode(numberer.next(readMemory(job.procRoot)));
    progress.sent++;
    const reservation = await reserve(payload.length);
    await producer.submit(reservation, payload);
    progress.stored++;
  }
  await producer.close();

  /** @param {number} size */
  async function reserve(size) {
    try {
      return await producer.reserve(size);
    } catch (error) {
      // `reserveBlocking` alone would do; it is in two steps here to be counted.
      if (!(error instanceof RingbufError) || error.errno !== 'ENOSPC') throw error;
      progress.enospc++;
      progress.waits++;
      progress.waiting = true;
      const reservation = await producer.reserveBlocking(size);
      progress.waiting = false;
      return reservation;
    }
  }
});
