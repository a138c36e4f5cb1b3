import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import {
  handle,
  type HandleOptions,
  type OnBatch,
  type RemoteHandler,
  type RingbufError,
} from '../../src/client/index.js';
import { HandlerOp } from '../../src/wire/index.js';
import { HandlerDaemon } from './handler-daemon.js';
import { failure } from './support.js';

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const texts = (samples: readonly Uint8Array[]): string[] =>
  samples.map((sample) => new TextDecoder().decode(sample));

interface Rig {
  daemon: HandlerDaemon;
  handler: RemoteHandler;
  events: string[];
}

async function attached(onBatch: OnBatch, options: Partial<HandleOptions> = {}): Promise<Rig> {
  const daemon = new HandlerDaemon();
  const promise = handle({ ...daemon.options, onBatch, ...options });
  daemon.end.attach();
  const handler = await promise;
  const events: string[] = [];
  handler.on('attached', ({ incarnation }) => events.push(`attached ${incarnation}`));
  handler.on('role', ({ active }) => events.push(active ? 'active' : 'standby'));
  handler.on('disconnected', ({ willReconnect }) => events.push(`disconnected ${willReconnect}`));
  handler.on('reconnecting', ({ attempt, delayMs }) => events.push(`attempt ${attempt} in ${delayMs} ms`));
  return { daemon, handler, events };
}

/** A handler whose calls a test ends by hand. */
function gated(): {
  onBatch: OnBatch;
  calls: string[][];
  signals: AbortSignal[];
  finish: (verdict: 0 | 1) => void;
} {
  const calls: string[][] = [];
  const signals: AbortSignal[] = [];
  const waiting: ((verdict: 0 | 1) => void)[] = [];
  return {
    calls,
    signals,
    onBatch: (samples, _ctx, { signal }) => {
      calls.push(texts(samples));
      signals.push(signal);
      return new Promise((resolve) => waiting.push(resolve));
    },
    finish: (verdict) => waiting.shift()!(verdict),
  };
}

describe('attaching', () => {
  it('asks for the path of the handler, with credit, name and token', async () => {
    const daemon = new HandlerDaemon();
    const { clock, openWebSocket } = daemon.options;
    const promise = handle('events', 'worker', async () => 0, {
      clock: clock!,
      openWebSocket: openWebSocket!,
      url: 'https://example.test/ring/',
      client: 'w-1',
      token: 's3',
      creditBytes: 1024,
    });
    const { url, subprotocols, limits } = daemon.end;
    expect(String(url)).toBe(
      'wss://example.test/ring/v1/maps/events/handlers/worker/attach?credit=1024&client=w-1',
    );
    expect(subprotocols).toEqual(['ringbuf.v1.handler', 'bearer.czM']);
    expect(limits.maxMessageBytes).toBe(65_536);
    daemon.end.attach('standby');
    const handler = await promise;
    expect(handler.active).toBe(false);
    expect(handler.attached).toEqual({
      map: 'm',
      handler: 'h',
      incarnation: 'x',
      client: '~1',
      active: false,
      maxBatchBytes: 1000,
      timeoutMs: 5000,
    });
  });

  it.each([
    [{ map: 'no/name' }, 'map'],
    [{ handler: '..' }, 'handler'],
    [{ client: '' }, 'client'],
    [{ creditBytes: 0 }, 'creditBytes'],
    [{ keepaliveMs: -1 }, 'keepaliveMs'],
    [{ url: 'ftp://x' }, 'url'],
  ])('refuses %j before anything is opened', async (options, named) => {
    const daemon = new HandlerDaemon();
    const error = await failure(handle({ ...daemon.options, onBatch: async () => 0, ...options }));
    expect([error.errno, error.code, error.message]).toEqual([
      'EINVAL',
      'BAD_ARGUMENT',
      expect.stringContaining(`${named}:`),
    ]);
    expect(daemon.ends).toEqual([]);
  });

  it.each([
    ['another subprotocol', (d: HandlerDaemon) => d.end.open('ringbuf.v1'), 'PROTOCOL'],
    ['another first frame', (d: HandlerDaemon) => (d.end.open(), d.end.deliver(1, ['x'])), 'PROTOCOL'],
    ['text', (d: HandlerDaemon) => (d.end.open(), d.end.sendText()), 'PROTOCOL'],
    ['no address', (d: HandlerDaemon) => d.end.end(), 'CONNECT_REFUSED'],
    [
      'a refusal',
      (d: HandlerDaemon) =>
        d.end.end({ refusal: { status: 404, body: '{"errno":"ENOENT","detail":"no handler"}' } }),
      'CONNECT_REFUSED',
    ],
    ['silence', (d: HandlerDaemon) => d.clock.advance(10_000), 'TIMED_OUT'],
  ])('fails on %s, once and for all', async (_what, happen, code) => {
    const daemon = new HandlerDaemon();
    const promise = failure(handle({ ...daemon.options, onBatch: async () => 0 }));
    happen(daemon);
    expect((await promise).code).toBe(code);
    daemon.clock.advance(100_000);
    expect(daemon.ends).toHaveLength(1);
    expect(daemon.clock.timers).toBe(0);
  });

  it('ends with the reason of the signal', async () => {
    const daemon = new HandlerDaemon();
    const abort = new AbortController();
    const promise = handle({ ...daemon.options, onBatch: async () => 0, signal: abort.signal });
    abort.abort(new Error('not now'));
    await expect(promise).rejects.toThrow('not now');
    expect(daemon.end.terminated).toBe(true);
  });
});

