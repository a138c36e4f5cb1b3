import type { Socket } from 'node:net';
import {
  decodeServerFrame,
  encodeClientFrame,
  isFrameError,
  type ClientFrame,
  type ServerFrame,
} from '../../src/wire/index.js';
import { openWebSocket } from '../websocket/link.js';
import { FrameReader, maskedFrame, Opcode } from '../websocket/masked-frame.js';

/** A `ringbuf.v1` connection by hand, for clients whose own time must not count: no queue, no promises. */
export class FrameConnection {
  readonly socket: Socket;
  readonly #reader = new FrameReader();
  /** Gets each frame, the moment it is read. */
  onFrame: (frame: ServerFrame) => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#reader.push(chunk, (payload, opcode) => {
        if (opcode === Opcode.PING) socket.write(maskedFrame(payload, Opcode.PONG));
        if (opcode !== Opcode.BINARY) return;
        const frame = decodeServerFrame(payload);
        if (isFrameError(frame)) throw new Error(frame.message);
        this.onFrame(frame);
      });
    });
  }

  /** @param query of the connection, as in `?on_full=block` */
  static async open(port: number, map: string, query = ''): Promise<FrameConnection> {
    const connection = new FrameConnection(
      await openWebSocket(port, `/v1/maps/${map}/produce${query}`, 'ringbuf.v1'),
    );
    connection.socket.resume();
    return connection;
  }

  send(frame: ClientFrame): void {
    this.socket.write(maskedFrame(encodeClientFrame(frame)));
  }

  close(): void {
    this.socket.destroy();
  }
}
