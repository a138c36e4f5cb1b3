import { FrameReader, maskedFrame } from '../websocket/masked-frame.js';
import { openWebSocket } from '../websocket/link.js';
import type { OpenLink } from '../websocket/protocol.js';

const CONNECT = 'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n';
const INBOX = '_INBOX.bench';

function text(line: string): Buffer {
  return maskedFrame(Buffer.from(line));
}

/** NATS core: PUBs, many in one WebSocket frame as the official clients send them; a PONG says that all arrived. */
export const openNats: OpenLink = async (port, subject, shape, flow) => {
  const socket = await openWebSocket(port, '/');
  socket.write(text(CONNECT));
  const block = maskedFrame(publishes(`PUB ${subject}`, shape, flow.perBlock));
  const reader = new FrameReader();
  let sent = 0;
  return {
    socket,
    createBlock: () => ({ bytes: block, messages: flow.perBlock }),
    prepare: ({ messages }) => void (sent += messages),
    receive(chunk) {
      let counted = 0;
      reader.push(chunk, (body) => {
        const said = body.toString('latin1');
        if (said.includes('-ERR')) throw new Error(said);
        if (said.includes('PONG')) counted = sent;
      });
      return counted;
    },
    askForTheEnd: () => void socket.write(text('PING\r\n')),
  };
};

/** NATS core with a subscriber: each producer subscribes to its own subject and counts what is delivered. */
export const openNatsDelivered: OpenLink = async (port, subject, shape, flow) => {
  const socket = await openWebSocket(port, '/');
  const own = `${subject}.${Math.random().toString(36).slice(2, 10)}`;
  socket.write(text(`${CONNECT}SUB ${own} 1\r\n`));
  const length = shape.sampleBytes * shape.samplesPerMessage;
  const block = maskedFrame(publishes(`PUB ${own}`, shape, flow.perBlock));
  const delivered = `MSG ${own} 1 ${length}\r\n`.length + length + 2;
  const reader = new FrameReader();
  let bytes = 0;
  let greeted = false;
  return {
    socket,
    createBlock: () => ({ bytes: block, messages: flow.perBlock }),
    prepare() {
      // Nothing changes from message to message.
    },
    receive(chunk) {
      reader.push(chunk, (body) => {
        // The first frame is the server's INFO. What follows are deliveries, all of one length.
        if (greeted) bytes += body.length;
        greeted = true;
      });
      const messages = Math.floor(bytes / delivered);
      bytes -= messages * delivered;
      return messages;
    },
  };
};

/** JetStream: PUBs with a reply subject; each ack is a message to it. */
export const openJetStream: OpenLink = async (port, subject, shape, flow) => {
  const socket = await openWebSocket(port, '/');
  const inbox = `${INBOX}.${Math.random().toString(36).slice(2, 10)}`;
  socket.write(text(`${CONNECT}SUB ${inbox} 1\r\n`));
  const block = maskedFrame(publishes(`PUB ${subject} ${inbox}`, shape, flow.perBlock));
  const reader = new FrameReader();
  let tail = '';
  return {
    socket,
    createBlock: () => ({ bytes: block, messages: flow.perBlock }),
    prepare() {
      // Nothing changes from message to message.
    },
    receive(chunk) {
      let acknowledged = 0;
      reader.push(chunk, (body) => {
        const said = tail + body.toString('latin1');
        if (said.includes('"error"') || said.includes('-ERR')) throw new Error(said.slice(0, 500));
        let at = 0;
        for (;;) {
          const found = said.indexOf('"seq":', at);
          if (found < 0) break;
          acknowledged++;
          at = found + 6;
        }
        // A frame may end within a message: what could be the beginning of the mark is kept.
        tail = said.slice(Math.max(at, said.length - 5));
      });
      return acknowledged;
    },
  };
};

function publishes(
  command: string,
  shape: { sampleBytes: number; samplesPerMessage: number },
  count: number,
): Buffer {
  const length = shape.sampleBytes * shape.samplesPerMessage;
  const one = Buffer.concat([
    Buffer.from(`${command} ${length}\r\n`),
    Buffer.alloc(length, 7),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat(Array<Buffer>(count).fill(one));
}

/** One request to the server, over a connection of its own. @returns the answer, parsed */
export async function natsRequest(
  port: number,
  subject: string,
  body: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const socket = await openWebSocket(port, '/');
  const json = JSON.stringify(body);
  const inbox = `${INBOX}.${Math.random().toString(36).slice(2, 10)}`;
  socket.write(
    text(`${CONNECT}SUB ${inbox} 1\r\nPUB ${subject} ${inbox} ${Buffer.byteLength(json)}\r\n${json}\r\n`),
  );
  const reader = new FrameReader();
  let said = '';
  try {
    for await (const chunk of socket) {
      reader.push(chunk as Buffer, (payload) => (said += payload.toString('utf8')));
      const answer = /MSG \S+ 1 (?:\S+ )?(\d+)\r\n/.exec(said);
      if (answer === null) continue;
      const start = answer.index + answer[0].length;
      const length = Number(answer[1]);
      if (said.length >= start + length)
        return JSON.parse(said.slice(start, start + length)) as Record<string, unknown>;
    }
  } finally {
    socket.destroy();
  }
  throw new Error(`no answer to ${subject}: ${said}`);
}
