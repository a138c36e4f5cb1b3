import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A TCP connection of a benchmark's client. @throws Error when nobody listens */
export async function openTcp(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

/**
 * A WebSocket, opened by hand: what follows is written and read as bytes.
 * @throws Error when the server answers anything but 101
 */
export async function openWebSocket(port: number, path: string, protocol?: string): Promise<Socket> {
  const socket = await openTcp(port);
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  let head = Buffer.alloc(0);
  let end = -1;
  while (end < 0) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    head = Buffer.concat([head, chunk]);
    end = head.indexOf('\r\n\r\n');
  }
  socket.pause();
  if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(head.toString('latin1', 0, end));
  if (end + 4 < head.length) socket.unshift(head.subarray(end + 4));
  return socket;
}
