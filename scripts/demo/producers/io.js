// @ts-check
/**
 * The producer `io`: plain mode. Any WebSocket client is a producer: each message is a sample, a full ring pauses the
 * socket, and the answer to the Close says that everything before it is stored.
 */
import { once } from 'node:events';
import WebSocket from 'ws';
import { readIo } from '../host-readings.js';
import { SampleNumberer } from '../sample-text.js';
import { runProducer } from './producer-process.js';
import { ticks } from './sampling-clock.js';

const NORMAL_CLOSURE = 1000;

await runProducer(async ({ job, stop, progress }) => {
  const socket = new WebSocket(`${job.url.replace(/^http/, 'ws')}/v1/maps/${job.map}/produce`);
  await once(socket, 'open');
  const closed = once(socket, 'close');
  socket.on('error', () => undefined); // 'close' follows and says what there is to say
  const numberer = new SampleNumberer('io');

  for await (const _tick of ticks(job.everyMs, stop)) {
    if (socket.readyState !== WebSocket.OPEN) break;
    for (const reading of readIo(job.procRoot)) {
      socket.send(numberer.next(reading));
      progress.sent++;
    }
  }
  socket.close(NORMAL_CLOSURE);
  const [code, reason] = await closed;
  if (code !== NORMAL_CLOSURE)
    throw new Error(`closed with ${code} ${reason}: nobody knows what of ${progress.sent} samples is stored`);
  progress.stored = progress.sent;
});