describe('a delivery', () => {
  it('is handed over as views, with ctx and positions, and answered', async () => {
    const seen: unknown[] = [];
    const { daemon } = await attached(async (samples, ctx, info) => {
      seen.push(texts(samples), ctx, info.delivery, info.position, info.positionOf(0), info.positionOf(2));
      seen.push([info.map, info.handler, info.incarnation], new Set(samples.map((s) => s.buffer)).size);
      expect(() => info.positionOf(3)).toThrow(RangeError);
      return 0;
    });
    daemon.end.deliver(9, ['one', '', 'three'], '{"k":1}', 4096n);
    await settled();
    expect(seen).toEqual([['one', '', 'three'], { k: 1 }, 9n, 4096n, 4096n, 4096n + 24n, ['m', 'h', 'x'], 1]);
    expect(daemon.end.heard).toEqual([
      { op: HandlerOp.ANSWER, seq: 9n, failed: false, consumed: 3, stop: false },
    ]);
  });

  it('without a ctx has {}', async () => {
    const seen: unknown[] = [];
    const { daemon } = await attached(async (_samples, ctx) => (seen.push(ctx), 0));
    daemon.end.deliver(1, ['x']);
    await settled();
    expect(seen).toEqual([{}]);
  });

  it.each([
    [0, { failed: false, consumed: 2, stop: false }],
    [1, { failed: false, consumed: 2, stop: true }],
    [{ consumed: 1 }, { failed: false, consumed: 1, stop: false }],
    [
      { consumed: 0, stop: true },
      { failed: false, consumed: 0, stop: true },
    ],
    [{ consumed: 3 }, { failed: true, errno: 22 }],
    [{ consumed: -1 }, { failed: true, errno: 22 }],
    [
      { consumed: 1, stop: 1 },
      { failed: true, errno: 22 },
    ],
    [2, { failed: true, errno: 22 }],
    [undefined, { failed: true, errno: 22 }],
    [null, { failed: true, errno: 22 }],
    ['0', { failed: true, errno: 22 }],
  ])('with the verdict %j is answered %j', async (verdict, expected) => {
    const { daemon } = await attached((async () => verdict) as OnBatch);
    daemon.end.deliver(1, ['a', 'b']);
    await settled();
    expect(daemon.end.heard).toMatchObject([expected]);
  });

  const fail = (what: unknown) => (): never => {
    throw what;
  };

  it.each([
    ['throws', fail(new Error('away')), 'away'],
    ['rejects', () => Promise.reject(new Error('away')), 'away'],
    ['throws no Error', fail('a string'), 'a string'],
    ['has much to say', fail(new Error('x'.repeat(2000))), 'x'.repeat(512)],
  ])('whose handler %s is answered with EIO and the message', async (_what, onBatch, message) => {
    const { daemon } = await attached(onBatch);
    daemon.end.deliver(1, ['a']);
    await settled();
    expect(daemon.end.heard).toEqual([{ op: HandlerOp.ANSWER, seq: 1n, failed: true, errno: 5, message }]);
  });

  it.each([
    [
      'a run that is none',
      (d: HandlerDaemon) =>
        d.end.send({
          op: HandlerOp.DELIVER,
          seq: 1n,
          samples: 2,
          position: 0n,
          ctx: new Uint8Array(0),
          run: new Uint8Array(8),
        }),
    ],
    ['a ctx that is no JSON', (d: HandlerDaemon) => d.end.deliver(1, ['x'], '{')],
    ['no frame at all', (d: HandlerDaemon) => d.end.sendBytes(Uint8Array.of(0x91))],
  ])('with %s ends the connection for good', async (_what, send) => {
    const { daemon, handler } = await attached(async () => 0);
    send(daemon);
    expect(await handler.ended).toMatchObject({ errno: 'EPROTO', code: 'PROTOCOL' });
    expect(daemon.ends).toHaveLength(1);
  });

  it('that was given up aborts the signal, and is answered all the same', async () => {
    const { onBatch, signals, finish } = gated();
    const { daemon } = await attached(onBatch);
    daemon.end.deliver(1, ['a']);
    await settled();
    daemon.end.send({ op: HandlerOp.CANCEL, seq: 7n, errno: 110 });
    expect(signals[0]!.aborted).toBe(false);
    daemon.end.send({ op: HandlerOp.CANCEL, seq: 1n, errno: 110 });
    expect(signals[0]!.aborted).toBe(true);
    finish(0);
    await settled();
    expect(daemon.end.heard).toMatchObject([{ seq: 1n, consumed: 1 }]);
  });
});

