/** Clients that offer HTTP/2 with every request (Java's, among others) are served over HTTP/1.1. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { until } from '../support/until.js';

const OFFER =
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n';

describe('a request that offers an upgrade to something else than a WebSocket', () => {
  let daemon: TestDaemon;
  let socket: Socket;
  let received: string;

  beforeEach(async () => {
    daemon = await startDaemon({ maps: [{ name: 'm', max_entries: 4096 }] });
    socket = connect(daemon.port, '127.0.0.1');
    received = '';
    socket.setEncoding('latin1').on('data', (text: string) => (received += text));
    await once(socket, 'connect');
  });

  afterEach(async () => {
    socket.destroy();
    await daemon.close();
  });

  const answers = (count: number) => until(() => received.split('HTTP/1.1 ').length - 1 === count);

  it('is answered as if it had not offered', async () => {
    socket.write(`GET /livez HTTP/1.1\r\nHost: ${daemon.host}\r\n${OFFER}\r\n`);
    await answers(1);
    expect(received).toMatch(/^HTTP\/1.1 200 [^]*\{"status":"live"\}$/);
  });

  it.each([
    ['in the same segment', 3],
    ['split', 1],
  ])('keeps its body (%s) and its connection', async (_name, firstBytes) => {
    const head = `POST /v1/maps/m/samples HTTP/1.1\r\nHost: ${daemon.host}\r\n${OFFER}Content-Type: application/octet-stream\r\nContent-Length: 3\r\n\r\n`;
    socket.write(head + 'abc'.slice(0, firstBytes));
    if (firstBytes < 3) {
      // The first segment is with the daemon once it has answered somebody else.
      await daemon.rest.expect(200, 'GET', '/livez');
      socket.write('abc'.slice(firstBytes));
    }
    await answers(1);
    expect(received).toContain('{"accepted":1,"producer_pos":"16"}');
    socket.write(`GET /livez HTTP/1.1\r\nHost: ${daemon.host}\r\n\r\n`);
    await answers(2);
    expect(received).toContain('{"status":"live"}');
  });

  it('is refused for its Host like any other', async () => {
    socket.write(`GET /v1/maps HTTP/1.1\r\nHost: evil.example\r\n${OFFER}\r\n`);
    await answers(1);
    expect(received).toMatch(/^HTTP\/1.1 403 /);
  });
});
