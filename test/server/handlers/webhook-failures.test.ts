import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../support/until.js';
import { answer, neverAnswer, Receiver, reset, type Behaviour } from './webhook-receiver.js';
import { DelayLog, messageOf, Rig } from './webhook-rig.js';

const EIO = -5;
const ETIMEDOUT = -110;

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startReceiver(...behaviours: Behaviour[]): Promise<Receiver> {
  const receiver = await Receiver.start({ behaviours });
  cleanups.push(() => receiver.stop());
  return receiver;
}

function makeRig(options: ConstructorParameters<typeof Rig>[0]): Rig {
  const rig = new Rig(options);
  cleanups.push(() => rig.handler.close());
  return rig;
}

const hasDelays = (clock: DelayLog, count: number) =>
  until(() => clock.delays.length === count, `timer number ${count}`);

/** With random 0.5 the first pauses are 75 % of 250, 500, 1000 … ms. */
const FIRST_PAUSE_MS = 187.5;

describe('a webhook whose server fails', () => {
  it('delivers at the second attempt after a 500, and releases only then', async () => {
    const clock = new DelayLog();
    const receiver = await startReceiver(answer(500), answer(200));
    const rig = makeRig({ config: { url: receiver.url() }, clock });
    rig.put('a', 'b');
    const drained = rig.drain();
    await hasDelays(clock, 2);
    expect(clock.delays).toEqual([10_000, FIRST_PAUSE_MS]);
    expect(rig.buffered).toBe(2);
    expect(rig.busy).toBe(true);
    clock.advance(FIRST_PAUSE_MS - 0.5);
    expect(receiver.requests).toHaveLength(1);
    clock.advance(0.5);
    expect(await drained).toMatchObject({ ret: 2, drained: 2, wakeup: true });
    const [first, second] = receiver.requests;
    expect(second!.body).toEqual(first!.body);
    expect(second!.headers['idempotency-key']).toBe(first!.headers['idempotency-key']);
    expect(rig.state).toMatchObject({
      samples: 2,
      attempts: 2,
      retries: 1,
      last_status: 200,
      last_error: null,
    });
    expect(rig.busy).toBe(false);
  });

  it('gives up after max_attempts with growing pauses, and releases nothing', async () => {
    const clock = new DelayLog();
    const receiver = await startReceiver(answer(503));
    const rig = makeRig({ config: { url: receiver.url(), max_attempts: 3, backoff_max_ms: 300 }, clock });
    rig.put('a', 'b', 'c');
    const drained = rig.drain();
    await hasDelays(clock, 2);
    clock.advance(clock.delays[1]!);
    await hasDelays(clock, 4);
    clock.advance(clock.delays[3]!);
    const outcome = await drained;
    expect(clock.delays.filter((_, index) => index % 2 === 1)).toEqual([FIRST_PAUSE_MS, 225]);
    expect(outcome).toMatchObject({ ret: EIO, drained: 0, wakeup: false });
    expect(messageOf(outcome)).toBe(`http://127.0.0.1:${receiver.port}: HTTP 503 (3 attempts)`);
    expect(receiver.requests).toHaveLength(3);
    expect(rig.buffered).toBe(3);
    expect(clock.timers).toBe(0);
  });

  it.each([
    ['seconds', '7'],
    // The clock stands one second after the start of the year.
    ['a date', 'Tue, 01 Jan 2030 00:00:08 GMT'],
  ])('waits as long as a 429 asks in %s', async (_form, retryAfter) => {
    const clock = new DelayLog();
    const receiver = await startReceiver(answer(429, { 'retry-after': retryAfter }), answer(200));
    const rig = makeRig({ config: { url: receiver.url() }, clock });
    rig.put('a');
    const drained = rig.drain();
    await hasDelays(clock, 2);
    expect(clock.delays[1]).toBe(7000);
    clock.advance(6999);
    expect(receiver.requests).toHaveLength(1);
    clock.advance(1);
    expect(await drained).toMatchObject({ ret: 1 });
  });

  it('does not hold the drain for a Retry-After beyond the budget, nor ask again before it', async () => {
    const clock = new DelayLog();
    const receiver = await startReceiver(answer(503, { 'retry-after': '60' }), answer(200));
    const rig = makeRig({ config: { url: receiver.url() }, clock });
    rig.put('a');
    expect(await rig.drain()).toMatchObject({ ret: EIO, error: { retryAfterMs: 60_000 } });
    clock.advance(59_000);
    const early = await rig.drain();
    expect(early).toMatchObject({ ret: -11, error: { key: 'HANDLER_ASKED_TO_WAIT', retryAfterMs: 1000 } });
    expect(messageOf(early)).toContain('asked to wait');
    expect(rig.state).toMatchObject({ retry_after_ms: 1000 });
    expect(receiver.requests).toHaveLength(1);
    clock.advance(1000);
    expect(await rig.drain()).toMatchObject({ ret: 1 });
    expect(rig.state).toMatchObject({ retry_after_ms: 0 });
  });

  it('honours a Retry-After no longer than max_retry_after_ms', async () => {
    const clock = new DelayLog();
    const receiver = await startReceiver(answer(503, { 'retry-after': '9999999999' }));
    const rig = makeRig({ config: { url: receiver.url(), max_retry_after_ms: 45_000 }, clock });
    rig.put('a');
    expect(await rig.drain()).toMatchObject({ ret: EIO, error: { retryAfterMs: 45_000 } });
  });

  it.each([400, 401, 404, 409, 413, 422])('does not try again after %i', async (status) => {
    const receiver = await startReceiver(answer(status, { 'retry-after': '1' }));
    const rig = makeRig({ config: { url: receiver.url() }, clock: new DelayLog() });
    rig.put('a');
    const outcome = await rig.drain();
    expect(outcome).toMatchObject({ ret: EIO, drained: 0, error: { key: 'HANDLER_FAILED' } });
    expect(messageOf(outcome)).toContain(`HTTP ${status}`);
    expect(receiver.requests).toHaveLength(1);
    expect(rig.state).toMatchObject({ last_status: status, retries: 0 });
  });

  it('ends an attempt that hangs after timeout_ms, and the drain after budget_ms', async () => {
    const clock = new DelayLog();
    const receiver = await startReceiver(neverAnswer);
    const config = { url: receiver.url(), timeout_ms: 1000, budget_ms: 1700, backoff_min_ms: 400 };
    const rig = makeRig({ config, clock });
    rig.put('a');
    const drained = rig.drain();
    await until(() => receiver.requests.length === 1);
    clock.advance(999);
    expect(rig.busy).toBe(true);
    clock.advance(1);
    await hasDelays(clock, 2);
    clock.advance(300);
    await until(() => receiver.requests.length === 2);
    // What is left of the budget bounds the last attempt.
    expect(clock.delays).toEqual([1000, 300, 400]);
    clock.advance(400);
    const outcome = await drained;
    expect(outcome).toMatchObject({ ret: ETIMEDOUT, drained: 0, error: { key: 'HANDLER_TIMEOUT' } });
    expect(messageOf(outcome)).toContain('no answer within 400 ms (2 attempts)');
    expect(rig.buffered).toBe(1);
  });

  it('ends an attempt whose answer comes in drops', async () => {
    const clock = new DelayLog();
    let drip: NodeJS.Timeout | undefined;
    cleanups.push(async () => clearInterval(drip));
    const receiver = await startReceiver((response) => {
      response.socket!.write('HTTP/1.1 200 OK\r\n');
      drip = setInterval(() => response.socket?.write('x-drop: 1\r\n'), 2);
    });
    const rig = makeRig({ config: { url: receiver.url(), max_attempts: 1 }, clock });
    rig.put('a');
    const drained = rig.drain();
    await until(() => receiver.requests.length === 1);
    clock.advance(10_000);
    expect(await drained).toMatchObject({ ret: ETIMEDOUT, drained: 0 });
  });

  it('takes a 2xx for delivered when only the rest of the answer hangs', async () => {
    const clock = new DelayLog();
    const receiver = await startReceiver((response) => response.writeHead(200).write('a'));
    const rig = makeRig({ config: { url: receiver.url() }, clock });
    let statusSeen = false;
    const onHeaders = () => void (statusSeen = true);
    subscribe('undici:request:headers', onHeaders);
    cleanups.push(async () => void unsubscribe('undici:request:headers', onHeaders));
    rig.put('a');
    const drained = rig.drain();
    await until(() => statusSeen, 'the status has arrived');
    expect(rig.busy).toBe(true);
    clock.advance(10_000);
    expect(await drained).toMatchObject({ ret: 1 });
    expect(receiver.requests).toHaveLength(1);
  });

  it('drops a connection that is reset, and delivers over a new one', async () => {
    const clock = new DelayLog();
    const receiver = await startReceiver(reset, answer(200));
    const rig = makeRig({ config: { url: receiver.url() }, clock });
    rig.put('a');
    const drained = rig.drain();
    await hasDelays(clock, 2);
    clock.advance(FIRST_PAUSE_MS);
    expect(await drained).toMatchObject({ ret: 1 });
    expect(receiver.sockets).toHaveLength(2);
  });

  it('fails, and later delivers, when nobody listened at first', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await until(() => free.listening);
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const rig = makeRig({ config: { url: `http://127.0.0.1:${port}/`, max_attempts: 1 } });
    rig.put('a');
    const outcome = await rig.drain();
    expect(outcome).toMatchObject({ ret: EIO });
    expect(messageOf(outcome)).toContain('ECONNREFUSED');
    const receiver = await Receiver.start({ port });
    cleanups.push(() => receiver.stop());
    expect(await rig.drain()).toMatchObject({ ret: 1 });
  });

  it('ends a connection attempt after connect_timeout_ms', async () => {
    const resolve = () => new Promise<never>(() => undefined);
    const config = { url: 'http://slow.example/', connect_timeout_ms: 50, max_attempts: 1 };
    const rig = makeRig({ config, clock: new DelayLog(), resolve });
    rig.put('a');
    expect(messageOf(await rig.drain())).toBe('http://slow.example: no connection in time (1 attempt)');
  });

  it('bounds an attempt by timeout_ms also while it waits for its connection', async () => {
    const clock = new DelayLog();
    const resolve = () => new Promise<never>(() => undefined);
    const config = {
      url: 'http://slow.example/',
      timeout_ms: 1000,
      connect_timeout_ms: 60_000,
      max_attempts: 1,
    };
    const rig = makeRig({ config, clock, resolve });
    rig.put('a');
    const drained = rig.drain();
    clock.advance(1000);
    expect(messageOf(await drained)).toBe('http://slow.example: no answer within 1000 ms (1 attempt)');
  });

  it('does not deliver over TLS to a server without a certificate to trust', async () => {
    const receiver = await startReceiver(answer(200));
    const rig = makeRig({ config: { url: receiver.url().replace('http:', 'https:'), max_attempts: 1 } });
    rig.put('a');
    for (let i = 0; i < 2; i++) expect(await rig.drain()).toMatchObject({ ret: EIO, drained: 0 });
    expect(receiver.requests).toHaveLength(0);
  });

  it.each([200, 500])('reads only the start of a 1 GB answer with status %i', async (status) => {
    const GIGABYTE = 2 ** 30;
    const chunk = Buffer.alloc(64 * 1024);
    let sent = 0;
    const receiver = await startReceiver((response) => {
      response.on('error', () => undefined).writeHead(status, { 'content-length': String(GIGABYTE) });
      const more = () => {
        while (sent < GIGABYTE && !response.destroyed) {
          sent += chunk.length;
          if (!response.write(chunk)) return;
        }
      };
      response.on('drain', more);
      more();
    });
    const rig = makeRig({ config: { url: receiver.url(), max_attempts: 1 } });
    rig.put('a');
    expect(await rig.drain()).toMatchObject({ ret: status === 200 ? 1 : EIO });
    await until(() => receiver.sockets.every((socket) => socket.destroyed), 'the connection is dropped');
    // What the kernel buffers on both sides of a loopback socket is most of it.
    expect(sent).toBeLessThan(32 * 2 ** 20);
    expect(receiver.requests).toHaveLength(1);
    expect(receiver.sockets).toHaveLength(1);
  });

  it('refuses an answer whose headers have no end', async () => {
    const receiver = await startReceiver((response) => {
      response.socket!.write(`HTTP/1.1 200 OK\r\nx-long: ${'x'.repeat(100_000)}`);
    });
    const rig = makeRig({ config: { url: receiver.url(), max_attempts: 1 } });
    rig.put('a');
    const outcome = await rig.drain();
    expect(outcome).toMatchObject({ ret: EIO, drained: 0 });
    expect(messageOf(outcome)).toMatch(/header/i);
  });

  it('refuses an answer that is not HTTP', async () => {
    const server: Server = createServer((socket) => socket.resume().end('220 mail.example ESMTP\r\n'));
    server.listen(0, '127.0.0.1');
    await until(() => server.listening);
    cleanups.push(() => new Promise((resolve) => server.close(() => resolve())));
    const { port } = server.address() as AddressInfo;
    const rig = makeRig({ config: { url: `http://127.0.0.1:${port}/`, max_attempts: 1 } });
    rig.put('a');
    expect(await rig.drain()).toMatchObject({ ret: EIO, drained: 0 });
    expect(rig.buffered).toBe(1);
  });
});

describe('closing a webhook', () => {
  it('ends the pause between attempts, and with it the drain', async () => {
    const clock = new DelayLog();
    const receiver = await startReceiver(answer(500));
    const rig = makeRig({ config: { url: receiver.url() }, clock });
    rig.put('a');
    const drained = rig.drain();
    await hasDelays(clock, 2);
    await rig.handler.close();
    expect(await drained).toMatchObject({ ret: EIO, drained: 0 });
    expect(clock.timers).toBe(0);
    expect(receiver.requests).toHaveLength(1);
    expect(messageOf(await rig.drain())).toContain('the handler is closed');
  });

  it('lets the attempt under way end, so that what arrives is released', async () => {
    let finish: (() => void) | undefined;
    const receiver = await startReceiver((response) => (finish = () => response.end()));
    const rig = makeRig({ config: { url: receiver.url() } });
    rig.put('a');
    const drained = rig.drain();
    await until(() => finish !== undefined);
    const closed = rig.handler.close();
    finish!();
    expect(await drained).toMatchObject({ ret: 1 });
    await closed;
    await until(() => receiver.sockets.every((socket) => socket.destroyed), 'the connection is dropped');
  });
});
