import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocketServer } from 'ws';
import { openWebSocket } from '../../src/client/websocket-node.js';
import { until } from './support.js';

it('sends what one turn of the event loop has to say in one packet, and at once what comes alone', async () => {
  const http = createServer();
  const wss = new WebSocketServer({ server: http });
  let reads = 0;
  let messages = 0;
  http.on('connection', (tcp) => tcp.on('data', () => reads++));
  wss.on('connection', (ws) => ws.on('message', () => messages++));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onTestFinished(() => {
    wss.clients.forEach((ws) => ws.terminate());
    http.close();
  });
  const { port } = http.address() as AddressInfo;
  const socket = await new Promise<ReturnType<typeof openWebSocket>>((resolve) => {
    const opening = openWebSocket(
      `ws://127.0.0.1:${port}`,
      [],
      { maxMessageBytes: 1024 },
      {
        opened: () => resolve(opening),
        message: () => undefined,
        text: () => undefined,
        closed: () => undefined,
      },
    );
  });
  socket.send(new Uint8Array(8));
  await until(() => messages === 1);
  const before = reads;
  for (let sent = 0; sent < 100; sent++) socket.send(new Uint8Array(8));
  await until(() => messages === 101);
  expect(reads - before).toBeLessThan(10);
  socket.close(1000, '');
});
