import { describe, expect, it } from 'vitest';
import { Consumer, createUserRing, Producer, type SampleRun } from '../../src/ring/index.js';
import { runDrain } from '../../src/server/drain-runner.js';
import { RingbufdError } from '../../src/server/errors.js';
import type { BatchHandler, BatchVerdict } from '../../src/server/handlers/handler.js';

const SAMPLES = 10;

function drainWith(
  onRun: (run: SampleRun) => Promise<BatchVerdict>,
  options: Pick<BatchHandler, 'maxRunSamples'> = {},
) {
  const ring = createUserRing({ maxEntries: 4096 }, { mode: 'managed' });
  const producer = new Producer(ring);
  for (let i = 0; i < SAMPLES; i++) producer.output(Uint8Array.of(i));
  const handler: BatchHandler = {
    shape: 'batch',
    maxRunBytes: 1024,
    ...options,
    begin: () => undefined,
    onRun,
    state: () => ({}),
    close: async () => undefined,
  };
  const consumer = new Consumer(ring);
  const request = { handler, ctx: {}, flags: 0, map: 'm', incarnation: 'i' };
  return { ring, consumer, outcome: Promise.resolve(runDrain(ring, consumer, request, () => undefined)) };
}

describe('a drain through a batch handler', () => {
  it('releases what was consumed before a failure, and ends with the errno of the failure', async () => {
    const error = new RingbufdError('HANDLER_TIMEOUT');
    const { ring, consumer, outcome } = drainWith(async () => ({ consumed: 3, stop: false, error }));
    expect(await outcome).toMatchObject({ ret: -110, drained: 3, stopped: false, wakeup: true, error });
    expect(ring.consumerPosition).toBe(48n);
    expect(consumer.busy).toBe(false);
  });

  it('gives a handler no more samples at once than it wants', async () => {
    const sizes: number[] = [];
    const { outcome } = drainWith(
      async (run) => {
        sizes.push(run.samples);
        return { consumed: run.samples, stop: false };
      },
      { maxRunSamples: 4 },
    );
    expect(await outcome).toMatchObject({ ret: SAMPLES, drained: SAMPLES });
    expect(sizes).toEqual([4, 4, 2]);
  });

  it('takes a claim to have consumed more than was given for what was given', async () => {
    const { ring, outcome } = drainWith(async () => ({ consumed: 1000, stop: true }));
    expect(await outcome).toMatchObject({ ret: SAMPLES, stopped: true });
    expect(ring.used).toBe(0);
  });
});
