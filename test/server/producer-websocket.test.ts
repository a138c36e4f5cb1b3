import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { ProducerWebSocket } from '../../src/server/producer-websocket.js';
import { clientFrame, Opcode, RawSocket, upgradeRequest } from '../support/raw-socket.js';
import { until } from '../support/until.js';

let server: Server;
let client: RawSocket;
let ws: ProducerWebSocket;
let tcp: Socket;
let messages: string[];

beforeEach(async () => {
  messages = [];
  const upgrades = new WebSocketServer({ noServer: true, WebSocket: ProducerWebSocket });
  server = createServer().on('upgrade', (request, socket, head) => {
    upgrades.handleUpgrade(request, socket, head, (socketOfClient) => {
      ws = socketOfClient;
      tcp = socket as Socket;
      ws.on('error', () => undefined);
      ws.on('message', (data: Buffer) => messages.push(`ws: ${data.toString()}`));
      const isRead = ws.readMessages(tcp, { maxMessageBytes: 1000, maxPieces: 1000 }, (data) =>
        messages.push(Buffer.from(data).toString()),
      );
      expect(isRead).toBe(true);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = await RawSocket.connect((server.address() as AddressInfo).port);
  client.write(upgradeRequest('localhost', '/'));
  expect(await client.head()).toContain('101 Switching Protocols');
});

afterEach(() => {
  client.destroy();
  tcp.destroy();
  server.close();
});

const message = (text: string): Buffer => clientFrame(Opcode.BINARY, Buffer.from(text));

describe("a producer's WebSocket", () => {
  it('reads whole binary messages itself, and has ws answer pings and the Close', async () => {
    client.write(message('one'), clientFrame(Opcode.PING, Buffer.from('hey')), message('two'));
    client.write(clientFrame(Opcode.CLOSE, Buffer.of(0x0f, 0xa0)), message('too late'));
    expect(await client.frame()).toEqual({ opcode: Opcode.PONG, payload: Buffer.from('hey') });
    expect(await client.closeFrame()).toEqual({ code: 4000, reason: '' });
    await until(() => client.ended);
    expect(messages).toEqual(['one', 'two']);
  });

  it('leaves text to ws, and what comes after it', async () => {
    client.write(message('one'), clientFrame(Opcode.TEXT, Buffer.from('two')), message('three'));
    await until(() => messages.length === 3);
    expect(messages).toEqual(['one', 'ws: two', 'ws: three']);
  });

  it('takes no bytes any more that follow a violation', async () => {
    client.write(clientFrame(Opcode.BINARY, Buffer.from('bare'), { masked: false }));
    // More than ws would take without a pause, in which nobody would see that the client has gone.
    for (let count = 0; count < 64; count++) client.write(Buffer.alloc(65_536), message('too late'));
    expect(await client.closeFrame()).toMatchObject({ code: 1002 });
    await until(() => client.ended);
    expect(messages).toEqual([]);
  });

  // ws would take the rest of the first message for the beginning of another frame.
  it('still reads what had come when the connection breaks in a pause, in the middle of a message', async () => {
    const first = message('the first');
    client.write(message('before'), first.subarray(0, 9));
    await until(() => messages.length === 1);
    ws.pause();
    client.write(first.subarray(9), message('the second'));
    await until(() => tcp.readableLength > 0);
    const closed = once(ws, 'close');
    client.socket.resetAndDestroy();
    // A paused socket does not notice the reset: something has to be sent.
    const pings = setInterval(() => ws.ping(), 5);
    await closed;
    clearInterval(pings);
    expect(messages).toEqual(['before', 'the first', 'the second']);
  });
});