describe('a lost connection', () => {
  it('aborts the delivery, is made again, and hands out the next delivery when the old call has ended', async () => {
    const { onBatch, calls, signals, finish } = gated();
    const { daemon, events } = await attached(onBatch);
    daemon.end.deliver(1, ['a']);
    await settled();
    daemon.end.end();
    expect(signals[0]!.aborted).toBe(true);
    expect(events).toEqual(['standby', 'disconnected true', 'attempt 1 in 50 ms']);
    daemon.clock.advance(50);
    daemon.end.attach('active', 'y');
    daemon.end.deliver(2, ['a']);
    await settled();
    // One call at a time, whatever happens to connections.
    expect(calls).toEqual([['a']]);
    finish(0);
    await settled();
    expect(calls).toEqual([['a'], ['a']]);
    expect(daemon.end.heard).toEqual([]);
    finish(0);
    await settled();
    expect(daemon.end.heard).toMatchObject([{ seq: 2n, consumed: 1 }]);
    expect(events.slice(3)).toEqual(['attached y', 'active']);
  });

  it('takes with it a delivery that was not handed out yet', async () => {
    const { onBatch, calls, finish } = gated();
    const { daemon } = await attached(onBatch);
    daemon.end.deliver(1, ['a']);
    daemon.end.end();
    daemon.clock.advance(50);
    daemon.end.attach();
    daemon.end.deliver(2, ['a']);
    daemon.end.end();
    finish(0);
    await settled();
    expect(calls).toEqual([['a']]);
  });

  it('is made again after 1012, and not after 4503', async () => {
    const { daemon, handler, events } = await attached(async () => 0);
    daemon.end.end({ code: 1012, reason: 'ENOENT: the handler was removed or replaced' });
    daemon.clock.advance(50);
    expect(daemon.ends).toHaveLength(2);
    daemon.end.attach();
    daemon.end.end({ code: 4503, reason: 'EPERM: no' });
    expect(await handler.ended).toMatchObject({ errno: 'EPERM', closeCode: 4503 });
    expect(events.at(-1)).toBe('disconnected false');
  });

  it('is the end with reconnect: false', async () => {
    const { daemon, handler } = await attached(async () => 0, { reconnect: false });
    daemon.end.end();
    expect(((await handler.ended) as RingbufError).code).toBe('DISCONNECTED');
    expect(daemon.clock.timers).toBe(0);
  });

  it('is noticed by silence: the credit, said again, is not confirmed', async () => {
    const { daemon, events } = await attached(async () => 0, { keepaliveMs: 1000 });
    daemon.clock.advance(1000);
    const [credit] = daemon.end.heard;
    expect(credit).toMatchObject({ op: HandlerOp.CREDIT, bytes: 4 * 2 ** 20 });
    daemon.end.send({ op: HandlerOp.ROLE, seq: credit!.seq, active: true });
    daemon.clock.advance(1000);
    expect(daemon.end.terminated).toBe(false);
    daemon.clock.advance(1000);
    expect(daemon.end.terminated).toBe(true);
    await settled();
    expect(events).toContain('disconnected true');
  });
});

