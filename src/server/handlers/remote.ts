/**
 * A WebSocket client that attached itself is the handler. One delivery is on its way at a time; samples are released
 * only when the client that got them has answered for them. Protocol: docs/PROTOCOL.md §11.
 */
import { Type, type Static } from 'typebox';
import { Errno, type ErrnoName, type SampleRun } from '../../ring/index.js';
import { deliverBodySize, type AnswerFrame, type FailureFrame } from '../../wire/index.js';
import type { Clock } from '../clock.js';
import { RingbufdError } from '../errors.js';
import { waiting } from '../loop-time.js';
import type {
  BatchHandler,
  BatchVerdict,
  DrainContext,
  Handler,
  HandlerDeps,
  HandlerKind,
} from './handler.js';
import { deliverMessage, nextSpan, type DeliverySpan } from './remote-delivery.js';
import { Roster, Seat, type RemoteClient } from './remote-roster.js';

const RemoteConfig = Type.Object(
  {
    timeout_ms: Type.Integer({
      minimum: 1,
      maximum: 3_600_000,
      default: 5000,
      description:
        'a delivery that is not answered for so long fails with ETIMEDOUT, its samples not released',
    }),
    max_batch_bytes: Type.Integer({
      minimum: 1,
      maximum: 16_777_216,
      default: 262_144,
      description: 'records of one delivery, in bytes; a larger sample is delivered alone',
    }),
  },
  { additionalProperties: false },
);

/** RFC 6455 registry, "Service Restart": whether there still is such a handler, attaching again will tell. */
const SERVICE_RESTART = 1012;

/** Characters kept of what a client says about its failure. */
const MAX_MESSAGE_LENGTH = 512;

const NO_CTX = new Uint8Array(0);

/** The delivery that waits for its answer. */
interface PendingDelivery {
  seat: Seat;
  number: bigint;
  span: DeliverySpan;
  cancelTimer: () => void;
  resolve: (verdict: BatchVerdict) => void;
  reject: (error: RingbufdError) => void;
}

/** A drain that waits until a client is there that owes nothing. */
interface WaitingDrain {
  cancelTimer: () => void;
  resolve: () => void;
}

export class RemoteHandler implements BatchHandler {
  readonly shape = 'batch';
  /** Called when a delivery that nobody could take could be taken now. */
  onReady: (() => void) | undefined;
  readonly timeoutMs: number;
  readonly maxBatchBytes: number;
  readonly #clock: Clock;
  readonly #roster = new Roster();
  #ctx: Uint8Array = NO_CTX;
  #pending: PendingDelivery | undefined;
  #waiting: WaitingDrain | undefined;
  /** Body bytes of the delivery that nobody could take. */
  #refusedBytes: number | undefined;
  #lastNumber = 0n;
  #closed = false;
  #wrappingUp = false;
  #deliveries = 0;
  #samples = 0;
  #bytes = 0;
  #lateAnswers = 0;
  #strayAnswers = 0;
  readonly #errors = new Map<ErrnoName, number>();

  constructor(config: Static<typeof RemoteConfig>, clock: Clock) {
    this.timeoutMs = config.timeout_ms;
    this.maxBatchBytes = config.max_batch_bytes;
    this.#clock = clock;
  }

