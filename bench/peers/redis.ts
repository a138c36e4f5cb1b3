import { openTcp } from '../websocket/link.js';
import type { OpenLink } from '../websocket/protocol.js';
import type { Absent, Contender } from './contender.js';
import { freePort, startServer } from './server.js';

const NAME = 'Redis Streams';
const CAP = 100_000;
const STREAM = 'bench';

export async function startRedis(): Promise<Contender | Absent> {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = await startServer('redis-server', args, port).catch(() => undefined);
  if (server === undefined) return { name: NAME, absent: 'redis-server is missing: run bench/setup' };
  let before = 0;
  return {
    name: NAME,
    link: 'redis',
    server,
    port,
    target: STREAM,
    setting: `TCP, pipelined XADD, MAXLEN ~ ${CAP}, no persistence, no consumer`,
    overheadBytes: 80,
    batches: 'packed',
    async settle(_samples, messages) {
      const added = await entriesAdded(port);
      if (added - before !== messages)
        throw new Error(`${NAME}: ${messages} acknowledged, ${added - before} added`);
      before = added;
    },
    stop: () => server.stop(),
  };
}

/** XADD, one reply a message: a bulk string with the entry's id. */
export const openRedis: OpenLink = async (port, stream, shape, flow) => {
  const socket = await openTcp(port);
  socket.pause();
  const block = Buffer.concat(
    Array<Buffer>(flow.perBlock).fill(xadd(stream, shape.sampleBytes * shape.samplesPerMessage)),
  );
  return {
    socket,
    createBlock: () => ({ bytes: block, messages: flow.perBlock }),
    prepare() {
      // Nothing changes from message to message.
    },
    receive(chunk) {
      let replies = 0;
      for (const byte of chunk) {
        if (byte === DOLLAR) replies++;
        else if (byte === MINUS && chunk.includes('-ERR')) throw new Error(chunk.toString('latin1'));
      }
      return replies;
    },
  };
};

const DOLLAR = '$'.charCodeAt(0);
const MINUS = '-'.charCodeAt(0);

function xadd(stream: string, length: number): Buffer {
  const words = ['XADD', stream, 'MAXLEN', '~', String(CAP), '*', 's'];
  const head = words.map((word) => `$${word.length}\r\n${word}\r\n`).join('');
  return Buffer.concat([
    Buffer.from(`*${words.length + 1}\r\n${head}$${length}\r\n`),
    Buffer.alloc(length, 7),
    Buffer.from('\r\n'),
  ]);
}

async function entriesAdded(port: number): Promise<number> {
  const socket = await openTcp(port);
  socket.write(`XINFO STREAM ${STREAM}\r\n`);
  let said = '';
  for await (const chunk of socket) {
    said += (chunk as Buffer).toString('latin1');
    const found = /entries-added\r\n:(\d+)\r\n/.exec(said);
    if (found === null) continue;
    socket.destroy();
    return Number(found[1]);
  }
  throw new Error(`no answer to XINFO: ${said}`);
}
