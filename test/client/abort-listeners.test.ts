import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { whenAborted } from '../../src/client/abort-listeners.js';
import { producerOf, startDaemon, until } from './support.js';

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('those who wait for a signal', () => {
  it('share one listener, and are told once, in the order in which they came', () => {
    const controller = new AbortController();
    const told: number[] = [];
    for (let index = 0; index < 100; index++) whenAborted(controller.signal, () => told.push(index));
    expect(listenersOf(controller.signal)).toBe(1);
    controller.abort();
    expect(told).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(listenersOf(controller.signal)).toBe(0);
  });

  it('leave no listener when none of them waits any more, and may come again', () => {
    const { signal } = new AbortController();
    const [first, second] = [whenAborted(signal, () => undefined), whenAborted(signal, () => undefined)];
    first();
    first();
    expect(listenersOf(signal)).toBe(1);
    second();
    expect(listenersOf(signal)).toBe(0);
    whenAborted(signal, () => undefined);
    expect(listenersOf(signal)).toBe(1);
  });

  it('are not told when they have ended, also by what another of them does', () => {
    const controller = new AbortController();
    const told: string[] = [];
    const ended = whenAborted(controller.signal, () => told.push('ended'));
    whenAborted(controller.signal, () => {
      told.push('first');
      second();
    });
    const second = whenAborted(controller.signal, () => told.push('second'));
    whenAborted(controller.signal, () => told.push('third'));
    ended();
    controller.abort();
    expect(told).toEqual(['first', 'third']);
  });

  it('wait twice when they say so twice', () => {
    const controller = new AbortController();
    let told = 0;
    const run = (): void => void told++;
    whenAborted(controller.signal, run);
    whenAborted(controller.signal, run)();
    controller.abort();
    expect(told).toBe(1);
  });

  it('of one signal have nothing to do with those of another', () => {
    const [one, other] = [new AbortController(), new AbortController()];
    let told = 0;
    whenAborted(one.signal, () => told++);
    other.abort();
    expect(told).toBe(0);
    one.abort();
    expect(told).toBe(1);
  });
});

describe('a signal that outputs, waits and producers share', () => {
  it('has one listener however many they are, and none when all are over', async () => {
    const daemon = await startDaemon();
    const controller = new AbortController();
    const { signal } = controller;
    const producers = [
      await producerOf(daemon, { producer: 'a', signal }),
      await producerOf(daemon, { producer: 'b', signal }),
    ];
    expect(listenersOf(signal)).toBe(0);
    daemon.fill(4096);
    const waiting = producers.flatMap((producer) => [
      ...Array.from({ length: 20 }, () => producer.output('x', { signal })),
      ...Array.from({ length: 20 }, () => producer.reserveBlocking(8, { signal })),
      ...Array.from({ length: 20 }, () => producer.drained(9000n, { signal })),
    ]);
    const settled = Promise.allSettled(waiting);
    await until(() => daemon.sessions.every(({ watch }) => watch !== undefined));
    expect(listenersOf(signal)).toBe(1);
    controller.abort();
    expect((await settled).every(({ status }) => status === 'rejected')).toBe(true);
    expect(listenersOf(signal)).toBe(0);
  });

  it('has none when the outputs were acknowledged', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon);
    const { signal } = new AbortController();
    const outputs = Array.from({ length: 20 }, () => producer.output('x', { signal }));
    expect(listenersOf(signal)).toBe(1);
    await Promise.all(outputs);
    expect(listenersOf(signal)).toBe(0);
  });
});
