/** Producers as applications write them, with the SDK: one `output` (or `outputRun`) a message, many in flight. */
import { connect, type RingbufProducer } from '../../src/client/index.js';
import { runOf } from '../peers/ringbufd-link.js';
import type { Pumped } from './pump.js';
import type { Flow, Shape } from './protocol.js';

/** The SDK's connection of one producer. */
export function openSdk(port: number, map: string): Promise<RingbufProducer> {
  return connect({ url: `ws://127.0.0.1:${port}`, map, onFull: 'block', maxUnackedBytes: 64 * 1024 * 1024 });
}

/** Calls `output` as fast as the promises resolve for a time, then waits for the rest. */
export async function pumpSdk(
  producer: RingbufProducer,
  shape: Shape,
  flow: Flow,
  seconds: number,
): Promise<Pumped> {
  const sample = new Uint8Array(shape.sampleBytes).fill(7);
  const run = runOf(shape);
  const isSingle = shape.samplesPerMessage === 1;
  const began = performance.now();
  const deadline = began + seconds * 1000;
  let messages = 0;
  const send = (): Promise<unknown> => {
    messages++;
    return isSingle ? producer.output([sample]) : producer.outputRun(run);
  };
  const inTurn = async (): Promise<void> => {
    while (performance.now() < deadline) {
      const block = Array.from({ length: flow.perBlock }, send);
      await Promise.all(block);
    }
  };
  await Promise.all(Array.from({ length: Math.floor(flow.window / flow.perBlock) }, inTurn));
  return { messages, seconds: (performance.now() - began) / 1000 };
}
