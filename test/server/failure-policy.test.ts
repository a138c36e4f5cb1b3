import { beforeEach, describe, expect, it } from 'vitest';
import { decodeDeadLetter } from '../../src/server/dead-letter-envelope.js';
import { RingbufdError } from '../../src/server/errors.js';
import { statusOf } from '../../src/server/handler-table.js';
import type { HostedMap } from '../../src/server/hosted-map.js';
import type { DrainResult } from '../../src/server/drain-call.js';
import { completeOnError, type OnErrorInput } from '../../src/server/on-error.js';
import { records } from '../../src/ring/index.js';
import type { ManualClock } from '../support/manual-clock.js';
import { hostMaps, store, type HostedMaps } from './hosted.js';

let hosted: HostedMaps;
let clock: ManualClock;
let map: HostedMap;
let dlq: HostedMap;
/** Samples that make the handler fail. */
let poison: Set<string>;
/** Everything that the handler was asked about, and what it answered for. */
let asked: string[];
let taken: string[];

beforeEach(() => {
  hosted = hostMaps();
  ({ clock } = hosted);
  map = hosted.maps.create('m', { maxEntries: 4096 }).map;
  dlq = hosted.maps.create('dlq', { maxEntries: 4096 }).map;
  poison = new Set();
  asked = [];
  taken = [];
});

const auto = { mode: 'auto', flags: [], min_bytes: 1, max_delay_ms: 0 } as const;
const manual = { mode: 'manual' } as const;
const deadLetter = { policy: 'dead_letter', map: 'dlq', max_attempts: 3 } as const;

async function put(
  onError: OnErrorInput,
  trigger: typeof auto | typeof manual = auto,
  on = map,
): Promise<void> {
  const spec = { kind: 'count', config: {}, trigger, onError: completeOnError(onError) };
  const { registered } = await on.putHandler('h', spec);
  Object.assign(registered.handler, {
    onSample(sample: { copy: () => Uint8Array }) {
      const text = new TextDecoder().decode(sample.copy());
      asked.push(text);
      if (poison.has(text)) throw new Error(`cannot take ${text}`);
      taken.push(text);
      return 0;
    },
  });
}

const health = (): HostedMap['handlers'] extends { get(name: string): infer R } ? R : never =>
  map.handlers.get('h');
const status = (): string => statusOf(health(), hosted.scheduler.stateOf(map));
const drain = (): DrainResult => map.drain('h', 0, {}) as DrainResult;

/** Turns the clock through pauses until nothing happens any more. */
function settle(pauses = 20): void {
  clock.runAllSoon();
  for (let i = 0; i < pauses && clock.timers > 0; i++) {
    clock.advance(30_000);
    clock.runAllSoon();
  }
}

function lettersIn(target: HostedMap): Record<string, unknown>[] {
  return [...records(target.ring)].map(
    (record) => JSON.parse(new TextDecoder().decode(record.payload())) as never,
  );
}

function expectConserved(...maps: HostedMap[]): void {
  for (const { name, counters, ring } of maps) {
    const { acceptedSamples, drainedSamples, discardedSamples, deadLetteredSamples } = counters;
    expect({
      name,
      out: drainedSamples + discardedSamples + deadLetteredSamples + [...records(ring)].length,
    }).toEqual({
      name,
      out: acceptedSamples,
    });
    expect(counters.bufferedSamples).toBe([...records(ring)].length);
    expect(counters.acceptedBytes - counters.releasedBytes).toBe(ring.used);
  }
}

describe('stop', () => {
  it('keeps the sample at the head and tries for ever, with pauses of the configuration', async () => {
    await put({ policy: 'stop' });
    poison.add('b');
    store(map, 'a', 'b', 'c');
    settle(50);
    expect(taken).toEqual(['a']);
    expect(health().health).toMatchObject({ attempts: 51, faulted: false, retries: 50 });
    expect(status()).toBe('backing_off');
    poison.clear();
    settle();
    expect(taken).toEqual(['a', 'b', 'c']);
    expect([status(), health().health.attempts, health().health.lastError]).toEqual(['running', 0, null]);
    expectConserved(map);
  });
});

