import { beforeEach, describe, expect, it } from 'vitest';
import { Consumer, createUserRing, Errno, Producer, SampleRun, type UserRing } from '../../src/ring/index.js';

describe.each([false, true])('a journalled ring (shared: %s)', (shared) => {
  let ring: UserRing;
  let producer: Producer;
  let consumer: Consumer;
  const publish = (): void => ring.publish(ring.producerPosition, ring.consumerPosition);
  const drain = (): string[] => {
    const seen: string[] = [];
    consumer.drain((sample) => {
      seen.push(new TextDecoder().decode(sample.copy()));
      return 0;
    }, null);
    return seen;
  };
  const put = (text: string): number => producer.output(new TextEncoder().encode(text));

  beforeEach(() => {
    ring = createUserRing({ maxEntries: 4096 }, { mode: 'managed', shared, journalled: true });
    producer = new Producer(ring);
    consumer = new Consumer(ring);
  });

  it('shows a drain nothing before it is published', () => {
    put('a');
    expect(ring.available).toBe(0);
    expect(drain()).toEqual([]);
    publish();
    put('b');
    expect(ring.available).toBe(16);
    expect(drain()).toEqual(['a']);
    expect(ring.available).toBe(0);
    publish();
    expect(drain()).toEqual(['b']);
  });

  it('shows a run nothing before it is published', () => {
    put('a');
    publish();
    put('b');
    const run = new SampleRun(ring);
    consumer.begin(0);
    expect(consumer.peekRun(run, Infinity)).toBe(1);
    consumer.end(0);
  });

  it('gives no room back before the release is published', () => {
    producer.output(new Uint8Array(4088));
    publish();
    expect(drain()).toHaveLength(1);
    expect(ring.used).toBe(0);
    expect(ring.free).toBe(0);
    expect(ring.writable).toBe(false);
    expect(ring.freedPosition).toBe(0n);
    expect(put('b')).toBe(-Errno.ENOSPC);
    expect(producer.outputRun(new Uint8Array(8))).toBe(-Errno.ENOSPC);
    publish();
    expect(ring.free).toBe(4096);
    expect(ring.freedPosition).toBe(4096n);
    expect(put('b')).toBe(0);
  });

  it('carries both positions over the end of a u32, and into a shared image', () => {
    const far = 2n ** 32n - 8n;
    ring.producerPosition = far;
    ring.consumerPosition = far;
    publish();
    put('a');
    expect(ring.free).toBe(4080);
    publish();
    ring.share(true);
    expect(drain()).toEqual(['a']);
    expect(ring.free).toBe(4080);
    publish();
    expect(ring.free).toBe(4096);
    expect(ring.visiblePosition).toBe(far + 16n);
    expect(ring.freedPosition).toBe(far + 16n);
  });
});

describe('a ring without a journal', () => {
  it('answers for both positions with its ordinary ones', () => {
    const ring = createUserRing({ maxEntries: 4096 }, { mode: 'managed' });
    new Producer(ring).output(new Uint8Array(8));
    expect(ring.available).toBe(16);
    expect(ring.visiblePosition).toBe(16n);
    expect(ring.freedPosition).toBe(0n);
    expect(ring.free).toBe(4080);
    new Consumer(ring).drain(() => 0, null);
    expect(ring.freedPosition).toBe(16n);
    // The bytes that a journalled ring uses stay as the kernel leaves them.
    expect([...ring.bytes.subarray(8, 4096), ...ring.bytes.subarray(4104, 8192)].every((b) => b === 0)).toBe(
      true,
    );
  });
});
