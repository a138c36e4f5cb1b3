import { afterEach } from 'vitest';
import { connect, RingbufError, type ConnectOptions, type RingbufProducer } from '../../src/client/index.js';
import { FakeDaemon } from './fake-daemon.js';

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A fake daemon that is stopped after the test. */
export async function startDaemon(settings: Partial<FakeDaemon> = {}): Promise<FakeDaemon> {
  const daemon = await FakeDaemon.start(settings);
  cleanups.push(() => daemon.stop());
  return daemon;
}

/** A producer of that daemon that is closed after the test; reconnects fast. */
export async function producerOf(
  daemon: FakeDaemon,
  options: Partial<ConnectOptions> = {},
): Promise<RingbufProducer> {
  const producer = await connect({
    url: daemon.url,
    map: 'm',
    reconnect: { minDelayMs: 1, maxDelayMs: 5 },
    ...options,
  });
  cleanups.push(() => producer.close({ timeoutMs: 0 }));
  return producer;
}

/** Waits, with a bound, until `condition` holds. */
export async function until(condition: () => boolean, what = condition.toString()): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`did not happen: ${what}`);
}

/** The RingbufError that a promise fails with. */
export async function failure(promise: Promise<unknown>): Promise<RingbufError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RingbufError) return error;
    throw error;
  }
  throw new Error('it should have failed');
}
