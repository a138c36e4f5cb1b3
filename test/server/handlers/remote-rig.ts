import { pino } from 'pino';
import { Consumer, createUserRing, Producer, type UserRing } from '../../../src/ring/index.js';
import { runDrain, type DrainOutcome } from '../../../src/server/drain-runner.js';
import { RingbufdError } from '../../../src/server/errors.js';
import { HandlerSession } from '../../../src/server/handler-session.js';
import { remoteKind, type RemoteHandler } from '../../../src/server/handlers/remote.js';
import {
  buildRun,
  decodeHandlerServerFrame,
  deliveredSamples,
  encodeHandlerClientFrame,
  HandlerOp,
  isFrameError,
  type AttachedFrame,
  type DeliverFrame,
  type HandlerServerFrame,
} from '../../../src/wire/index.js';
import { fakeSocket, type FakeSocket } from '../../support/fake-socket.js';
import { ManualClock } from '../../support/manual-clock.js';
import { toBytes } from '../../support/raw-client.js';

/** Lets everything happen that waits for nothing but promises. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An attached client whose socket is an object literal. */
export class LiteralClient {
  readonly socket: FakeSocket;
  readonly session: HandlerSession;
  readonly attached: AttachedFrame;
  /** Everything that came after ATTACHED and was not looked at yet. */
  readonly frames: HandlerServerFrame[] = [];

  constructor(
    rig: Pick<RemoteRig, 'handler' | 'slow'>,
    label: string,
    creditBytes = 65_536,
    keep = false,
    maxQueuedBytes = 4096,
  ) {
    this.socket = fakeSocket({ keep });
    this.session = new HandlerSession(this.socket, rig.handler, {
      map: 'm',
      handler: 'h',
      incarnation: 'x',
      label,
      creditBytes,
      maxFrameBytes: 1024,
      maxQueuedBytes,
      onSlow: () => rig.slow.push(label),
    });
    this.attached = this.#read().shift() as AttachedFrame;
  }

  /** What came since the last look: DELIVER as its samples' text, the rest in short. */
  said(): string[] {
    return this.#read()
      .splice(0)
      .map((frame) => {
        switch (frame.op) {
          case HandlerOp.ATTACHED:
            return 'attached';
          case HandlerOp.DELIVER:
            return `deliver ${frame.seq} at ${frame.position}: ${textOf(frame).join(' ')}`;
          case HandlerOp.ROLE:
            return frame.active ? 'active' : 'standby';
          case HandlerOp.CANCEL:
            return `cancel ${frame.seq} ${frame.errno}`;
        }
      });
  }

  /** The delivery that came; there is exactly one frame. */
  delivery(): DeliverFrame {
    const [frame, ...rest] = this.#read().splice(0);
    if (frame?.op !== HandlerOp.DELIVER || rest.length > 0) throw new Error('expected one DELIVER');
    return frame;
  }

  answer(number: bigint | number, consumed: number, stop = false): void {
    this.#send({ op: HandlerOp.ANSWER, seq: BigInt(number), failed: false, consumed, stop });
  }

  fail(number: bigint | number, message: string, errno = 5): void {
    this.#send({ op: HandlerOp.ANSWER, seq: BigInt(number), failed: true, errno, message });
  }

  credit(bytes: number, seq = 1n): void {
    this.#send({ op: HandlerOp.CREDIT, seq, bytes });
  }

  #send(frame: Parameters<typeof encodeHandlerClientFrame>[0]): void {
    this.session.message(encodeHandlerClientFrame(frame), true);
  }

  #read(): HandlerServerFrame[] {
    for (const message of this.socket.sent.splice(0)) {
      const frame = decodeHandlerServerFrame(message as Uint8Array);
      if (isFrameError(frame)) throw new Error(frame.message);
      this.frames.push(frame);
    }
    return this.frames;
  }
}

export function textOf(frame: DeliverFrame): string[] {
  return deliveredSamples(frame)!.map((sample) => new TextDecoder().decode(sample));
}

/** A ring, a remote handler and its drains, on a clock that a test turns by hand. */
export class RemoteRig {
  readonly clock = new ManualClock();
  readonly ring: UserRing;
  readonly producer: Producer;
  readonly handler: RemoteHandler;
  readonly slow: string[] = [];
  ready = 0;
  readonly #consumer: Consumer;

  constructor(config: Record<string, unknown> = {}, maxEntries = 4096) {
    this.ring = createUserRing({ maxEntries });
    this.producer = new Producer(this.ring);
    this.#consumer = new Consumer(this.ring);
    this.handler = remoteKind.create(
      { timeout_ms: 5000, max_batch_bytes: 262_144, ...config },
      {
        map: 'm',
        handler: 'h',
        dataDir: '/nonexistent',
        logger: pino({ level: 'silent' }),
        clock: this.clock,
      },
    ) as RemoteHandler;
    this.handler.onReady = () => void this.ready++;
  }

  store(...samples: (string | Uint8Array)[]): void {
    this.producer.outputRun(buildRun(samples.map(toBytes)));
  }

  attach(
    label: string,
    options: { credit?: number; keep?: boolean; maxQueuedBytes?: number } = {},
  ): LiteralClient {
    const { credit = 65_536, keep = false, maxQueuedBytes = 4096 } = options;
    return new LiteralClient(this, label, credit, keep, maxQueuedBytes);
  }

  /** Starts a drain; its deliveries are there when this returns. */
  drain(ctx: unknown = {}): Promise<DrainOutcome> {
    const request = { handler: this.handler, ctx, flags: 0, map: 'm', incarnation: 'x' };
    return runDrain(this.ring, this.#consumer, request, () => undefined) as Promise<DrainOutcome>;
  }

  /** Bytes that are still in the ring. */
  get used(): number {
    return this.ring.used;
  }
}

/** What a drain came to, in short. */
export function result({ ret, drained, stopped, error }: DrainOutcome): {
  ret: number;
  drained: number;
  stopped: boolean;
  why: string | undefined;
} {
  return { ret, drained, stopped, why: error instanceof RingbufdError ? error.message : undefined };
}
