import { once } from 'node:events';
import type { Socket } from 'node:net';
import { nodeArguments } from '../measure/child.js';
import { freePort, startServer } from '../peers/server.js';
import { openTcp, openWebSocket } from '../websocket/link.js';
import { FrameReader, maskedFrame } from '../websocket/masked-frame.js';
import { Latencies } from './histogram.js';
import { startOpenLoop } from './open-loop.js';
import { spreadOf, type Load, type Spread } from './load.js';

export interface EchoServer {
  readonly webSocketPort: number;
  readonly tcpPort: number;
  stop: () => Promise<void>;
}

export async function startEcho(): Promise<EchoServer> {
  const [webSocketPort, tcpPort] = [await freePort(), await freePort()];
  const args = nodeArguments('latency/echo-process.ts', String(webSocketPort), String(tcpPort));
  const server = await startServer(process.execPath, args, tcpPort);
  return { webSocketPort, tcpPort, stop: () => server.stop() };
}

/** One message of `bytes` there and back, under an open load. */
export async function measureEcho(
  { webSocketPort }: EchoServer,
  bytes: number,
  load: Load,
): Promise<Latencies> {
  const socket = await openWebSocket(webSocketPort, '/');
  const frame = maskedFrame(Buffer.alloc(bytes));
  const reader = new FrameReader();
  const latencies = new Latencies();
  let answered = 0;
  let allAnswered: () => void = () => undefined;
  const { sends, dueAt, sent } = startOpenLoop({ ...load, send: () => void socket.write(frame) });
  socket.on('data', (chunk) =>
    reader.push(chunk, () => {
      latencies.record(performance.now() - dueAt(answered++));
      if (answered === sends) allAnswered();
    }),
  );
  const everything = new Promise<void>((resolve) => (allAnswered = resolve));
  socket.resume();
  await sent;
  await everything;
  socket.destroy();
  return latencies;
}

/** From one byte to a bare TCP server until `count` sockets have read what it wrote to each, `rounds` times. */
export async function measureSocketWrites(
  { tcpPort }: EchoServer,
  count: number,
  rounds: number,
): Promise<Spread[]> {
  const sockets = await Promise.all(Array.from({ length: count }, () => openGreeted(tcpPort)));
  const trigger = await openGreeted(tcpPort);
  const spreads: Spread[] = [];
  for (let round = 0; round < rounds; round++) {
    const arrivals: number[] = [];
    const began = performance.now();
    await new Promise<void>((resolve) => {
      for (const socket of sockets)
        socket.once('data', () => {
          arrivals.push(performance.now() - began);
          if (arrivals.length === count) resolve();
        });
      trigger.write('x');
    });
    spreads.push(spreadOf(arrivals));
  }
  for (const socket of [...sockets, trigger]) socket.destroy();
  return spreads;
}

/** A connection that the server has taken. */
async function openGreeted(port: number): Promise<Socket> {
  const socket = await openTcp(port);
  await once(socket, 'data');
  return socket;
}