describe('close', () => {
  it('takes nothing more, finishes what is at hand, answers it, and says goodbye', async () => {
    const { onBatch, calls, finish } = gated();
    const { daemon, handler } = await attached(onBatch);
    daemon.end.deliver(1, ['a']);
    await settled();
    let closed = false;
    void handler.close().then(() => (closed = true));
    expect(handler.close()).toBe(handler.close());
    expect(daemon.end.heard).toEqual([{ op: HandlerOp.CREDIT, seq: 1n, bytes: 0 }]);
    finish(0);
    daemon.end.send({ op: HandlerOp.ROLE, seq: 0n, active: false });
    await settled();
    expect(daemon.end.closed).toBeUndefined();
    // Answered, and then crossed by a delivery that was on its way: only the ROLE says that none will come.
    expect(daemon.end.heard.slice(1)).toMatchObject([{ seq: 1n, consumed: 1 }]);
    daemon.end.deliver(2, ['b']);
    daemon.end.send({ op: HandlerOp.ROLE, seq: 1n, active: false });
    await settled();
    expect([closed, daemon.end.closed]).toEqual([false, undefined]);
    finish(0);
    await settled();
    expect(calls).toEqual([['a'], ['b']]);
    expect(daemon.end.heard.slice(2)).toMatchObject([{ seq: 2n, consumed: 1 }]);
    expect([closed, daemon.end.closed]).toEqual([true, { code: 1000, reason: '' }]);
    expect(await handler.ended).toBeUndefined();
    expect(daemon.clock.timers).toBe(0);
  });

  it('waits no longer than timeoutMs', async () => {
    const { onBatch } = gated();
    const { daemon, handler } = await attached(onBatch);
    daemon.end.deliver(1, ['a']);
    await settled();
    const closing = handler.close({ timeoutMs: 300 });
    daemon.clock.advance(300);
    await closing;
    expect(daemon.end.closed).toEqual({ code: 1000, reason: '' });
  });

  it('does not wait for a connection that is gone', async () => {
    const { daemon, handler } = await attached(async () => 0);
    const closing = handler.close();
    daemon.end.end();
    await closing;
    expect(daemon.clock.timers).toBe(0);
    const again = await attached(async () => 0);
    again.daemon.end.end();
    await again.handler.close();
    expect(again.daemon.clock.timers).toBe(0);
    expect(again.daemon.ends).toHaveLength(1);
  });

  it('is what the signal does once attached', async () => {
    const abort = new AbortController();
    const { daemon, handler } = await attached(async () => 0, { signal: abort.signal });
    abort.abort();
    daemon.end.send({ op: HandlerOp.ROLE, seq: 1n, active: false });
    expect(await handler.ended).toBeUndefined();
    expect(daemon.end.closed).toEqual({ code: 1000, reason: '' });
  });

  it('leaves nothing on the signal', async () => {
    const { signal } = new AbortController();
    const { daemon, handler } = await attached(async () => 0, { signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    const closing = handler.close({ timeoutMs: 0 });
    daemon.end.end();
    await closing;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('follows also when the signal aborts in the moment of attaching', async () => {
    const daemon = new HandlerDaemon();
    const abort = new AbortController();
    const promise = handle({ ...daemon.options, onBatch: async () => 0, signal: abort.signal });
    daemon.end.attach();
    abort.abort();
    const handler = await promise;
    daemon.end.send({ op: HandlerOp.ROLE, seq: 1n, active: false });
    expect(await handler.ended).toBeUndefined();
  });
});