describe('retry', () => {
  it('has pauses of its own, doubling', async () => {
    await put({ policy: 'retry', backoff_min_ms: 7, backoff_max_ms: 50 });
    poison.add('a');
    store(map, 'a');
    clock.runAllSoon();
    const pauses: number[] = [];
    for (let i = 0; i < 6; i++) {
      const { backoff_ms } = hosted.scheduler.stateOf(map)!;
      pauses.push(backoff_ms);
      clock.advance(backoff_ms);
      clock.runAllSoon();
    }
    expect(pauses).toEqual([7, 14, 28, 50, 50, 50]);
  });

  it('is faulted after max_attempts at one sample, and its trigger stops', async () => {
    await put({ policy: 'retry', max_attempts: 4 });
    poison.add('b');
    store(map, 'a', 'b', 'c');
    settle();
    expect(asked).toEqual(['a', 'b', 'b', 'b', 'b']);
    expect([status(), clock.timers, hosted.scheduler.stateOf(map)]).toEqual(['faulted', 0, null]);
    store(map, 'd');
    settle();
    expect(asked).toHaveLength(5);
    expect(health().health).toMatchObject({
      attempts: 4,
      lastError: { errno: 'EIO', message: 'cannot take b' },
    });
    expect(map.ring.used).toBe(48);
    expectConserved(map);
  });

  it('counts attempts at each sample anew', async () => {
    await put({ policy: 'retry', max_attempts: 3 });
    let calls = 0;
    Object.assign(health().handler, {
      onSample() {
        // Each sample is taken at the third attempt.
        if (++calls % 3 !== 0) throw new Error('not yet');
        return 0;
      },
    });
    store(map, ...Array.from({ length: 9 }, (_, i) => String(i)));
    settle(30);
    expect([map.ring.used, status()]).toEqual([0, 'running']);
  });

  it('goes on where it stopped when it is enabled again', async () => {
    await put({ policy: 'retry', max_attempts: 2 });
    poison.add('a');
    store(map, 'a', 'b');
    settle();
    expect(status()).toBe('faulted');
    poison.clear();
    map.enableHandler('h', true);
    settle();
    expect([taken, status()]).toEqual([['a', 'b'], 'running']);
  });

  it('is over its fault when a drain by hand succeeds', async () => {
    await put({ policy: 'retry', max_attempts: 2 });
    poison.add('a');
    store(map, 'a');
    settle();
    expect(drain()).toMatchObject({ ret: -5 });
    expect(status()).toBe('faulted');
    poison.clear();
    expect(drain()).toMatchObject({ ret: 1 });
    expect(status()).toBe('running');
    store(map, 'b');
    settle();
    expect(taken).toEqual(['a', 'b']);
  });

  it('of a manual handler counts the drains by hand', async () => {
    await put({ policy: 'retry', max_attempts: 2 }, manual);
    poison.add('a');
    store(map, 'a');
    expect([drain().ret, status(), drain().ret, status()]).toEqual([-5, 'running', -5, 'faulted']);
  });
});

