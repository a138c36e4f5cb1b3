import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { Errno, type ErrnoName } from '../../src/ring/errno.js';
import { recordSize } from '../../src/ring/layout.js';
import { checkRun } from '../../src/ring/run.js';
import {
  decodeClientFrame,
  encodeServerFrame,
  isFrameError,
  Op,
  type ClientFrame,
  type OutputFrame,
  type ServerFrame,
  type WelcomeBody,
} from '../../src/wire/index.js';

interface Entry {
  position: bigint;
  end: bigint;
  state: 'sample' | 'busy' | 'discarded';
  text: string;
  owner: FakeSession | undefined;
}
interface ProducerState {
  last: number;
  partial: number;
  ackedPos: bigint;
}
/** One connection as the fake daemon sees it. */
export interface FakeSession {
  socket: WebSocket;
  producer: string | null;
  state: ProducerState;
  /** The number that an ERROR left open. */
  open: number | undefined;
  watch: number | undefined;
  /** Every frame that came, before the rules are applied. */
  frames: ClientFrame[];
}

/** What to do with a frame: apply the rules; drop the connection before or after applying them; do not answer; nothing. */
export type Fate = 'go' | 'cut-before' | 'cut-after' | 'mute' | 'ignore';

/**
 * A daemon of one map, in memory, that follows the OUTPUT, RESERVE and WATCH rules to the letter and can be told to
 * misbehave: cut connections at any frame, keep silent, lose its content, forget producers, refuse upgrades.
 */
