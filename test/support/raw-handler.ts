import { WebSocket, type ClientOptions } from 'ws';
import {
  decodeHandlerServerFrame,
  deliveredSamples,
  encodeHandlerClientFrame,
  HANDLER_SUBPROTOCOL,
  HandlerOp,
  isFrameError,
  type AttachedBody,
  type DeliverFrame,
} from '../../src/wire/index.js';
import type { Closed } from './raw-client.js';
import { until } from './until.js';

/** What an attached client remembers of a delivery. */
export interface Delivered {
  number: number;
  position: bigint;
  samples: string[];
  /** Bytes of the body, which is what credit counts. */
  bytes: number;
  ctx: unknown;
}

/** An attached handler on `ws` and the codec alone: it does what a test tells it to, right or wrong. */
export class RawHandler {
  readonly socket: WebSocket;
  readonly deliveries: Delivered[] = [];
  /** ROLE and CANCEL frames, in short. */
  readonly notices: string[] = [];
  attached: AttachedBody | undefined;
  closed: Closed | undefined;
  /** Called for each delivery, at once. */
  onDelivery: (delivery: Delivered) => void = () => undefined;
  #taken = 0;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => this.#heard(data));
    socket.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }));
    socket.on('error', () => undefined);
  }

  /** @param url as {@link attachUrl} makes it */
  static async open(
    url: string,
    options: ClientOptions & { protocols?: string[] } = {},
  ): Promise<RawHandler> {
    const { protocols = [HANDLER_SUBPROTOCOL], ...rest } = options;
    const handler = new RawHandler(new WebSocket(url, protocols, { perMessageDeflate: false, ...rest }));
    await until(() => handler.attached !== undefined || handler.closed !== undefined, 'ATTACHED');
    return handler;
  }

  /** The next delivery that was not asked for yet. */
  async next(timeoutMs?: number): Promise<Delivered> {
    const index = this.#taken++;
    return until(() => this.deliveries[index], `delivery ${index + 1} of this client`, timeoutMs);
  }

  answer(number: number, consumed: number, stop = false): void {
    this.send(
      encodeHandlerClientFrame({
        op: HandlerOp.ANSWER,
        seq: BigInt(number),
        failed: false,
        consumed,
        stop,
      }),
    );
  }

  fail(number: number, message: string, errno = 5): void {
    this.send(
      encodeHandlerClientFrame({ op: HandlerOp.ANSWER, seq: BigInt(number), failed: true, errno, message }),
    );
  }

  credit(bytes: number): void {
    this.send(encodeHandlerClientFrame({ op: HandlerOp.CREDIT, seq: 1n, bytes }));
  }

  send(bytes: Uint8Array): void {
    this.socket.send(bytes, { binary: true });
  }

  terminate(): void {
    this.socket.terminate();
  }

  #heard(data: Uint8Array): void {
    const frame = decodeHandlerServerFrame(data);
    if (isFrameError(frame)) throw new Error(frame.message);
    switch (frame.op) {
      case HandlerOp.ATTACHED:
        this.attached = frame.body;
        return;
      case HandlerOp.ROLE:
        this.notices.push(frame.active ? 'active' : 'standby');
        return;
      case HandlerOp.CANCEL:
        this.notices.push(`cancel ${frame.seq} ${frame.errno}`);
        return;
      case HandlerOp.DELIVER: {
        const delivery = opened(frame, data.length - 16);
        this.deliveries.push(delivery);
        this.onDelivery(delivery);
      }
    }
  }
}

function opened(frame: DeliverFrame, bytes: number): Delivered {
  const ctx = new TextDecoder().decode(frame.ctx);
  return {
    number: Number(frame.seq),
    position: frame.position,
    samples: deliveredSamples(frame)!.map((sample) => new TextDecoder().decode(sample)),
    bytes,
    ctx: ctx === '' ? {} : (JSON.parse(ctx) as unknown),
  };
}

/** Where a handler attaches. `url` is the daemon's own, as in `http://127.0.0.1:7890`. */
export function attachUrl(url: string, map: string, handler: string, query = 'credit=65536'): string {
  return `${url.replace(/^http/, 'ws')}/v1/maps/${map}/handlers/${handler}/attach?${query}`;
}
