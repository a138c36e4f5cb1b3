/** What WebSocket alone costs: a bare `ws` server that counts the messages of each connection and tells when it is asked, by a text. */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2] ?? 0),
  perMessageDeflate: false,
});
server.on('connection', (socket) => {
  let messages = 0;
  let bytes = 0;
  socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) {
      messages++;
      bytes += data.length;
    } else {
      socket.send(`${messages}`);
    }
  });
  socket.on('error', (error) => console.error(error.message, bytes));
});
server.on('listening', () => console.log((server.address() as AddressInfo).port));
