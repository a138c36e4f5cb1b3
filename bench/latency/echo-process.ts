/**
 * What latencies are compared with. On the first port a bare `ws` server that sends every message back; on the second a
 * bare TCP server that, when one connection sends a byte, writes as many bytes as a WAKEUP has to all the others. It greets
 * each connection with a byte: one that waits behind a full backlog looks open to its client, and would be left out.
 */
import { createServer, type Socket } from 'node:net';
import { WebSocketServer } from 'ws';

const WAKEUP_BYTES = 2 + 16 + 16;
const [webSocketPort, tcpPort] = process.argv.slice(2).map(Number);

const echo = new WebSocketServer({ host: '127.0.0.1', port: webSocketPort!, perMessageDeflate: false });
echo.on('connection', (socket) => {
  socket.on('message', (data: Buffer, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', () => undefined);
});

const sockets = new Set<Socket>();
const message = Buffer.alloc(WAKEUP_BYTES);
createServer({ noDelay: true }, (socket) => {
  sockets.add(socket);
  socket.write('.');
  socket.on('data', () => {
    for (const other of sockets) if (other !== socket) other.write(message);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => sockets.delete(socket));
}).listen(tcpPort, '127.0.0.1');
