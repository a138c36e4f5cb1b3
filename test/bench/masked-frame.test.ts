import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { openWebSocket } from '../../bench/websocket/link.js';
import {
  FrameReader,
  headerSize,
  maskedFrame,
  Opcode,
  patchMaskedU16,
  patchMaskedU64,
} from '../../bench/websocket/masked-frame.js';

let server: WebSocketServer;

beforeAll(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
});
afterAll(() => {
  for (const client of server.clients) client.terminate();
  server.close();
});

/** Sends frames to a server that this project did not write, and returns the messages that it understood. */
async function understood(...frames: Buffer[]): Promise<Buffer[]> {
  const connected = once(server, 'connection') as Promise<[WebSocket]>;
  const socket = await openWebSocket((server.address() as AddressInfo).port, '/');
  const [peer] = await connected;
  const messages: Buffer[] = [];
  const all = new Promise<void>((resolve) =>
    peer.on('message', (data: Buffer) => {
      messages.push(data);
      if (messages.length === frames.length) resolve();
    }),
  );
  socket.write(Buffer.concat(frames));
  await all;
  socket.destroy();
  return messages;
}

describe('a masked frame', () => {
  it.each([0, 1, 125, 126, 65_535, 65_536, 100_003])('of %i bytes is what ws reads', async (length) => {
    const payload = Buffer.alloc(length, 'ringbuf');
    const [message] = await understood(maskedFrame(payload));
    expect(message!.equals(payload)).toBe(true);
  });

  it('can have its numbers changed without being masked anew', async () => {
    const payload = Buffer.alloc(24);
    const frame = maskedFrame(payload);
    const start = headerSize(payload.length);
    patchMaskedU64(new DataView(frame.buffer, frame.byteOffset, frame.length), start + 8, 2 ** 40 + 5);
    patchMaskedU16(frame, start, 17, 0xfe01);
    const [message] = await understood(frame);
    expect(message!.readUInt16BE(17)).toBe(0xfe01);
    expect(message!.readBigUInt64LE(8)).toBe(2n ** 40n + 5n);
    expect(message!.subarray(0, 8)).toEqual(Buffer.alloc(8));
  });
});

describe('the reader of a server’s frames', () => {
  const long = Buffer.alloc(300, 'x');
  const bytes = Buffer.concat([
    Buffer.of(0x80 | Opcode.BINARY, 2, 7, 8),
    Buffer.of(0x80 | Opcode.PING, 0),
    Buffer.concat([Buffer.of(0x80 | Opcode.TEXT, 126, 1, 44), long]),
  ]);

  it.each([1, 2, 3, 5, 1000])('puts frames together that arrive %i bytes at a time', (step) => {
    const reader = new FrameReader();
    const read: [number, string][] = [];
    for (let at = 0; at < bytes.length; at += step)
      reader.push(bytes.subarray(at, at + step), (payload, opcode) =>
        read.push([opcode, payload.toString('latin1')]),
      );
    expect(read).toEqual([
      [Opcode.BINARY, '\x07\x08'],
      [Opcode.PING, ''],
      [Opcode.TEXT, long.toString('latin1')],
    ]);
  });
});
