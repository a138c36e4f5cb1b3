import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { expect } from 'vitest';
import { WebSocket, type ClientOptions } from 'ws';
import {
  buildOutputFrame,
  decodeServerFrame,
  encodeClientFrame,
  isFrameError,
  Op,
  opName,
  Subprotocol,
  type ClientFrame,
  type InfoFrame,
  type ServerFrame,
} from '../../src/wire/index.js';

const TIMEOUT_MS = 4000;

export interface RawClientOptions extends ClientOptions {
  /** Subprotocols to offer; none = plain mode. Default: `ringbuf.v1`. */
  protocols?: string[];
}

/** What came from the daemon: a frame in binary mode, an object in JSON mode. */
export type JsonMessage = Record<string, unknown>;

export interface Closed {
  code: number;
  reason: string;
}

type FrameOf<O extends ServerFrame['op']> = Extract<ServerFrame, { op: O }>;

/** A WebSocket client on `ws` and the codec alone: it sends what a test tells it to, right or wrong. */
export class RawClient {
  readonly socket: WebSocket;
  readonly #arrived: (ServerFrame | JsonMessage)[] = [];
  #notify: () => void = () => undefined;
  #closed: Closed | undefined;
  #seq = 0n;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.binaryType = 'nodebuffer';
    socket.on('message', (data: Buffer, isBinary) => {
      this.#arrived.push(isBinary ? decode(data) : (JSON.parse(data.toString()) as JsonMessage));
      this.#notify();
    });
    socket.on('close', (code, reason) => {
      this.#closed = { code, reason: reason.toString() };
      this.#notify();
    });
    socket.on('error', () => undefined);
  }

  /** Connects; WELCOME, in the modes that have one, is the first frame to come. */
  static async open(url: string, options: RawClientOptions = {}): Promise<RawClient> {
    const { protocols = [Subprotocol.BINARY], ...rest } = options;
    const client = new RawClient(new WebSocket(url, protocols, { perMessageDeflate: false, ...rest }));
    await new Promise<void>((resolve, reject) => {
      client.socket.once('open', resolve);
      client.socket.once('error', reject);
    });
    return client;
  }

  /** Connects, and takes WELCOME off the queue. */
  static async welcomed(url: string, options: RawClientOptions = {}): Promise<RawClient> {
    const client = await RawClient.open(url, options);
    await client.next();
    return client;
  }

  /** An upgrade that is to be refused: its HTTP status and problem body. */
  static async refusal(
    url: string,
    options: RawClientOptions = {},
  ): Promise<{ status: number; headers: IncomingMessage['headers']; body: Record<string, unknown> }> {
    const { protocols = [Subprotocol.BINARY], ...rest } = options;
    const socket = new WebSocket(url, protocols, { perMessageDeflate: false, ...rest });
    socket.on('error', () => undefined);
    const answer = await Promise.race([
      once(socket, 'unexpected-response') as Promise<[unknown, IncomingMessage]>,
      once(socket, 'open').then(() => undefined),
    ]);
    if (answer === undefined) {
      socket.terminate();
      throw new Error('the upgrade was accepted');
    }
    const [, response] = answer;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const body = (text.startsWith('{') ? JSON.parse(text) : { text }) as Record<string, unknown>;
    return { status: response.statusCode!, headers: response.headers, body };
  }

  send(frame: ClientFrame): void {
    this.socket.send(encodeClientFrame(frame));
  }

  /** An OUTPUT of text or byte samples. */
  output(
    seq: number,
    samples: readonly (string | Uint8Array)[],
    options: { atomic?: boolean; resend?: boolean } = {},
  ): void {
    this.sendBytes(buildOutputFrame(seq, samples.map(toBytes), options));
  }

  /** One binary message. */
  sendBytes(bytes: Uint8Array): void {
    this.socket.send(bytes, { binary: true });
  }

  /** One text message. */
  sendText(text: string): void {
    this.socket.send(text, { binary: false });
  }

  sendJson(value: unknown): void {
    this.sendText(JSON.stringify(value));
  }

  /** The next frame, whatever it is. */
  async next(timeoutMs = TIMEOUT_MS): Promise<ServerFrame> {
    return (await this.#take(timeoutMs)) as ServerFrame;
  }

  /** The next frame, which is of the given op. */
  async expect<O extends ServerFrame['op']>(op: O, timeoutMs = TIMEOUT_MS): Promise<FrameOf<O>> {
    const frame = await this.next(timeoutMs);
    if (frame.op !== op)
      throw new Error(`expected ${opName(op)}, got ${opName(frame.op)} ${describeFrame(frame)}`);
    return frame as FrameOf<O>;
  }

  /** The next message in JSON mode. */
  async nextJson(timeoutMs = TIMEOUT_MS): Promise<JsonMessage> {
    return (await this.#take(timeoutMs)) as JsonMessage;
  }

  /**
   * Everything that the daemon had to say up to now. Two round trips: the ACK for what was read together with the first
   * QUERY comes behind its INFO.
   */
  async settle(): Promise<ServerFrame[]> {
    const said: ServerFrame[] = [];
    for (let trip = 0; trip < 2; trip++) {
      const seq = this.#nextSeq();
      this.send({ op: Op.QUERY, seq });
      for (
        let frame = await this.next();
        frame.op !== Op.INFO || frame.seq !== seq;
        frame = await this.next()
      )
        said.push(frame);
    }
    return said;
  }

  async query(): Promise<InfoFrame> {
    this.send({ op: Op.QUERY, seq: this.#nextSeq() });
    return this.expect(Op.INFO);
  }

  /** RESERVE that is granted; returns the position. */
  async reserve(size: number): Promise<bigint> {
    this.send({ op: Op.RESERVE, seq: this.#nextSeq(), size });
    return (await this.expect(Op.RESERVED)).position;
  }

  /** Frames that came and were not asked for yet. */
  get waiting(): number {
    return this.#arrived.length;
  }

  get closed(): Closed | undefined {
    return this.#closed;
  }

  /** Waits for the end of the connection; frames before it stay in the queue. */
  async close(code?: number, reason?: string): Promise<Closed> {
    this.socket.close(code, reason);
    return this.ended();
  }

  /** Waits until the connection has ended. */
  async ended(timeoutMs = TIMEOUT_MS): Promise<Closed> {
    await this.#until(() => this.#closed !== undefined, timeoutMs, 'the end of the connection');
    return this.#closed!;
  }

  /** Waits for a close with this code and a reason that contains `reason`. */
  async expectClose(code: number, reason = ''): Promise<void> {
    const closed = await this.ended();
    expect(closed).toEqual({ code, reason: expect.stringContaining(reason) as string });
  }

  terminate(): void {
    this.socket.terminate();
  }

  /** Far from the numbers that tests choose by hand. */
  #nextSeq(): bigint {
    return 0xffff_0000n + ++this.#seq;
  }

  async #take(timeoutMs: number): Promise<ServerFrame | JsonMessage> {
    await this.#until(() => this.#arrived.length > 0 || this.#closed !== undefined, timeoutMs, 'a frame');
    const frame = this.#arrived.shift();
    if (frame === undefined) throw new Error(`the connection was closed: ${JSON.stringify(this.#closed)}`);
    return frame;
  }

  async #until(condition: () => boolean, timeoutMs: number, what: string): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what} did not come in ${timeoutMs} ms`)), timeoutMs);
      this.#notify = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#notify = () => undefined;
        resolve();
      };
    });
  }
}

export function toBytes(sample: string | Uint8Array): Uint8Array {
  return typeof sample === 'string' ? new TextEncoder().encode(sample) : sample;
}

/** A frame in one line, for messages of failed tests. */
export function describeFrame(frame: ServerFrame): string {
  return JSON.stringify(frame, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

function decode(data: Buffer): ServerFrame {
  const frame = decodeServerFrame(data);
  if (isFrameError(frame)) throw new Error(`the daemon sent no frame: ${frame.message}`);
  return frame;
}
