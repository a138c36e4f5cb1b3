import { describe, expect, it } from 'vitest';
import type { Wakeup } from '../../src/client/index.js';
import { Op } from '../../src/wire/index.js';
import { failure, producerOf, startDaemon, until } from './support.js';

describe('reserve, submit, discard', () => {
  it('reserves, submits and discards, and tells the positions', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    const first = await producer.reserve(5);
    const second = await producer.reserve(8);
    expect([first, second]).toEqual([
      { position: 0n, size: 5 },
      { position: 16n, size: 8 },
    ]);
    expect(await producer.discard(first)).toEqual({ producerPos: 32n, consumerPos: 0n });
    await producer.submit(second, 'eight ch');
    expect(daemon.everything).toEqual(['eight ch']);
  });

  it('answers ENOSPC and E2BIG as the daemon does', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    await producer.reserve(4088);
    expect(await failure(producer.reserve(0))).toMatchObject({ errno: 'ENOSPC', retryable: true });
    expect(await failure(producer.reserve(4089))).toMatchObject({ errno: 'E2BIG', retryable: false });
    expect(await failure(producer.reserve(-1))).toMatchObject({ errno: 'EINVAL', code: 'BAD_ARGUMENT' });
  });

  it('uses a reservation once, with a payload of its size', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    const reservation = await producer.reserve(3);
    expect(await failure(producer.submit(reservation, 'four'))).toMatchObject({ errno: 'EINVAL' });
    await producer.submit(reservation, 'abc');
    expect(await failure(producer.submit(reservation, 'abc'))).toMatchObject({ errno: 'ESTALE' });
    expect(await failure(producer.discard(reservation))).toMatchObject({ code: 'RESERVATION_GONE' });
  });

  it('loses reservations with their connection', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { producer: 'p' });
    const reservation = await producer.reserve(3);
    daemon.session.socket.terminate();
    await until(() => daemon.sessions.length === 2 && producer.connected);
    expect(await failure(producer.submit(reservation, 'abc'))).toMatchObject({
      errno: 'ESTALE',
      code: 'RESERVATION_GONE',
    });
    daemon.drain();
    expect(daemon.free).toBe(4096);
  });

  it('says that nobody knows when the connection ends during SUBMIT', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { producer: 'p' });
    const reservation = await producer.reserve(3);
    daemon.fate = (frame) => (frame.op === Op.SUBMIT ? 'cut-after' : 'go');
    expect(await failure(producer.submit(reservation, 'abc'))).toMatchObject({
      errno: 'EIO',
      code: 'OUTCOME_UNKNOWN',
    });
    expect(daemon.everything).toEqual(['abc']);
  });

  it('refuses more requests than may wait for an answer', async () => {
    const daemon = await startDaemon();
    daemon.fate = () => 'ignore';
    const producer = await producerOf(daemon, { maxPendingRequests: 2 });
    const waiting = [producer.query(), producer.query()].map(failure);
    expect(await failure(producer.query())).toMatchObject({ errno: 'EAGAIN', code: 'QUEUE_FULL' });
    await producer.close({ timeoutMs: 0 });
    for (const error of await Promise.all(waiting)) expect(error.code).toBe('CLOSED');
  });
});

describe('reserveBlocking', () => {
  it('waits for a wakeup with as much room as it needs, and does not poll', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    daemon.fill(4096);
    const done = producer.reserveBlocking(100);
    await until(() => daemon.session.watch === 112);
    for (let i = 0; i < 13; i++) daemon.drain(1);
    await producer.query();
    expect(daemon.ops().filter((op) => op === Op.RESERVE).length).toBe(1);
    daemon.drain(1);
    expect(await done).toMatchObject({ size: 100, position: 4096n });
    expect(daemon.ops().filter((op) => op === Op.RESERVE).length).toBe(2);
  });

  it('fails with ETIMEDOUT after a last try', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    daemon.fill(4096);
    expect(await failure(producer.reserveBlocking(8, { timeoutMs: 20 }))).toMatchObject({
      errno: 'ETIMEDOUT',
      code: 'TIMED_OUT',
    });
    expect(daemon.ops().filter((op) => op === Op.RESERVE).length).toBe(2);
  });

  it('finds in its last try the room that a drain made without waking anybody', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    daemon.fill(4096);
    const done = producer.reserveBlocking(8, { timeoutMs: 50 });
    await until(() => daemon.session.watch !== undefined);
    daemon.drain(Infinity, 'no-wakeup');
    expect(await done).toMatchObject({ size: 8 });
  });

  it('waits for a connection, ends with its signal, and passes other errors on', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    daemon.session.socket.terminate();
    await until(() => !producer.connected);
    expect(await producer.reserveBlocking(4088)).toMatchObject({ size: 4088 });
    const controller = new AbortController();
    const aborted = producer.reserveBlocking(8, { signal: controller.signal });
    await until(() => daemon.session.watch === 16);
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    expect(await failure(producer.reserveBlocking(5000))).toMatchObject({ errno: 'E2BIG' });
  });
});

