/** Who is let in, as what, and how refusals look: an HTTP status, or a close code for whoever sent an Origin. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { buildOutputFrame, CloseCode, decodeServerFrame, Op, Subprotocol } from '../../src/wire/index.js';
import { startDaemon } from '../support/daemon.js';
import { RawClient, type RawClientOptions } from '../support/raw-client.js';
import { clientFrame, Opcode, upgradeRequest, type RawSocket } from '../support/raw-socket.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

describe('the upgrade', () => {
  const test = useDaemon();
  const connections = (): Promise<number> =>
    new Promise((resolve, reject) =>
      test.daemon.app.fastify.server.getConnections((error, count) =>
        error ? reject(error) : resolve(count),
      ),
    );

  it.each<[string, string[], string]>([
    ['binary', ['ringbuf.v1'], 'ringbuf.v1'],
    ['JSON', ['ringbuf.v1.json'], 'ringbuf.v1.json'],
    ['the first one that it speaks', ['mqtt', 'ringbuf.v1.json', 'ringbuf.v1'], 'ringbuf.v1.json'],
  ])('selects %s', async (_what, protocols, selected) => {
    const map = await test.newMap();
    expect((await test.open(map, '', { protocols })).socket.protocol).toBe(selected);
  });

  it('never negotiates compression', async () => {
    const map = await test.newMap();
    const client = await test.open(map, '', { perMessageDeflate: { threshold: 0 } });
    expect(client.socket.extensions).toBe('');
    const raw = await test.raw();
    raw.write(
      upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`, {
        headers: ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'],
      }),
    );
    const head = await raw.head();
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head.toLowerCase()).not.toContain('extensions');
    // RSV1 set, as if it had been negotiated.
    const compressed = clientFrame(Opcode.BINARY, Buffer.of(0));
    compressed[0]! |= 0x40;
    raw.write(compressed);
    expect((await raw.closeFrame()).code).toBe(1002);
  });

  it('loses nothing that came in the same TCP segment as the request', async () => {
    const map = await test.newMap();
    const raw = await test.raw();
    const path = `/v1/maps/${map}/produce`;
    raw.write(
      upgradeRequest(test.daemon.host, path, { protocol: Subprotocol.BINARY }),
      clientFrame(Opcode.BINARY, buildOutputFrame(1, [Buffer.from('a')])),
      clientFrame(Opcode.BINARY, buildOutputFrame(2, [Buffer.from('b')])),
    );
    expect(await raw.head()).toContain('Sec-WebSocket-Protocol: ringbuf.v1\r\n');
    expect(decodeServerFrame((await raw.frame()).payload)).toMatchObject({ op: Op.WELCOME, seq: 0 });
    expect(decodeServerFrame((await raw.frame()).payload)).toMatchObject({ op: Op.ACK, seq: 2 });
    expect(await test.daemon.rest.drainSamples(map)).toEqual(['61', '62']);
  });

  it('loses nothing of 64 KiB that came with it', async () => {
    const map = await test.newMap({ max_entries: 1 << 20 });
    const raw = await test.raw();
    raw.write(
      upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`),
      ...Array.from({ length: 80 }, (_, i) => clientFrame(Opcode.BINARY, new Uint8Array(1000).fill(i))),
      clientFrame(Opcode.CLOSE, Buffer.of(3, 232)),
    );
    await raw.head();
    expect(await raw.closeFrame()).toEqual({ code: 1000, reason: '' });
    expect((await test.daemon.rest.peek(map)).length).toBe(80);
  });

  interface Refusal {
    name: string;
    path: string;
    options?: RawClientOptions;
    status: number;
    errno: string;
    close: number;
  }
  const refusals: Refusal[] = [
    {
      name: 'an unknown map',
      path: '/v1/maps/nope/produce',
      status: 404,
      errno: 'ENOENT',
      close: CloseCode.NO_MAP,
    },
    {
      name: 'a path without a WebSocket',
      path: '/v1/maps',
      status: 404,
      errno: 'ENOENT',
      close: CloseCode.NO_MAP,
    },
    {
      name: 'a name with a slash',
      path: '/v1/maps/a%2Fb/produce',
      status: 400,
      errno: 'EINVAL',
      close: 4505,
    },
    {
      name: 'a name of 65 characters',
      path: `/v1/maps/${'m'.repeat(65)}/produce`,
      status: 400,
      errno: 'EINVAL',
      close: 4505,
    },
    {
      name: 'a name that is not UTF-8',
      path: '/v1/maps/%ff/produce',
      status: 400,
      errno: 'EINVAL',
      close: 4505,
    },
    {
      name: 'a bad producer id',
      path: '/v1/maps/MAP/produce?producer=a%20b',
      status: 400,
      errno: 'EINVAL',
      close: 4505,
    },
    {
      name: 'an empty producer id',
      path: '/v1/maps/MAP/produce?producer=',
      status: 400,
      errno: 'EINVAL',
      close: 4505,
    },
    {
      name: 'an unknown on_full',
      path: '/v1/maps/MAP/produce?on_full=wait',
      status: 400,
      errno: 'EINVAL',
      close: 4505,
    },
    {
      name: 'an unknown parameter',
      path: '/v1/maps/MAP/produce?prodcer=p',
      status: 400,
      errno: 'EINVAL',
      close: 4505,
    },
    {
      name: 'a parameter given twice',
      path: '/v1/maps/MAP/produce?producer=a&producer=b',
      status: 400,
      errno: 'EINVAL',
      close: 4505,
    },
    {
      name: 'a path that begins with two slashes',
      path: '//evil/v1/maps/MAP/produce',
      status: 404,
      errno: 'ENOENT',
      close: 4504,
    },
    {
      name: 'subprotocols that it does not speak',
      path: '/v1/maps/MAP/produce',
      options: { protocols: ['mqtt', 'ringbuf.v2'] },
      status: 400,
      errno: 'EINVAL',
      close: 4505,
    },
    {
      name: 'a foreign Host',
      path: '/v1/maps/MAP/produce',
      options: { headers: { host: 'evil.example' } },
      status: 403,
      errno: 'EPERM',
      close: CloseCode.FORBIDDEN,
    },
  ];
  it.each(refusals)('refuses $name', async ({ path, options = {}, status, errno, close }) => {
    const map = await test.newMap();
    const url = `ws://${test.daemon.host}${path.replace('MAP', map)}`;
    const refused = (): Promise<string> =>
      test.daemon.rest.call('GET', '/metrics').then(({ text }) => {
        const lines = text.split('\n').filter((line) => line.startsWith('ringbufd_requests_refused_total{'));
        return lines.filter((line) => line.includes('surface="websocket"')).join('\n');
      });
    const total = async (): Promise<number> =>
      (await refused()).split('\n').reduce((sum, line) => sum + Number(line.split(' ').at(-1) ?? 0), 0);
    const before = await total();
    expect(await RawClient.refusal(url, options)).toMatchObject({
      status,
      headers: { 'content-type': 'application/problem+json; charset=utf-8' },
      body: { status, errno, code: expect.stringMatching(/^RINGBUFD_ERR_/) as string },
    });
    const { protocols, ...rest } = options;
    // A client may not be told of a subprotocol that it did not offer; ws refuses to connect when none is selected.
    const browser = await RawClient.open(url, {
      ...rest,
      protocols: protocols === undefined ? [Subprotocol.BINARY] : [...protocols, Subprotocol.BINARY],
      origin: test.daemon.url,
    }).catch(() => undefined);
    if (protocols === undefined) await browser!.expectClose(close, errno);
    else browser?.terminate();
    expect(await total()).toBe(before + (protocols === undefined ? 2 : 1));
    expect((await test.daemon.rest.showMap(map)).producers).toBe(0);
  });

  it('refuses a foreign Origin by upgrading and closing 4503, and takes its own', async () => {
    const map = await test.newMap();
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1']) {
      const client = await test.open(map, '', { origin });
      await client.expectClose(CloseCode.FORBIDDEN, 'EPERM');
      expect(client.waiting).toBe(0);
    }
    const own = await test.client(map, '', { origin: test.daemon.url });
    await own.query();
  });

  it('refuses a request target that is no URL as any unknown path', async () => {
    const raw = await test.raw();
    raw.write(upgradeRequest(test.daemon.host, '//['));
    expect(await raw.head()).toMatch(/^HTTP\/1\.1 404 /);
  });

  it('lets go of a refused connection, also when the client never closes its side', async () => {
    await test.daemon.rest.expect(200, 'GET', '/livez');
    const before = await connections();
    const raws = await Promise.all(Array.from({ length: 10 }, () => test.raw({ allowHalfOpen: true })));
    for (const raw of raws) {
      raw.write(upgradeRequest(test.daemon.host, '/v1/maps/nope/produce'));
      await raw.head();
    }
    await until(async () => (await connections()) <= before, 'the refused connections are gone');
  });

  it('answers a malformed handshake', async () => {
    const map = await test.newMap();
    const raw = await test.raw();
    raw.write(upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`, { key: 'no' }));
    expect(await raw.head()).toMatch(/^HTTP\/1\.1 400 /);
    await until(() => raw.ended);
  });
});

describe('large frames over a slow path', () => {
  const MAX_FRAME = 16 << 20;
  const test = useDaemon({ limits: { max_frame_bytes: MAX_FRAME } });
  /** Sends bytes so that the daemon, in the same event loop, reads them piece by piece. */
  const trickle = async (raw: RawSocket, bytes: Buffer, pieceBytes: number): Promise<void> => {
    for (let at = 0; at < bytes.length && !raw.ended; at += pieceBytes) {
      raw.write(bytes.subarray(at, at + pieceBytes));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  it('are taken however many segments they come in', async () => {
    const map = await test.newMap({ max_entries: 32 << 20 });
    const raw = await test.raw();
    raw.write(upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`));
    await raw.head();
    await trickle(raw, clientFrame(Opcode.BINARY, new Uint8Array(12 << 20)), 4096);
    raw.write(clientFrame(Opcode.CLOSE, Buffer.of(3, 232)));
    expect(await raw.closeFrame()).toEqual({ code: 1000, reason: '' });
    expect((await test.daemon.rest.peek(map)).map(({ len }) => len)).toEqual([12 << 20]);
  });
});

describe('limits and tokens at the upgrade', () => {
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  const test = useDaemon(
    {
      limits: { max_connections: 2, max_producers_per_map: 1 },
      tokens: [
        { name: 'boss', sha256: sha256('boss'), scopes: ['admin'] },
        { name: 'reader', sha256: sha256('reader'), scopes: ['read:*'] },
        { name: 'old', sha256: sha256('old'), scopes: ['admin'], expires: '2001-01-01T00:00:00Z' },
      ],
    },
    { token: 'boss' },
  );
  const bearer = (token: string): RawClientOptions => ({ headers: { authorization: `Bearer ${token}` } });
  const browser = (token?: string): RawClientOptions => ({
    origin: test.daemon.url,
    protocols: [
      Subprotocol.BINARY,
      ...(token === undefined ? [] : [`bearer.${Buffer.from(token).toString('base64url')}`]),
    ],
  });

  it.each<[string, string | undefined, number, number]>([
    ['no token', undefined, 401, CloseCode.UNAUTHENTICATED],
    ['an unknown token', 'who', 401, CloseCode.UNAUTHENTICATED],
    ['an expired token', 'old', 401, CloseCode.UNAUTHENTICATED],
    ['a token without the scope', 'reader', 403, CloseCode.FORBIDDEN],
  ])('%s', async (_what, token, status, close) => {
    const map = await test.newMap();
    const url = test.daemon.produceUrl(map);
    expect((await RawClient.refusal(url, token === undefined ? {} : bearer(token))).status).toBe(status);
    await (await RawClient.open(url, browser(token))).expectClose(close, 'EPERM');
  });

  it('tells a stranger nothing about which maps exist', async () => {
    const map = await test.newMap();
    const [known, unknown] = await Promise.all(
      [map, 'nope'].map((name) => RawClient.refusal(test.daemon.produceUrl(name))),
    );
    expect(known!.body).toEqual(unknown!.body);
  });

  it('too many connections: 429, or 4429; a malformed handshake takes no place', async () => {
    const map = await test.newMap();
    for (let i = 0; i < 5; i++) {
      const raw = await test.raw();
      raw.write(
        upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`, {
          key: 'no',
          headers: ['Authorization: Bearer boss'],
        }),
      );
      expect(await raw.head()).toMatch(/^HTTP\/1\.1 400 /);
    }
    const first = await test.client(map, '', bearer('boss'));
    await test.client(map, '', bearer('boss'));
    const url = test.daemon.produceUrl(map);
    expect(await RawClient.refusal(url, bearer('boss'))).toMatchObject({
      status: 429,
      body: { errno: 'EAGAIN', code: 'RINGBUFD_ERR_LIMIT_CONNECTIONS', retryable: true },
    });
    await (await RawClient.open(url, browser('boss'))).expectClose(CloseCode.TOO_MANY, 'EAGAIN');
    await first.close(1000);
    await until(() => test.daemon.app.daemon.connections.total === 1);
    await test.client(map, '', bearer('boss'));
  });

  it('too many producer ids: closed 4429 after the upgrade, the place given back', async () => {
    const map = await test.newMap();
    await test.client(map, 'producer=a', bearer('boss'));
    for (let i = 0; i < 5; i++) {
      const client = await test.open(map, 'producer=b', bearer('boss'));
      await client.expectClose(CloseCode.TOO_MANY, 'ENOMEM');
    }
    await until(() => test.daemon.app.daemon.connections.total === 1);
    // The known id is still welcome.
    await test.client(map, 'producer=a', bearer('boss'));
  });
});

describe('the end of the daemon', () => {
  it('tells every producer 4412, in all modes, also one that waits for room', async () => {
    const daemon = await startDaemon();
    await daemon.rest.createMap('m');
    const url = daemon.produceUrl('m', 'on_full=block');
    const binary = await RawClient.welcomed(url);
    const json = await RawClient.welcomed(url, { protocols: [Subprotocol.JSON] });
    const plain = await RawClient.open(url, { protocols: [] });
    for (let i = 0; i < 6; i++) plain.sendBytes(new Uint8Array(1016));
    await until(async () => (await daemon.rest.showMap('m')).producers_waiting === 1);
    binary.output(1, ['a']);
    await until(async () => (await daemon.rest.showMap('m')).producers_waiting === 2);
    const closed = daemon.close();
    for (const client of [binary, json, plain]) await client.expectClose(CloseCode.DRAINING, 'EAGAIN');
    await closed;
  });
});