  /** As much as one delivery carries at most, so that a run is one delivery more often than not. */
  get maxRunBytes(): number {
    return Math.min(this.maxBatchBytes, this.#roster.active?.creditBytes ?? this.maxBatchBytes);
  }

  /**
   * A client takes its seat.
   * @throws RingbufdError NO_HANDLER when the handler was closed meanwhile
   */
  attach(client: RemoteClient, creditBytes: number): Seat {
    if (this.#closed) throw new RingbufdError('NO_HANDLER', 'the handler was removed');
    const seat = new Seat(client, creditBytes);
    this.#roster.add(seat);
    this.#lookAgain();
    return seat;
  }

  /** The connection of a client has ended: what it was given is not released. Idempotent. */
  leave(seat: Seat): void {
    const { owed } = seat;
    this.#roster.remove(seat);
    seat.owed = undefined;
    this.#lookAgain();
    if (this.#pending?.seat !== seat || owed === undefined) return;
    this.#finish().reject(
      new RingbufdError(
        'HANDLER_FAILED',
        `client "${seat.client.label}" disconnected with delivery ${owed.number} unanswered`,
      ),
    );
  }

  /** A client takes deliveries of up to `bytes` from now on; 0 = none. */
  credit(seat: Seat, bytes: number): void {
    seat.creditBytes = bytes;
    this.#roster.elect();
    this.#lookAgain();
  }

  /**
   * A client has answered.
   * @returns false when it was never given a delivery of that number: the connection cannot be trusted any more
   */
  answer(seat: Seat, frame: AnswerFrame | FailureFrame): boolean {
    const { owed } = seat;
    if (owed?.number !== frame.seq) {
      // Answered before; with a number that was given to another client meanwhile, there is no telling.
      if (frame.seq <= seat.lastNumber) this.#strayAnswers++;
      return frame.seq <= seat.lastNumber;
    }
    seat.owed = undefined;
    if (owed.overdue) {
      this.#lateAnswers++;
      this.#roster.elect();
      this.#lookAgain();
      return true;
    }
    const { span, resolve, reject } = this.#finish();
    const failure = failureOf(frame, span, seat.client.label);
    if (failure === undefined) {
      const { consumed, stop } = frame as AnswerFrame;
      this.#samples += consumed;
      resolve({ consumed, stop });
      return true;
    }
    if (failure.key === 'HANDLER_VERDICT') this.#roster.moveToEnd(seat);
    reject(failure);
    return true;
  }

  begin(ctx: unknown): void {
    const json = ctx === undefined ? '{}' : JSON.stringify(ctx);
    this.#ctx = json === '{}' ? NO_CTX : new TextEncoder().encode(json);
  }

  async onRun(run: SampleRun, context: DrainContext): Promise<BatchVerdict> {
    let consumed = 0;
    while (consumed < run.samples) {
      let given = 0;
      let verdict: BatchVerdict;
      try {
        if (consumed === 0) {
          given = this.#hungSamples(run, context) ?? 0;
          if (given > 0) await waiting(context.loop, this.#untilSomebodyIsFree(given));
        }
        const span = this.#spanFor(run, consumed);
        given = span.samples;
        verdict = await waiting(context.loop, this.#deliver(run, span, context));
      } catch (error) {
        this.#noteError(error);
        // The failure must not undo what was answered.
        return { consumed, stop: false, error, ...(given > 0 && { failed: given }) };
      }
      consumed += verdict.consumed;
      if (verdict.stop || verdict.consumed < given || this.#wrappingUp)
        return { consumed, stop: verdict.stop };
    }
    return { consumed, stop: false };
  }

  /** The delivery on its way may be answered; no other follows. */
  wrapUp(): void {
    this.#wrappingUp = true;
    this.#endWaiting();
  }

  state(): Record<string, unknown> {
    const { active, size, takeovers, inFlightBytes } = this.#roster;
    return {
      attached: size,
      active: active?.client.label ?? null,
      credit_bytes: active?.creditBytes ?? 0,
      in_flight_bytes: inFlightBytes,
      deliveries: this.#deliveries,
      samples: this.#samples,
      bytes: this.#bytes,
      takeovers,
      late_answers: this.#lateAnswers,
      stray_answers: this.#strayAnswers,
      errors: Object.fromEntries(this.#errors),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.onReady = undefined;
    const seats = [...this.#roster];
    // Nobody is to take over from those who are told first.
    for (const seat of seats) seat.creditBytes = 0;
    for (const seat of seats) {
      seat.client.hangUp(SERVICE_RESTART, 'ENOENT: the handler was removed or replaced');
      this.leave(seat);
    }
  }

  /**
   * How many samples each client hangs on that were given to them before and are at the head of the run again.
   * @returns `undefined` when somebody can be asked, or when nobody was asked about these samples and no others: then
   *   they are not to blame that nobody answers
   */
  #hungSamples(run: SampleRun, { headPosition }: DrainContext): number | undefined {
    if (!this.#roster.allOverdue) return undefined;
    const samples = this.#roster.overdueAt(headPosition);
    return samples !== undefined && samples <= run.samples ? samples : undefined;
  }

  /**
   * Gives the clients as much time again as for a delivery.
   * @throws RingbufdError HANDLER_TIMEOUT when all of them are attached still, and none has answered
   */
  #untilSomebodyIsFree(samples: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#clock.after(this.timeoutMs, () => {
        this.#waiting = undefined;
        // Whoever is free by then can be asked, whatever the credit.
        this.#refusedBytes = 1;
        reject(
          new RingbufdError(
            'HANDLER_TIMEOUT',
            `each client (${this.#roster.size}) hangs on a delivery of ${samples} samples from here on, ` +
              `for another ${this.timeoutMs} ms`,
          ),
        );
      });
      this.#waiting = { cancelTimer, resolve };
    });
  }

  #endWaiting(): void {
    const waitingDrain = this.#waiting;
    this.#waiting = undefined;
    waitingDrain?.cancelTimer();
    waitingDrain?.resolve();
  }

  /** The samples of the next delivery, of which the client that will get it can take at least the first. */
  #spanFor(run: SampleRun, first: number): DeliverySpan {
    const room = (credit: number): number => credit - deliverBodySize(this.#ctx.length, 0);
    const most = (credit: number): number => Math.min(this.maxBatchBytes, room(credit));
    const span = nextSpan(run, first, most(this.#roster.active?.creditBytes ?? 0));
    const bytes = deliverBodySize(this.#ctx.length, span.runBytes);
    const before = this.#roster.active;
    const seat = this.#roster.forDelivery(bytes);
    if (seat === undefined) {
      this.#refusedBytes = bytes;
      throw this.#nobody(bytes);
    }
    return seat === before ? span : nextSpan(run, first, most(seat.creditBytes));
  }

  #deliver(run: SampleRun, span: DeliverySpan, context: DrainContext): Promise<BatchVerdict> {
    const seat = this.#roster.active!;
    const number = ++this.#lastNumber;
    const message = deliverMessage(run, span, number, context.headPosition, this.#ctx);
    const bytes = deliverBodySize(this.#ctx.length, span.runBytes);
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#clock.after(this.timeoutMs, () => this.#timedOut());
      this.#pending = { seat, number, span, cancelTimer, resolve, reject };
      const position = BigInt.asUintN(64, context.headPosition + BigInt(span.distance));
      seat.owed = { number, bytes, position, samples: span.samples, overdue: false };
      seat.lastNumber = number;
      this.#deliveries++;
      this.#bytes += bytes;
      seat.client.deliver(message);
    });
  }

  #timedOut(): void {
    const { seat, number, reject } = this.#finish();
    if (seat.owed !== undefined) seat.owed.overdue = true;
    seat.client.cancel(number, Errno.ETIMEDOUT);
    this.#roster.moveToEnd(seat);
    reject(
      new RingbufdError(
        'HANDLER_TIMEOUT',
        `client "${seat.client.label}" did not answer delivery ${number} within ${this.timeoutMs} ms`,
      ),
    );
  }

  #finish(): PendingDelivery {
    const pending = this.#pending!;
    this.#pending = undefined;
    pending.cancelTimer();
    return pending;
  }

  #nobody(bytes: number): RingbufdError {
    const seats = [...this.#roster];
    if (seats.length === 0) return new RingbufdError('NOBODY_ATTACHED', 'no client is attached');
    if (seats.every(({ owed }) => owed !== undefined))
      return new RingbufdError(
        'NOBODY_ATTACHED',
        `each client (${seats.length}) still owes an answer to a delivery that has timed out`,
      );
    return new RingbufdError(
      'HANDLER_NO_SPACE',
      `the next delivery has ${bytes} bytes, and no client that could take one has so much credit`,
    );
  }

  /** Says so, once, when what nobody could take can be taken now. */
  #lookAgain(): void {
    if (this.#waiting !== undefined && !this.#roster.allOverdue) this.#endWaiting();
    const needed = this.#refusedBytes;
    if (needed === undefined) return;
    if (![...this.#roster].some((seat) => seat.owed === undefined && seat.creditBytes >= needed)) return;
    this.#refusedBytes = undefined;
    this.onReady?.();
  }

  #noteError(error: unknown): void {
    const errno = error instanceof RingbufdError ? error.errno : 'EIO';
    this.#errors.set(errno, (this.#errors.get(errno) ?? 0) + 1);
  }
}

/** What an answer fails with; `undefined` for one that is fine. */
function failureOf(
  frame: AnswerFrame | FailureFrame,
  span: DeliverySpan,
  label: string,
): RingbufdError | undefined {
  if (frame.failed) {
    const said = frame.message.slice(0, MAX_MESSAGE_LENGTH);
    const key = frame.errno === Errno.EINVAL ? 'HANDLER_VERDICT' : 'HANDLER_FAILED';
    return new RingbufdError(key, `client "${label}" failed on delivery ${frame.seq}: ${said}`);
  }
  if (frame.consumed <= span.samples) return undefined;
  return new RingbufdError(
    'HANDLER_VERDICT',
    `client "${label}" answered for ${frame.consumed} samples of delivery ${frame.seq}, which had ${span.samples}`,
  );
}

/** Where clients attach to a registered handler; `undefined` for a handler of another kind. */
export function attachPointOf(handler: Handler): RemoteHandler | undefined {
  return handler instanceof RemoteHandler ? handler : undefined;
}

export const remoteKind: HandlerKind = {
  kind: 'remote',
  description: 'hands samples to a WebSocket client that has attached itself, and waits for its answer',
  configSchema: RemoteConfig,
  create: (config, { clock }: HandlerDeps) => new RemoteHandler(config as Static<typeof RemoteConfig>, clock),
};
