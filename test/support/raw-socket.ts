import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { until } from './until.js';

/** WebSocket opcodes (RFC 6455 §5.2). */
export const Opcode = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

export interface RawFrame {
  opcode: number;
  payload: Buffer;
}

/** A handshake request, with everything that may be wrong about it. */
export function upgradeRequest(
  host: string,
  path: string,
  options: { protocol?: string; headers?: string[]; key?: string } = {},
): Buffer {
  const { protocol, headers = [], key = 'dGhlIHNhbXBsZSBub25jZQ==' } = options;
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
    ...headers,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

/** A client's frame, masked unless told otherwise. The mask is fixed: nobody is to be protected here. */
export function clientFrame(
  opcode: number,
  payload: Uint8Array,
  options: { fin?: boolean; masked?: boolean } = {},
): Buffer {
  const { fin = true, masked = true } = options;
  const size = payload.length;
  const length =
    size < 126 ? Buffer.of(size) : size < 65536 ? Buffer.of(126, size >> 8, size & 0xff) : Buffer.alloc(9);
  if (size >= 65536) {
    length[0] = 127;
    length.writeBigUInt64BE(BigInt(size), 1);
  }
  length[0]! |= masked ? 0x80 : 0;
  const mask = masked ? Buffer.of(1, 2, 3, 4) : Buffer.alloc(0);
  const body = masked ? Buffer.from(payload.map((byte, i) => byte ^ mask[i & 3]!)) : Buffer.from(payload);
  return Buffer.concat([Buffer.of((fin ? 0x80 : 0) | opcode), length, mask, body]);
}

/** A TCP connection that a test writes to byte by byte, and that reads HTTP heads and WebSocket frames. */
export class RawSocket {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => (this.#bytes = Buffer.concat([this.#bytes, chunk])));
    socket.on('end', () => (this.ended = true));
    socket.on('close', () => (this.ended = true));
    socket.on('error', () => undefined);
  }

  /** @param options.allowHalfOpen this side stays open when the daemon has ended its own */
  static async connect(port: number, options: { allowHalfOpen?: boolean } = {}): Promise<RawSocket> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, ...options });
    await once(socket, 'connect');
    return new RawSocket(socket);
  }

  /** One write: one TCP segment, if it is not too long. */
  write(...parts: Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The head of the HTTP answer. */
  async head(): Promise<string> {
    const end = await until(() => this.#bytes.indexOf('\r\n\r\n') + 1, 'an HTTP head');
    const head = this.#bytes.subarray(0, end + 3).toString();
    this.#bytes = this.#bytes.subarray(end + 3);
    return head;
  }

  /** The next WebSocket frame of the daemon. */
  async frame(): Promise<RawFrame> {
    return until(() => this.#parse(), 'a WebSocket frame');
  }

  /** The close frame, after whatever frames come before it. */
  async closeFrame(): Promise<{ code: number; reason: string }> {
    for (;;) {
      const { opcode, payload } = await this.frame();
      if (opcode === Opcode.CLOSE)
        return { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString() };
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  #parse(): RawFrame | undefined {
    const bytes = this.#bytes;
    if (bytes.length < 2) return undefined;
    let size = bytes[1]! & 0x7f;
    let at = 2;
    if (size === 126) {
      if (bytes.length < 4) return undefined;
      size = bytes.readUInt16BE(2);
      at = 4;
    } else if (size === 127) {
      if (bytes.length < 10) return undefined;
      size = Number(bytes.readBigUInt64BE(2));
      at = 10;
    }
    if (bytes.length < at + size) return undefined;
    this.#bytes = bytes.subarray(at + size);
    return { opcode: bytes[0]! & 0x0f, payload: bytes.subarray(at, at + size) };
  }
}