export class FakeDaemon {
  ringSize = 4096;
  maxFrameBytes = 65_536;
  incarnation = 'first';
  producerPos = 0n;
  consumerPos = 0n;
  drainNumber = 0n;
  retryAfterMs = 0;
  /** Payloads that a drain took, as text, in order. */
  readonly drained: string[] = [];
  readonly sessions: FakeSession[] = [];
  readonly upgrades: IncomingMessage[] = [];
  /** Answers an upgrade with an HTTP status instead. */
  refuse: ((request: IncomingMessage) => { status: number; body?: string } | undefined) | undefined;
  /** Runs after the upgrade, instead of WELCOME. */
  greet: ((socket: WebSocket) => void) | undefined;
  fate: (frame: ClientFrame, session: FakeSession) => Fate = () => 'go';
  /** Errno for an OUTPUT instead of storing it. */
  refuseOutput: (frame: OutputFrame) => ErrnoName | undefined = () => undefined;
  #entries: Entry[] = [];
  readonly #producers = new Map<string, ProducerState>();
  readonly #http: Server;
  readonly #ws = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has('ringbuf.v1') ? 'ringbuf.v1' : false),
  });

  private constructor() {
    this.#http = createServer((_request, response) => response.writeHead(426).end());
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  static async start(settings: Partial<FakeDaemon> = {}): Promise<FakeDaemon> {
    const daemon = Object.assign(new FakeDaemon(), settings);
    await new Promise<void>((resolve) => daemon.#http.listen(0, '127.0.0.1', resolve));
    return daemon;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  get session(): FakeSession {
    return this.sessions.at(-1)!;
  }

  get free(): number {
    return this.ringSize - Number(this.producerPos - this.consumerPos);
  }

  /** What the ring holds and what was drained before it: everything ever stored in this incarnation, in order. */
  get everything(): string[] {
    return [...this.drained, ...this.#entries.filter((e) => e.state === 'sample').map((e) => e.text)];
  }

  outputs(session = this.session): OutputFrame[] {
    return session.frames.filter((frame) => frame.op === Op.OUTPUT);
  }

  ops(session = this.session): number[] {
    return session.frames.map((frame) => frame.op);
  }

  async stop(): Promise<void> {
    for (const { socket } of this.sessions) socket.terminate();
    this.#ws.close();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  /** Drains up to `count` samples; returns how many. */
  drain(count = Infinity, how: 'wake' | 'no-wakeup' | 'force' = 'wake'): number {
    let taken = 0;
    let turns = 0;
    while (taken < count) {
      const entry = this.#entries[0];
      if (entry === undefined || entry.state === 'busy') break;
      this.#entries.shift();
      if (entry.state === 'sample') {
        this.drained.push(entry.text);
        taken++;
      }
      turns++;
      this.consumerPos = entry.end;
    }
    this.drainNumber++;
    if (how === 'force' || (how === 'wake' && turns > 0)) this.#wake(taken, how === 'force');
    return taken;
  }

  /** The map's content is gone. */
  loseContent(): void {
    this.#entries = [];
    this.#producers.clear();
    this.producerPos = 0n;
    this.consumerPos = 0n;
    this.incarnation += "'";
  }

  forgetProducers(): void {
    this.#producers.clear();
  }

  stateOf(id: string): ProducerState | undefined {
    return this.#producers.get(id);
  }

  setState(id: string, state: ProducerState): void {
    this.#producers.set(id, state);
  }

  /** Takes room away, as another producer would. */
  fill(bytes: number): void {
    this.#append(Array.from({ length: bytes / 8 }, () => ''));
  }

  send(frame: ServerFrame, session = this.session): void {
    session.socket.send(encodeServerFrame(frame));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.upgrades.push(request);
    const refusal = this.refuse?.(request);
    if (refusal !== undefined) {
      const body = refusal.body ?? '';
      socket.end(`HTTP/1.1 ${refusal.status} No\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      return;
    }
    this.#ws.handleUpgrade(request, socket, head, (ws) => {
      ws.on('error', () => undefined);
      if (this.greet === undefined) this.#accept(ws, request);
      else this.greet(ws);
    });
  }

  #accept(socket: WebSocket, request: IncomingMessage): void {
    const producer = new URL(request.url!, 'ws://x').searchParams.get('producer');
    const known = producer === null ? undefined : this.#producers.get(producer);
    const state = known ?? { last: 0, partial: 0, ackedPos: 0n };
    if (producer !== null) {
      this.#producers.set(producer, state);
      for (const old of this.sessions) if (old.producer === producer) this.#end(old);
    }
    const session: FakeSession = {
      socket,
      producer,
      state,
      open: undefined,
      watch: undefined,
      frames: [],
    };
    this.sessions.push(session);
    socket.on('message', (data: Buffer) => this.#receive(session, data));
    socket.on('close', () => this.#end(session));
    const body: WelcomeBody = {
      map: 'm',
      incarnation: this.incarnation,
      max_entries: this.ringSize,
      mode: 'managed',
      durability: 'memory',
      producer,
      resumed: known !== undefined,
      partial: state.partial,
      acked_pos: String(state.ackedPos),
      producer_pos: String(this.producerPos),
      consumer_pos: String(this.consumerPos),
      limits: { max_frame_bytes: this.maxFrameBytes, max_reservations: 16, lease_ms: 30_000 },
    };
    this.send({ op: Op.WELCOME, version: 1, seq: state.last, body }, session);
  }

  /** Fences a session: nothing more of it is stored, its reservations are discarded. */
  #end(session: FakeSession): void {
    for (const entry of this.#entries)
      if (entry.owner === session && entry.state === 'busy') entry.state = 'discarded';
    if (session.socket.readyState === session.socket.OPEN) session.socket.close(4506, 'ESTALE replaced');
    session.producer = null;
    session.open = Infinity;
  }

  #receive(session: FakeSession, data: Buffer): void {
    if (session.open === Infinity) return;
    const frame = decodeClientFrame(new Uint8Array(data));
    if (isFrameError(frame)) throw new Error(`the SDK sent a bad frame: ${frame.message}`);
    session.frames.push(frame);
    const fate = this.fate(frame, session);
    if (fate === 'ignore') return;
    if (fate === 'cut-before') {
      session.socket.terminate();
      this.#end(session);
      return;
    }
    const answer = (reply: ServerFrame): void => {
      if (fate === 'go') this.send(reply, session);
    };
    if (frame.op === Op.OUTPUT) this.#output(session, frame, answer);
    else this.#request(session, frame, answer);
    if (fate === 'cut-after') {
      session.socket.terminate();
      this.#end(session);
    }
  }

  #output(session: FakeSession, frame: OutputFrame, answer: (reply: ServerFrame) => void): void {
    const { state } = session;
    if (session.open !== undefined && frame.seq !== session.open) return;
    const ack = (): void =>
      answer({
        op: Op.ACK,
        seq: state.last,
        durability: 'memory',
        producerPos: state.ackedPos,
        consumerPos: this.consumerPos,
      });
    if (frame.seq <= state.last && frame.resend) {
      ack();
      return;
    }
    if (frame.seq !== state.last + 1) {
      this.#error(frame, 'EPROTO', 0, answer);
      session.socket.close(4505, 'EPROTO sequence');
      return;
    }
    if (!frame.resend) state.partial = 0;
    const samples = samplesOf(frame.run);
    const refused = this.refuseOutput(frame) ?? this.#unfit(frame);
    if (refused !== undefined) {
      session.open = frame.seq;
      this.#error(frame, refused, state.partial, answer);
      return;
    }
    const left = samples.slice(state.partial);
    let fits = 0;
    let bytes = 0;
    while (fits < left.length && bytes + recordSize(Buffer.byteLength(left[fits]!)) <= this.free)
      bytes += recordSize(Buffer.byteLength(left[fits++]!));
    if (frame.atomic && fits < left.length) fits = 0;
    this.#append(left.slice(0, fits));
    if (fits > 0) state.ackedPos = this.producerPos;
    if (fits < left.length) {
      state.partial += fits;
      session.open = frame.seq;
      this.#error(frame, 'ENOSPC', state.partial, answer);
      return;
    }
    state.last = frame.seq;
    state.partial = 0;
    session.open = undefined;
    ack();
  }

  #unfit(frame: OutputFrame): ErrnoName | undefined {
    const { buffer, byteOffset, byteLength } = frame.run;
    const result = checkRun(new DataView(buffer, byteOffset, byteLength), this.ringSize);
    if (result >= 0) return frame.atomic && byteLength > this.ringSize ? 'E2BIG' : undefined;
    return result === -Errno.E2BIG ? 'E2BIG' : 'EINVAL';
  }

  #append(texts: readonly string[], owner?: FakeSession): void {
    for (const text of texts) {
      const position = this.producerPos;
      this.producerPos += BigInt(recordSize(Buffer.byteLength(text)));
      this.#entries.push({ position, end: this.producerPos, state: 'sample', text, owner });
    }
  }

  #error(frame: ClientFrame, errno: ErrnoName, accepted: number, answer: (reply: ServerFrame) => void): void {
    answer({
      op: Op.ERROR,
      request: frame.op,
      errno: Errno[errno],
      seq: BigInt(frame.seq),
      accepted,
      retryAfterMs: this.retryAfterMs,
      producerPos: this.producerPos,
      consumerPos: this.consumerPos,
      message: `scripted ${errno}`,
    });
  }

  #request(
    session: FakeSession,
    frame: Exclude<ClientFrame, OutputFrame>,
    answer: (reply: ServerFrame) => void,
  ): void {
    const { seq } = frame;
    const done = (): void =>
      answer({ op: Op.DONE, seq, producerPos: this.producerPos, consumerPos: this.consumerPos });
    switch (frame.op) {
      case Op.RESERVE: {
        const size = recordSize(frame.size);
        if (size > this.ringSize) this.#error(frame, 'E2BIG', 0, answer);
        else if (size > this.free) this.#error(frame, 'ENOSPC', 0, answer);
        else {
          const position = this.producerPos;
          this.producerPos += BigInt(size);
          this.#entries.push({ position, end: this.producerPos, state: 'busy', text: '', owner: session });
          answer({ op: Op.RESERVED, seq, position });
        }
        return;
      }
      case Op.SUBMIT:
      case Op.DISCARD: {
        const entry = this.#entries.find((e) => e.position === frame.position && e.owner === session);
        if (entry?.state !== 'busy') {
          this.#error(frame, 'ENOENT', 0, answer);
          return;
        }
        entry.state = frame.op === Op.SUBMIT ? 'sample' : 'discarded';
        if (frame.op === Op.SUBMIT) entry.text = new TextDecoder().decode(frame.payload);
        done();
        return;
      }
      case Op.WATCH:
        session.watch = frame.on ? frame.minFree : undefined;
        done();
        if (frame.on && this.free >= frame.minFree)
          answer({
            op: Op.WAKEUP,
            forced: false,
            writable: this.free > 0,
            atOnce: true,
            drained: 0,
            seq: this.drainNumber,
            producerPos: this.producerPos,
            consumerPos: this.consumerPos,
          });
        return;
      case Op.QUERY:
        answer({
          op: Op.INFO,
          seq,
          availData: this.producerPos - this.consumerPos,
          ringSize: BigInt(this.ringSize),
          consumerPos: this.consumerPos,
          producerPos: this.producerPos,
        });
        return;
      default:
        done();
    }
  }

  #wake(drained: number, forced: boolean): void {
    for (const session of this.sessions) {
      if (session.watch === undefined || session.open === Infinity) continue;
      if (!forced && this.free < session.watch) continue;
      this.send(
        {
          op: Op.WAKEUP,
          forced,
          writable: this.free > 0,
          atOnce: false,
          drained,
          seq: this.drainNumber,
          producerPos: this.producerPos,
          consumerPos: this.consumerPos,
        },
        session,
      );
    }
  }
}

/** The payloads of a run, as text. */
export function samplesOf(run: Uint8Array): string[] {
  const view = new DataView(run.buffer, run.byteOffset, run.byteLength);
  const samples: string[] = [];
  for (let at = 0; at + 8 <= run.length;) {
    const length = view.getUint32(at, true);
    samples.push(new TextDecoder().decode(run.subarray(at + 8, at + 8 + length)));
    at += recordSize(length);
  }
  return samples;
}