describe('dead_letter', () => {
  it('puts the sample, and how it came to that, into the other map, and goes on behind it', async () => {
    await put(deadLetter);
    poison.add('b');
    store(map, 'a', 'b', 'c', 'd');
    settle();
    expect(asked).toEqual(['a', 'b', 'b', 'b', 'c', 'd']);
    expect(taken).toEqual(['a', 'c', 'd']);
    expect(lettersIn(dlq)).toEqual([
      {
        dead_letter: 1,
        map: 'm',
        incarnation: map.incarnation,
        pos: '16',
        handler: 'h',
        kind: 'count',
        errno: 'EIO',
        reason: 'cannot take b',
        attempts: 3,
        time: expect.stringMatching(/^2030-01-01T/) as string,
        sample: 'b',
      },
    ]);
    expect(health().health).toMatchObject({ deadLetters: 1, attempts: 0 });
    expect(map.counters).toMatchObject({ deadLetteredSamples: 1, drainedSamples: 3, bufferedSamples: 0 });
    expectConserved(map, dlq);
  });

  it('goes on at once, without waiting for min_bytes again', async () => {
    await put({ ...deadLetter, max_attempts: 1 }, { ...auto, min_bytes: 64 } as never);
    poison.add('a');
    store(map, 'a', 'b', 'c', 'd');
    clock.runAllSoon();
    expect([taken, map.ring.used]).toEqual([['b', 'c', 'd'], 0]);
  });

  it('tells a drain by hand what became of the sample, and ends behind it', async () => {
    await put(deadLetter, manual);
    poison.add('a');
    store(map, 'a', 'b');
    expect([drain().ret, drain().ret]).toEqual([-5, -5]);
    expect(drain()).toMatchObject({
      ret: 0,
      drained: 0,
      deadLettered: 1,
      wakeup: true,
      consumerPos: 16n,
      deadLetters: [{ position: 0n, map: 'dlq', errno: 'EIO', message: 'cannot take a', attempts: 3 }],
    });
    expect(drain()).toMatchObject({ ret: 1, deadLettered: 0, deadLetters: [] });
    expectConserved(map, dlq);
  });

  it('wakes as a released sample does: not with NO_WAKEUP', async () => {
    await put({ ...deadLetter, max_attempts: 1 }, manual);
    poison.add('a');
    store(map, 'a');
    expect(map.drain('h', 1, {})).toMatchObject({ deadLettered: 1, wakeup: false });
  });

  it.each([
    ['bytes that are no text', Uint8Array.of(0, 255, 254)],
    ['text with control characters', new TextEncoder().encode('a\u0000b')],
    ['a byte order mark', new TextEncoder().encode('\ufeffbom')],
    ['quotes and line feeds', new TextEncoder().encode('"\\\n\r\t\u2028')],
    ['nothing', new Uint8Array(0)],
  ])('keeps %s as they were', async (_what, sample) => {
    await put({ ...deadLetter, max_attempts: 1 }, manual);
    Object.assign(health().handler, {
      onSample() {
        throw new Error('no');
      },
    });
    store(map, sample);
    drain();
    const [letter] = [...records(dlq.ring)];
    expect(decodeDeadLetter(letter!.payload())).toEqual({ map: 'm', sample: Uint8Array.from(sample) });
  });

  describe('that is not taken', () => {
    beforeEach(async () => {
      await put({ ...deadLetter, max_attempts: 1 }, manual);
      poison.add('a');
      store(map, 'a', 'b');
    });

    it('by a full map: the sample stays, ENOSPC is seen, and it goes once there is room', () => {
      store(dlq, 'x'.repeat(3900));
      expect(drain()).toMatchObject({ ret: -5, deadLettered: 0, deadLetters: [] });
      expect(health().health.deadLetterError).toMatchObject({ errno: 'ENOSPC' });
      expect(map.counters.refused.get('ENOSPC|dead_letter')).toBe(1);
      expect(map.ring.used).toBe(32);
      expectConserved(map, dlq);
      dlq.ring.consumerPosition = dlq.ring.producerPosition;
      expect(drain()).toMatchObject({ ret: 0, deadLettered: 1 });
      expect(health().health.deadLetterError).toBeNull();
      expect(lettersIn(dlq)).toHaveLength(1);
    });

    it('because there is no such map: ENOENT, until there is one again', async () => {
      await hosted.maps.delete('dlq');
      expect(drain()).toMatchObject({ ret: -5, deadLettered: 0 });
      expect(health().health.deadLetterError).toMatchObject({ errno: 'ENOENT' });
      dlq = hosted.maps.create('dlq', { maxEntries: 4096 }).map;
      expect(drain()).toMatchObject({ deadLettered: 1 });
      expectConserved(map, dlq);
    });

    it('by a direct map: EPERM', async () => {
      await hosted.maps.delete('dlq');
      hosted.maps.create('dlq', { maxEntries: 4096, mode: 'direct' });
      drain();
      expect(health().health.deadLetterError).toMatchObject({ errno: 'EPERM' });
    });

    it('by a map that could never hold it: E2BIG, nothing is dropped', () => {
      const big = hosted.maps.create('big', { maxEntries: 65_536 }).map;
      return put({ ...deadLetter, max_attempts: 1 }, manual, big).then(() => {
        poison.add('y'.repeat(5000));
        store(big, 'y'.repeat(5000));
        expect(big.drain('h', 0, {})).toMatchObject({ ret: -5, deadLettered: 0 });
        expect(big.handlers.get('h').health.deadLetterError).toMatchObject({ errno: 'E2BIG' });
        expectConserved(big);
      });
    });

    it('and the handler takes the sample after all: it is no dead letter', () => {
      store(dlq, 'x'.repeat(3900));
      drain();
      poison.clear();
      expect(drain()).toMatchObject({ ret: 2 });
      expect(health().health).toMatchObject({ deadLetters: 0, deadLetterError: null });
      expectConserved(map, dlq);
    });
  });

  it('does not touch a malformed record of a direct map: no handler was asked about it', async () => {
    const direct = hosted.maps.create('direct', { maxEntries: 4096, mode: 'direct' }).map;
    await put({ ...deadLetter, max_attempts: 1 }, manual, direct);
    direct.intake.commit(12n);
    for (let i = 0; i < 3; i++) expect(direct.drain('h', 0, {})).toMatchObject({ ret: -22, deadLettered: 0 });
    expect(direct.handlers.get('h').health).toMatchObject({ attempts: 0, lastError: { errno: 'EINVAL' } });
    expect(dlq.ring.used).toBe(0);
  });

  it('takes a sample of a direct map that its handler fails on', async () => {
    const direct = hosted.maps.create('direct', { maxEntries: 4096, mode: 'direct' }).map;
    await put({ ...deadLetter, max_attempts: 1 }, manual, direct);
    direct.intake.write(0, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 97, 0, 0, 0, 0, 0, 0, 0));
    direct.intake.commit(16n);
    poison.add('a');
    expect(direct.drain('h', 0, {})).toMatchObject({ deadLettered: 1, consumerPos: 16n });
    expect(lettersIn(dlq)).toMatchObject([{ map: 'direct', sample: 'a' }]);
  });
});

