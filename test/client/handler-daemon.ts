import { buildRun } from '../../src/wire/index.js';
import type { Clock, HandleOptions, SocketEnd, SocketEvents, SocketLimits } from '../../src/client/index.js';
import {
  decodeHandlerClientFrame,
  encodeHandlerServerFrame,
  HandlerOp,
  isFrameError,
  type HandlerClientFrame,
  type HandlerServerFrame,
} from '../../src/wire/index.js';

/** A clock that a test turns by hand; chance is always one half. */
export class HandlerClock implements Clock {
  #now = 0;
  #timers: { due: number; run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): unknown {
    const timer = { due: this.#now + ms, run };
    this.#timers.push(timer);
    return timer;
  }

  clear(timer: unknown): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }

  random(): number {
    return 0.5;
  }

  get timers(): number {
    return this.#timers.length;
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter(({ due }) => due <= end).sort((a, b) => a.due - b.due)[0];
      if (next === undefined) break;
      this.clear(next);
      this.#now = next.due;
      next.run();
    }
    this.#now = end;
  }
}

/** The daemon's end of one connection. */
export class DaemonEnd {
  readonly heard: HandlerClientFrame[] = [];
  closed: { code: number; reason: string } | undefined;
  terminated = false;
  readonly #events: SocketEvents;

  constructor(
    readonly url: URL,
    readonly subprotocols: readonly string[],
    readonly limits: SocketLimits,
    events: SocketEvents,
  ) {
    this.#events = events;
  }

  receive(bytes: Uint8Array): void {
    const frame = decodeHandlerClientFrame(Uint8Array.from(bytes));
    if (isFrameError(frame)) throw new Error(frame.message);
    this.heard.push(frame);
  }

  open(subprotocol = 'ringbuf.v1.handler'): void {
    this.#events.opened(subprotocol);
  }

  /** Opens and attaches. */
  attach(role: 'active' | 'standby' = 'active', incarnation = 'x'): void {
    this.open();
    const limits = { max_batch_bytes: 1000, timeout_ms: 5000, max_frame_bytes: 4096 };
    this.send({
      op: HandlerOp.ATTACHED,
      version: 1,
      body: { map: 'm', handler: 'h', incarnation, client: '~1', role, limits },
    });
  }

  send(frame: HandlerServerFrame): void {
    this.sendBytes(encodeHandlerServerFrame(frame));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#events.message(bytes);
  }

  sendText(): void {
    this.#events.text();
  }

  deliver(number: number, samples: readonly string[], ctx = '', position = 0n): void {
    const run = buildRun(samples.map((sample) => new TextEncoder().encode(sample)));
    this.send({
      op: HandlerOp.DELIVER,
      seq: BigInt(number),
      samples: samples.length,
      position,
      ctx: new TextEncoder().encode(ctx),
      run,
    });
  }

  end(end: Partial<SocketEnd> = {}): void {
    this.#events.closed({ code: 1006, reason: '', ...end });
  }
}

/** All connections that a client has opened, and the options that make it open them here. */
export class HandlerDaemon {
  readonly clock = new HandlerClock();
  readonly ends: DaemonEnd[] = [];

  /** The newest connection. */
  get end(): DaemonEnd {
    return this.ends.at(-1)!;
  }

  get options(): Pick<HandleOptions, 'clock' | 'openWebSocket' | 'map' | 'handler'> {
    return {
      map: 'm',
      handler: 'h',
      clock: this.clock,
      openWebSocket: (url, subprotocols, limits, events) => {
        const end = new DaemonEnd(new URL(url), subprotocols, limits, events);
        this.ends.push(end);
        return {
          bufferedAmount: 0,
          send: (bytes) => end.receive(bytes),
          close(code, reason) {
            end.closed = { code, reason };
            queueMicrotask(() => end.end({ code, reason }));
          },
          terminate() {
            end.terminated = true;
            queueMicrotask(() => end.end());
          },
        };
      },
    };
  }
}
