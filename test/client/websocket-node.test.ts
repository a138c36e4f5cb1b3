import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocketServer } from 'ws';
import { webSocketOpener } from '../../src/client/websocket-node.js';
import { until } from './support.js';

it('holds what one turn of the event loop says until it is over, and sends it as one', async () => {
  const http = createServer();
  const wss = new WebSocketServer({ server: http });
  let messages = 0;
  wss.on('connection', (ws) => ws.on('message', () => messages++));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onTestFinished(() => {
    wss.clients.forEach((ws) => ws.terminate());
    http.close();
  });
  const { port } = http.address() as AddressInfo;
  let tcp: Socket | undefined;
  const openWebSocket = webSocketOpener((ws) =>
    ws.on('upgrade', (response: IncomingMessage) => (tcp = response.socket)),
  );
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
  for (let sent = 0; sent < 100; sent++) socket.send(new Uint8Array(8));
  // Frames of 6 + 8 bytes, none of which has left.
  expect(tcp?.writableLength).toBe(1400);
  expect(socket.bufferedAmount).toBe(1400);
  await until(() => messages === 100);
  expect(tcp?.writableCorked).toBe(0);
  socket.send(new Uint8Array(8));
  await until(() => messages === 101);
  socket.close(1000, '');
});