describe('a failure that no sample is to blame for', () => {
  it.each(['NOBODY_ATTACHED', 'HANDLER_NO_SPACE', 'HANDLER_ASKED_TO_WAIT'] as const)(
    '%s uses up no attempt',
    async (key) => {
      await put({ ...deadLetter, max_attempts: 1 }, manual);
      Object.assign(health().handler, {
        shape: 'batch',
        maxRunBytes: 4096,
        onRun: () => Promise.reject(new RingbufdError(key)),
      });
      store(map, 'a');
      for (let i = 0; i < 3; i++) expect((await map.drain('h', 0, {})).ret).toBeLessThan(0);
      expect(health().health.attempts).toBe(0);
      expect([map.ring.used, dlq.ring.used]).toEqual([16, 0]);
    },
  );
});

describe('a handler that is disabled', () => {
  it('drains no more, neither by itself nor by hand, and goes on when enabled', async () => {
    await put({ policy: 'stop' });
    store(map, 'a');
    map.enableHandler('h', false);
    map.enableHandler('h', false);
    settle();
    expect([asked, status(), hosted.scheduler.stateOf(map)]).toEqual([[], 'disabled', null]);
    expect(drain).toThrow(expect.objectContaining({ key: 'HANDLER_DISABLED' }) as Error);
    expect(map.counters.refused.get('EAGAIN|handler_disabled')).toBe(1);
    map.enableHandler('h', true);
    map.enableHandler('h', true);
    settle();
    expect([taken, status()]).toEqual([['a'], 'running']);
  });

  it('may be registered so', async () => {
    await map.putHandler('h', { kind: 'count', config: {}, trigger: auto, enabled: false });
    store(map, 'a');
    settle();
    expect([map.ring.used, status()]).toEqual([16, 'disabled']);
  });

  it('lets the drain under way end', async () => {
    await put({ policy: 'stop' }, manual);
    let answer = (_verdict: { consumed: number; stop: boolean }): void => undefined;
    Object.assign(health().handler, {
      shape: 'batch',
      maxRunBytes: 4096,
      onRun: () => new Promise((resolve) => (answer = resolve)),
    });
    store(map, 'a');
    const drained = map.drain('h', 0, {});
    map.enableHandler('h', false);
    answer({ consumed: 1, stop: true });
    expect(await drained).toMatchObject({ ret: 1 });
  });
});
