import { describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { encodeServerFrame, Op } from '../../src/wire/index.js';
import { failure, producerOf, startDaemon, until } from './support.js';

describe('connect', () => {
  it('resolves with what WELCOME says', async () => {
    const daemon = await startDaemon({ ringSize: 8192 });
    const producer = await producerOf(daemon, { producer: 'p' });
    expect(producer.welcome).toMatchObject({
      map: 'm',
      incarnation: 'first',
      maxEntries: 8192,
      producer: 'p',
      resumed: false,
      seq: 0,
      partial: 0,
      ackedPos: 0n,
      maxFrameBytes: 65_536,
    });
    expect(producer.connected).toBe(true);
  });

  it('asks for the map, the producer and on_full in the address, below a path prefix', async () => {
    const daemon = await startDaemon();
    await producerOf(daemon, {
      url: `${daemon.url.replace('ws:', 'http:')}/behind/proxy/`,
      producer: 'p.1',
      onFull: 'block',
    });
    expect(daemon.upgrades[0]!.url).toBe('/behind/proxy/v1/maps/m/produce?on_full=block&producer=p.1');
  });

  it('offers the token as a subprotocol in base64url', async () => {
    const daemon = await startDaemon();
    await producerOf(daemon, { token: 'sécret?>' });
    const encoded = Buffer.from('sécret?>').toString('base64url');
    expect(daemon.upgrades[0]!.headers['sec-websocket-protocol']).toBe(`ringbuf.v1,bearer.${encoded}`);
  });

  it.each([
    [401, 'EPERM', false],
    [404, 'ENOENT', false],
    [429, 'EAGAIN', true],
    [503, 'EAGAIN', true],
    [418, 'EIO', false],
  ])('fails with the errno of HTTP %i before the upgrade', async (status, errno, retryable) => {
    const daemon = await startDaemon({ refuse: () => ({ status }) });
    const error = await failure(connect({ url: daemon.url, map: 'm' }));
    expect(error).toMatchObject({ errno, code: 'CONNECT_REFUSED', status, retryable });
  });

  it('takes errno, detail and advice from a problem+json refusal', async () => {
    const body = JSON.stringify({ errno: 'EBUSY', detail: 'busy', retryable: true, retry_after_ms: 250 });
    const daemon = await startDaemon({ refuse: () => ({ status: 409, body }) });
    const error = await failure(connect({ url: daemon.url, map: 'm' }));
    expect(error).toMatchObject({ errno: 'EBUSY', retryable: true, retryAfterMs: 250 });
    expect(error.message).toContain('busy');
  });

  it.each([
    [4501, '', 'EPERM', false],
    [4504, 'ENOENT no such map', 'ENOENT', false],
    [4509, 'EBUSY taken', 'EBUSY', false],
    [4429, '', 'EAGAIN', true],
    [4599, 'ENOMEM from the future', 'ENOMEM', false],
  ])('fails with the errno of close code %i "%s"', async (code, reason, errno, retryable) => {
    const daemon = await startDaemon({ greet: (socket) => socket.close(code, reason) });
    const error = await failure(connect({ url: daemon.url, map: 'm' }));
    expect(error).toMatchObject({ errno, closeCode: code, retryable });
  });

  it('fails with EIO, retryable, when nobody listens', async () => {
    const daemon = await startDaemon();
    const { url } = daemon;
    await daemon.stop();
    expect(await failure(connect({ url, map: 'm' }))).toMatchObject({
      errno: 'EIO',
      code: 'CONNECT_REFUSED',
      retryable: true,
    });
  });

  it('fails with ETIMEDOUT when WELCOME does not come', async () => {
    const daemon = await startDaemon({ greet: () => undefined });
    const error = await failure(connect({ url: daemon.url, map: 'm', connectTimeoutMs: 30 }));
    expect(error).toMatchObject({ errno: 'ETIMEDOUT', retryable: true });
  });

  it('fails with EPROTO for a first frame that is not WELCOME, a WELCOME that lacks a field, or text', async () => {
    const done = encodeServerFrame({ op: Op.DONE, seq: 1n, producerPos: 0n, consumerPos: 0n });
    const hollow = encodeServerFrame({ op: Op.WELCOME, version: 1, seq: 0, body: {} as never });
    for (const message of [done, hollow, 'text']) {
      const daemon = await startDaemon({ greet: (socket) => socket.send(message) });
      expect(await failure(connect({ url: daemon.url, map: 'm' }))).toMatchObject({
        errno: 'EPROTO',
        code: 'PROTOCOL',
        retryable: false,
      });
    }
  });

  it('ends with the reason of its signal', async () => {
    const daemon = await startDaemon({ greet: () => undefined });
    const controller = new AbortController();
    const connecting = connect({ url: daemon.url, map: 'm', signal: controller.signal });
    await until(() => daemon.upgrades.length === 1);
    const reason = new Error('changed my mind');
    controller.abort(reason);
    await expect(connecting).rejects.toBe(reason);
  });

  it.each([
    ['map', { map: 'a/b' }],
    ['producer', { producer: '..' }],
    ['url', { url: 'ftp://x' }],
    ['url', { url: 'not an address' }],
    ['onFull', { onFull: 'drop' as never }],
    ['whenFull', { whenFull: 'drop' as never }],
    ['maxUnackedBytes', { maxUnackedBytes: -1 }],
    ['reconnect.minDelayMs', { reconnect: { minDelayMs: 0.5 } }],
  ])('refuses a wrong %s with EINVAL that names it', async (name, options) => {
    const error = await failure(connect({ map: 'm', ...options }));
    expect(error).toMatchObject({ errno: 'EINVAL', code: 'BAD_ARGUMENT' });
    expect(error.message).toContain(name);
  });
});
