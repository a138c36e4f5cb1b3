import { beforeEach, describe, expect, it } from 'vitest';
import type { HostedMap } from '../../../src/server/hosted-map.js';
import { hostMaps, store } from '../hosted.js';

let map: HostedMap;
beforeEach(() => {
  ({ map } = hostMaps().maps.create('m', { maxEntries: 65536 }));
});

const put = (config: Record<string, unknown> = {}): Promise<unknown> =>
  map.putHandler('c', { kind: 'capture', config, trigger: { mode: 'manual' } });
const drain = (ctx: unknown = {}): void => void map.drain('c', 0, ctx);
const state = (): { calls: number; samples: { len: number; head: string }[] } =>
  map.handlers.get('c').handler.state() as ReturnType<typeof state>;
const heads = (): string[] => state().samples.map(({ head }) => Buffer.from(head, 'hex').toString());

describe('the capture handler', () => {
  it('keeps the length and the first bytes of samples, in order', async () => {
    await put({ head_bytes: 3 });
    store(map, 'abcdef', 'gh', '');
    drain();
    expect(state()).toEqual({
      calls: 3,
      samples: [
        { len: 6, head: '616263' },
        { len: 2, head: '6768' },
        { len: 0, head: '' },
      ],
    });
  });

  it('keeps the newest when there are more than max', async () => {
    await put({ max: 3 });
    for (const sample of ['a', 'b', 'c', 'd', 'e']) store(map, sample);
    drain();
    expect([state().calls, heads()]).toEqual([5, ['c', 'd', 'e']]);
    store(map, 'f');
    drain();
    expect(heads()).toEqual(['d', 'e', 'f']);
  });

  it('keeps the first when told to', async () => {
    await put({ max: 3, keep: 'first' });
    for (const sample of ['a', 'b', 'c', 'd', 'e']) store(map, sample);
    drain();
    expect([state().calls, heads()]).toEqual([5, ['a', 'b', 'c']]);
  });

  it('goes on over drains, until one is told to reset it first', async () => {
    await put({ max: 2 });
    store(map, 'a', 'b', 'c');
    drain();
    store(map, 'd');
    drain({ reset: false });
    expect([state().calls, heads()]).toEqual([4, ['c', 'd']]);
    store(map, 'e');
    drain({ reset: true });
    expect([state().calls, heads()]).toEqual([1, ['e']]);
    drain({ reset: true });
    expect(state()).toEqual({ calls: 0, samples: [] });
  });

  it('forgets the stop_after of the drain before', async () => {
    await put();
    store(map, 'a', 'b', 'c', 'd');
    drain({ stop_after: 2 });
    expect(heads()).toEqual(['a', 'b']);
    drain();
    expect(heads()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('copies: later writes into the ring do not change what it shows', async () => {
    await put();
    store(map, 'first!!!');
    drain();
    for (let i = 0; i < 5000; i++) {
      store(map, 'zzzzzzzz');
      drain({ stop_after: 1 });
    }
    await put({ keep: 'first' });
    store(map, 'first!!!');
    drain();
    for (let i = 0; i < 5000; i++) {
      store(map, 'zzzzzzzz');
      drain();
    }
    expect(heads()[0]).toBe('first!!!');
  });
});
