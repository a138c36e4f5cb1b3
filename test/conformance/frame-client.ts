import { once } from 'node:events';
import { WebSocket, type RawData } from 'ws';
import {
  decodeServerFrame,
  encodeClientFrame,
  isFrameError,
  Op,
  Subprotocol,
  type ClientFrame,
  type ErrorFrame,
  type InfoFrame,
  type ServerFrame,
  type WakeupFrame,
} from '../../src/wire/index.js';

type WithoutSeq<Frame> = Frame extends { seq: bigint } ? Omit<Frame, 'seq'> : never;
/** A frame to send; its seq is given here. OUTPUT has a numbering of its own and is not used. */
export type Request = WithoutSeq<ClientFrame>;
type Reply = Exclude<ServerFrame, { op: typeof Op.WELCOME | typeof Op.ACK | typeof Op.WAKEUP }>;

interface Waiting {
  resolve: (reply: Reply) => void;
  reject: (error: Error) => void;
}

/** A refusal where none can be in a faithful replay. */
export class RefusedError extends Error {
  constructor(readonly frame: ErrorFrame) {
    super(`the daemon refused op ${frame.request} with errno ${frame.errno}: ${frame.message}`);
  }
}

/** One `ringbuf.v1` connection, written on `ws` and the codec alone: the SDK stays out of what is measured here. */
export class FrameClient {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<bigint, Waiting>();
  #wakeups: WakeupFrame[] = [];
  #seq = 0n;
  #ended: Error | undefined;

  private constructor(url: string) {
    this.#socket = new WebSocket(url, [Subprotocol.BINARY], { perMessageDeflate: false });
    this.#socket.binaryType = 'nodebuffer';
    this.#socket.on('message', (data: RawData) => this.#take(data as Buffer));
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('close', (code, reason) =>
      this.#end(new Error(`the connection was closed: ${code} ${reason.toString()}`)),
    );
  }

  static async connect(url: string): Promise<FrameClient> {
    const client = new FrameClient(url);
    await once(client.#socket, 'open');
    return client;
  }

  /** Sends a frame and resolves with its answer, an ERROR included. */
  request(frame: Request): Promise<Reply> {
    if (this.#ended) return Promise.reject(this.#ended);
    const seq = ++this.#seq;
    this.#socket.send(encodeClientFrame({ ...frame, seq }));
    return new Promise((resolve, reject) => this.#waiting.set(seq, { resolve, reject }));
  }

  /** The same, for what must not be refused. */
  async insist(frame: Request): Promise<Reply> {
    const reply = await this.request(frame);
    if (reply.op === Op.ERROR) throw new RefusedError(reply);
    return reply;
  }

  async query(): Promise<InfoFrame> {
    return (await this.insist({ op: Op.QUERY })) as InfoFrame;
  }

  /** The WAKEUPs that came since this was last asked. Those that a WATCH got at once are no drain's. */
  takeWakeups(): WakeupFrame[] {
    const wakeups = this.#wakeups.filter((frame) => !frame.atOnce);
    this.#wakeups = [];
    return wakeups;
  }

  async close(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.#socket, 'close');
    this.#socket.close(1000);
    await closed;
  }

  #take(data: Buffer): void {
    const frame = decodeServerFrame(data);
    if (isFrameError(frame)) {
      this.#end(new Error(`the daemon sent no frame: ${frame.message}`));
      return;
    }
    if (frame.op === Op.WAKEUP) this.#wakeups.push(frame);
    else if (frame.op !== Op.WELCOME && frame.op !== Op.ACK) {
      this.#waiting.get(frame.seq)?.resolve(frame);
      this.#waiting.delete(frame.seq);
    }
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}
