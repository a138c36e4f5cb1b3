/** What never becomes a request is answered as every other refusal is: problem+json with a code and advice, counted. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../support/daemon.js';

let daemon: TestDaemon;

beforeEach(async () => {
  daemon = await startDaemon({ maps: [{ name: 'm', max_entries: 4096 }] });
});
afterEach(() => daemon.close());

/** Sends these bytes; resolves with all that came back once the daemon has hung up. */
async function answerTo(bytes: string): Promise<{ head: string; problem: Record<string, unknown> }> {
  const socket = connect(daemon.port, '127.0.0.1');
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => (received += text));
  socket.write(bytes);
  await once(socket, 'close');
  const [head, body] = received.split('\r\n\r\n') as [string, string];
  return { head, problem: JSON.parse(body) as Record<string, unknown> };
}

const handshake = (headers: string): string =>
  `GET /v1/maps/m/produce HTTP/1.1\r\nHost: ${daemon.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${headers}\r\n`;

describe('what is no request', () => {
  it.each([
    ['bytes that are no HTTP', () => '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', 400, 'BAD_HTTP', 'EINVAL'],
    [
      'a header without end',
      () => `GET /livez HTTP/1.1\r\nHost: ${daemon.host}\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      431,
      'HEADERS_TOO_BIG',
      'E2BIG',
    ],
    [
      'an expectation that nobody meets',
      () =>
        `GET /livez HTTP/1.1\r\nHost: ${daemon.host}\r\nConnection: close\r\nExpect: the-spanish-inquisition\r\n\r\n`,
      417,
      'EXPECTATION',
      'EINVAL',
    ],
    [
      'a handshake without a key',
      () => handshake('Sec-WebSocket-Version: 13\r\n'),
      400,
      'BAD_HANDSHAKE',
      'EPROTO',
    ],
    [
      'a handshake of another version',
      () => handshake('Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'),
      400,
      'BAD_HANDSHAKE',
      'EPROTO',
    ],
  ])('%s gets a problem, and is counted', async (_what, bytes, status, code, errno) => {
    const { head, problem } = await answerTo(bytes());
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(head.toLowerCase()).toContain('content-type: application/problem+json');
    expect(problem).toMatchObject({ status, code: `RINGBUFD_ERR_${code}`, errno });
    expect(problem.advice).toMatch(/\.$/);
    const metrics = await (await fetch(`${daemon.url}/metrics`)).text();
    const surface = code === 'BAD_HANDSHAKE' ? 'websocket' : 'http';
    expect(metrics).toContain(
      `ringbufd_requests_refused_total{surface="${surface}",reason="${code.toLowerCase()}",errno="${errno}"} 1`,
    );
  });

  it('names the version of WebSocket that would do', async () => {
    const { head } = await answerTo(handshake('Sec-WebSocket-Version: 99\r\n'));
    expect(head).toContain('Sec-WebSocket-Version: 13');
  });

  it('leaves the daemon and other connections as they are', async () => {
    await answerTo('\x00\x00\r\n\r\n');
    expect((await fetch(`${daemon.url}/livez`)).status).toBe(200);
  });
});
