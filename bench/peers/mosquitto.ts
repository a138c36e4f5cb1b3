import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { openWebSocket } from '../websocket/link.js';
import { FrameReader, headerSize, maskedFrame, patchMaskedU16 } from '../websocket/masked-frame.js';
import type { OpenLink } from '../websocket/protocol.js';
import type { Absent, Contender } from './contender.js';
import { freePort, startServer } from './server.js';

const NAME = 'Mosquitto, QoS 1';
const PUBLISH_QOS_1 = 0x32;
const PUBACK_BYTES = 4;
/** Packet ids are 16 bits; Mosquitto takes no more than this many at a time without one being answered. */
const IN_FLIGHT = 1024;

export async function startMosquitto(): Promise<Contender | Absent> {
  const port = await freePort();
  const otherPort = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'ringbufd-bench-mqtt-'));
  const config = join(folder, 'mosquitto.conf');
  writeFileSync(
    config,
    // It does not start with nothing but a WebSocket listener.
    `listener ${otherPort} 127.0.0.1
listener ${port} 127.0.0.1
protocol websockets
allow_anonymous true
user ${userInfo().username}
max_inflight_messages 0
max_queued_messages 0
persistence false
set_tcp_nodelay true
log_type error
`,
  );
  const server = await startServer('mosquitto', ['-c', config], port).catch(() => undefined);
  if (server === undefined) {
    rmSync(folder, { recursive: true, force: true });
    return { name: NAME, absent: 'mosquitto is missing: run bench/setup' };
  }
  return {
    name: NAME,
    link: 'mqtt',
    server,
    port,
    target: 'bench',
    mostInFlight: IN_FLIGHT,
    setting: `WebSocket port, PUBLISH with QoS 1, ${IN_FLIGHT} in flight, no subscriber`,
    overheadBytes: 12,
    batches: 'packed',
    settle: async () => {
      // Without a subscriber it keeps nothing: the PUBACKs were counted by the producers.
    },
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** MQTT 3.1.1 over WebSocket: PUBLISH packets of one size, many in one frame; a PUBACK each. */
export const openMqtt: OpenLink = async (port, topic, shape, flow) => {
  const socket = await openWebSocket(port, '/', 'mqtt');
  socket.write(maskedFrame(connectPacket(`bench-${Math.random().toString(36).slice(2, 10)}`)));
  const packet = publishPacket(topic, shape.sampleBytes * shape.samplesPerMessage);
  const block = maskedFrame(Buffer.concat(Array<Buffer>(flow.perBlock).fill(packet.bytes)));
  const start = headerSize(flow.perBlock * packet.bytes.length);
  const reader = new FrameReader();
  let next = 1;
  let bytes = 0;
  let connected = false;
  return {
    socket,
    createBlock: () => ({ bytes: Buffer.from(block), messages: flow.perBlock }),
    prepare({ bytes: frame, messages }) {
      for (let i = 0; i < messages; i++) {
        patchMaskedU16(frame, start, i * packet.bytes.length + packet.idAt, next);
        next = next === 65535 ? 1 : next + 1;
      }
    },
    receive(chunk) {
      reader.push(chunk, (body) => void (bytes += body.length));
      if (!connected && bytes >= PUBACK_BYTES) {
        // CONNACK is as long as a PUBACK.
        connected = true;
        bytes -= PUBACK_BYTES;
      }
      const acknowledged = Math.floor(bytes / PUBACK_BYTES);
      bytes -= acknowledged * PUBACK_BYTES;
      return acknowledged;
    },
  };
};

function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const body = Buffer.concat([
    Buffer.from([0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 0]),
    Buffer.of(id.length >> 8, id.length & 0xff),
    id,
  ]);
  return Buffer.concat([Buffer.of(0x10, body.length), body]);
}

function publishPacket(topic: string, length: number): { bytes: Buffer; idAt: number } {
  const name = Buffer.from(topic);
  const head = Buffer.concat([Buffer.of(name.length >> 8, name.length & 0xff), name]);
  const remaining = remainingLength(head.length + 2 + length);
  const idAt = 1 + remaining.length + head.length;
  return {
    bytes: Buffer.concat([
      Buffer.of(PUBLISH_QOS_1),
      remaining,
      head,
      Buffer.alloc(2),
      Buffer.alloc(length, 7),
    ]),
    idAt,
  };
}

/** MQTT's variable length: 7 bits a byte, the lowest first. */
function remainingLength(value: number): Buffer {
  const bytes: number[] = [];
  do {
    bytes.push((value % 128) | (value >= 128 ? 0x80 : 0));
    value = Math.floor(value / 128);
  } while (value > 0);
  return Buffer.from(bytes);
}