describe('watch', () => {
  it('asks for the least room of all watches and lets each see only what is for it', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    daemon.fill(4096);
    const seen: string[] = [];
    const record =
      (name: string) =>
      ({ free, forced, drained }: Wakeup): void =>
        void seen.push(`${name} ${free} ${drained}${forced ? ' forced' : ''}`);
    await producer.watch({ minFree: 64 }, record('large'));
    const off = await producer.watch({ minFree: 16 }, record('small'));
    expect(daemon.session.watch).toBe(16);
    daemon.drain(1);
    daemon.drain(1);
    daemon.drain(6);
    await producer.query();
    expect(seen).toEqual(['small 16 1', 'large 64 6', 'small 64 6']);
    off();
    daemon.fill(64);
    daemon.drain(0, 'force');
    await producer.query();
    expect(seen.slice(3)).toEqual(['large 0 0 forced']);
  });

  it('calls at once when the room is there already', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    const seen: Wakeup[] = [];
    await producer.watch({ minFree: 8 }, (wakeup) => seen.push(wakeup));
    await producer.query();
    expect(seen).toMatchObject([{ atOnce: true, writable: true, free: 4096n }]);
  });

  it('watches again after a reconnect', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    await producer.watch({ minFree: 8 }, () => undefined);
    daemon.session.socket.terminate();
    await until(() => daemon.sessions.length === 2 && daemon.session.watch === 8);
  });

  it('refuses more than the ring has', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    expect(await failure(producer.watch({ minFree: 4097 }, () => undefined))).toMatchObject({
      errno: 'E2BIG',
    });
    expect(await failure(producer.watch({ minFree: 1.5 }, () => undefined))).toMatchObject({
      errno: 'EINVAL',
    });
  });

  it('does not break when a listener throws', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    const uncaught: unknown[] = [];
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error));
    try {
      await producer.watch({}, () => {
        throw new Error('mine');
      });
      await until(() => uncaught.length === 1);
      expect(await producer.output('still here')).toMatchObject({ accepted: 1 });
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of before) process.on('uncaughtException', listener);
    }
  });
});

describe('drained', () => {
  it('resolves when the consumer position has reached the position, by wakeups', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { fallbackQueryMs: 0 });
    const { producerPos } = await producer.output(['a', 'b']);
    const order: string[] = [];
    const all = Promise.all([
      producer.drained(producerPos).then(() => order.push('second')),
      producer.drained(16n).then(() => order.push('first')),
    ]);
    await until(() => daemon.session.watch === 0);
    daemon.drain(1);
    await until(() => order.length === 1);
    daemon.drain(1);
    await all;
    expect(order).toEqual(['first', 'second']);
    await producer.drained(producerPos);
  });

  it('learns of drains that wake nobody by looking now and then', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { fallbackQueryMs: 5 });
    const { producerPos } = await producer.output('a');
    const done = producer.drained(producerPos);
    await until(() => daemon.session.watch === 0);
    daemon.drain(1, 'no-wakeup');
    await done;
  });

  it('fails with ETIMEDOUT, with its signal, and when the content is lost', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { producer: 'p' });
    const { producerPos } = await producer.output('a');
    expect(await failure(producer.drained(producerPos, { timeoutMs: 5 }))).toMatchObject({
      errno: 'ETIMEDOUT',
    });
    const signal = AbortSignal.abort();
    await expect(producer.drained(producerPos, { signal })).rejects.toBe(signal.reason);
    const lost = failure(producer.drained(producerPos));
    daemon.loseContent();
    daemon.session.socket.terminate();
    expect(await lost).toMatchObject({ errno: 'ESTALE', code: 'NEW_INCARNATION' });
  });

  it('compares positions beyond the wrap at 2^64', async () => {
    const daemon = await startDaemon({ producerPos: 2n ** 64n - 16n, consumerPos: 2n ** 64n - 16n });
    const producer = await producerOf(daemon);
    await producer.drained(2n ** 64n - 16n);
    expect(await failure(producer.drained(16n, { timeoutMs: 0 }))).toMatchObject({ errno: 'ETIMEDOUT' });
  });
});

describe('direct maps', () => {
  it('sends raw writes and commits', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    await producer.write(4090, new Uint8Array([1, 2, 3]));
    await producer.commit(2n ** 63n);
    expect(daemon.session.frames).toMatchObject([
      { op: Op.WRITE, offset: 4090n, bytes: new Uint8Array([1, 2, 3]) },
      { op: Op.COMMIT, producerPos: 2n ** 63n },
    ]);
  });
});

describe('close', () => {
  it('waits for the ACKs, closes with 1000 and refuses what comes later', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    const code = new Promise((resolve) => daemon.session.socket.on('close', resolve));
    const done = producer.output('a');
    expect(await producer.close()).toEqual({ flushed: true, failed: 0 });
    expect(await done).toMatchObject({ accepted: 1 });
    expect(await code).toBe(1000);
    expect(await failure(producer.output('b'))).toMatchObject({ errno: 'ESTALE', code: 'CLOSED' });
    expect(await failure(producer.reserve(1))).toMatchObject({ code: 'CLOSED' });
  });

  it('gives up after its time and says how many outputs were not acknowledged', async () => {
    const daemon = await startDaemon();
    daemon.fate = () => 'ignore';
    const producer = await producerOf(daemon);
    const closed: unknown[] = [];
    producer.on('close', (event) => closed.push(event));
    const open = failure(producer.output('a'));
    expect(await producer.close({ timeoutMs: 10 })).toEqual({ flushed: false, failed: 1 });
    expect(await open).toMatchObject({ code: 'CLOSED', outcomeUnknown: true });
    expect(closed).toEqual([{ error: undefined }]);
  });

  it('ends a producer that waits for its next attempt', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 } });
    daemon.session.socket.terminate();
    await until(() => !producer.connected);
    expect(await producer.close()).toEqual({ flushed: true, failed: 0 });
  });
});
