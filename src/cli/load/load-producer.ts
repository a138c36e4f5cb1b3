import { connect, RingbufError, type RingbufProducer } from '../../client/index.js';
import { buildRun, CloseCode, runSize } from '../../wire/index.js';
import { CliError } from '../cli-io.js';
import type { LoadBooks } from './load-books.js';
import type { LoadPlan } from './load-plan.js';
import type { Claim } from './proof.js';
import { ProducerSocket } from './producer-socket.js';
import type { TurnSchedule } from './turn-schedule.js';

/** At most so often one producer follows a frame until it is drained, in ms: who follows watches every wakeup. */
const DRAIN_PROBE_MS = 50;

/** Reservations that one producer has open at a time. */
const MAX_OPEN_RESERVATIONS = 64;

export interface LoadProducerOptions {
  readonly plan: LoadPlan;
  readonly id: string;
  readonly isSlow: boolean;
  readonly books: LoadBooks;
}

/** One producer under load: takes its turns when they are due and keeps the books of what became of them. */
export class LoadProducer {
  readonly #plan: LoadPlan;
  readonly #id: string;
  readonly #books: LoadBooks;
  readonly #isSlow: boolean;
  readonly #socket: ProducerSocket;
  readonly #producer: RingbufProducer;
  readonly #sample: Uint8Array;
  readonly #run: Uint8Array;
  readonly #giveUp = new AbortController();
  #schedule: TurnSchedule | undefined;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Immediate | undefined;
  /** Samples of this producer that were acknowledged, those of them by SUBMIT, and those of unknown outcome. */
  #acknowledged = 0;
  #reserved = 0;
  #uncertain = 0;
  #inFlight = 0;
  #inFlightBytes = 0;
  /** Reserve turns that are owed, as a fraction of one. */
  #reserveDebt = 0;
  #isReserving = false;
  #nextProbeMs = 0;
  #isOver = false;
  #done: (() => void) | undefined;

  private constructor(options: LoadProducerOptions, socket: ProducerSocket, producer: RingbufProducer) {
    this.#plan = options.plan;
    this.#id = options.id;
    this.#books = options.books;
    this.#isSlow = options.isSlow;
    this.#socket = socket;
    this.#producer = producer;
    this.#sample = new Uint8Array(options.plan.sampleSize).fill(SAMPLE_BYTE);
    this.#run = buildRun(Array.from({ length: options.plan.frameSamples }, () => this.#sample));
    const { books } = options;
    producer.on('disconnect', ({ error }) => {
      if (error.closeCode === CloseCode.SLOW_CLIENT) books.slowCloses++;
    });
    producer.on('welcome', () => books.reconnects++);
    producer.on('uncertain', () => books.contentLost++);
    producer.on('close', ({ error }) => {
      if (error === undefined) return;
      books.failedWith(error.message);
      this.stop();
    });
  }

  /** @throws RingbufError when the daemon refuses the connection; CliError when no frame of the plan can pass */
  static async connect(options: LoadProducerOptions): Promise<LoadProducer> {
    const { plan, id, isSlow } = options;
    const socket = new ProducerSocket(isSlow);
    const producer = await connect({
      url: plan.url,
      map: plan.map,
      producer: id,
      openWebSocket: socket.open,
      maxUnackedBytes: plan.windowBytes,
      // The window of the plan is what bounds it: this one is never to be met.
      maxQueuedBytes: 2 ** 31,
      reconnect: { minDelayMs: 50, maxDelayMs: 1000 },
      ...(plan.token === undefined ? {} : { token: plan.token }),
    });
    const { maxFrameBytes, maxEntries } = producer.welcome;
    const record = runSize([new Uint8Array(plan.sampleSize)]);
    const largest = Math.min(maxFrameBytes, maxEntries);
    if (record <= largest && record * plan.frameSamples <= maxFrameBytes)
      return new LoadProducer(options, socket, producer);
    await producer.close({ timeoutMs: 0 });
    throw record > largest
      ? new CliError(
          `--sample-size: a sample takes ${record} bytes as a record, and the daemon's frames and this ring hold ${largest}`,
          'Take smaller samples, or a larger ring with --max-entries.',
        )
      : new CliError(
          `--frame-size: ${record * plan.frameSamples} bytes of records do not go into one of the daemon's frames, which hold ${maxFrameBytes}`,
          'Take smaller frames, or raise limits.max_frame_bytes of the daemon.',
        );
  }

  /** What the daemon told this producer, to be found in the ledger. */
  get claim(): Claim {
    return {
      producer: this.#id,
      acknowledged: this.#acknowledged,
      reserved: this.#reserved,
      uncertain: this.#uncertain,
    };
  }

  /** Takes the turns of the schedule; resolves when no more are due and everything sent is answered for. */
  run(schedule: TurnSchedule): Promise<void> {
    this.#schedule = schedule;
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#pump();
    });
  }

  /** No further turn is taken; what was due until now and not sent counts as missed. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#clearTimers();
    if (this.#isSlow) this.#socket.hurry();
    const now = performance.now();
    for (const due of this.#schedule?.missed(now) ?? []) {
      const { frameSamples } = this.#plan;
      this.#books.offered += frameSamples;
      this.#books.missed += frameSamples;
      // They would have taken at least as long as they have waited.
      this.#recordAck(now - due, frameSamples);
    }
    this.#settleIfDone();
  }

  cut(): void {
    this.#books.cuts++;
    this.#socket.cut();
  }

  /** Ends it; what is still unanswered after `timeoutMs` is given up. */
  async close(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#giveUp.abort(), timeoutMs);
    await this.#producer.close({ timeoutMs });
    clearTimeout(timer);
    this.#giveUp.abort();
  }

  /** Takes every turn that is due and for which the window has room. */
  #pump(): void {
    this.#clearTimers();
    while (!this.#isOver) {
      const now = performance.now();
      const due = this.#schedule?.nextDueMs(now);
      if (due === undefined) {
        this.stop();
        return;
      }
      if (due > now) {
        this.#pumpIn(due - now);
        return;
      }
      if (this.#inFlight > 0 && this.#inFlightBytes + this.#run.length > this.#plan.windowBytes) return;
      const reserves = this.#reserveDebt + this.#plan.reserveShare >= 1 - ROUNDING;
      // One such turn at a time: more would not fit under the limit on open reservations.
      if (reserves && this.#isReserving) return;
      this.#reserveDebt += this.#plan.reserveShare - (reserves ? 1 : 0);
      this.#schedule!.taken();
      this.#take(due, reserves);
    }
  }

  #take(dueMs: number, reserves: boolean): void {
    const { frameSamples } = this.#plan;
    this.#inFlight++;
    this.#inFlightBytes += this.#run.length;
    this.#books.offered += frameSamples;
    this.#books.sent += frameSamples;
    void (reserves ? this.#reserveTurn(dueMs) : this.#outputTurn(dueMs)).then((stored) => {
      this.#inFlight--;
      this.#inFlightBytes -= this.#run.length;
      if (this.#isOver) this.#settleIfDone();
      else if (stored) this.#pump();
      // What was refused once is refused at once the next time as well.
      else this.#pumpIn(AFTER_FAILURE_MS);
    });
  }

  /** Timers are late by up to a millisecond, which is longer than an answer takes: the last bit is waited for awake. */
  #pumpIn(ms: number): void {
    this.#clearTimers();
    if (ms > 2) this.#timer = setTimeout(() => this.#pump(), Math.floor(ms - 1));
    else this.#soon = setImmediate(() => this.#pump());
  }

  #clearTimers(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#soon);
  }

  /** Whether all of it was stored. */
  async #outputTurn(dueMs: number): Promise<boolean> {
    const { frameSamples } = this.#plan;
    try {
      const { accepted, producerPos } = await this.#producer.outputRun(this.#run);
      this.#stored(accepted);
      this.#books.frames++;
      this.#recordAck(performance.now() - dueMs, accepted);
      this.#followDrain(producerPos, dueMs, accepted);
      return true;
    } catch (error) {
      this.#unstored(error, frameSamples);
      return false;
    }
  }

  async #reserveTurn(dueMs: number): Promise<boolean> {
    this.#isReserving = true;
    const { frameSamples } = this.#plan;
    let stored = true;
    for (let left = frameSamples; left > 0; left -= MAX_OPEN_RESERVATIONS) {
      const some = Array.from({ length: Math.min(left, MAX_OPEN_RESERVATIONS) }, () =>
        this.#reserveOne(dueMs),
      );
      for (const one of await Promise.all(some)) stored &&= one;
    }
    this.#books.frames++;
    this.#isReserving = false;
    return stored;
  }

  async #reserveOne(dueMs: number): Promise<boolean> {
    const { signal } = this.#giveUp;
    for (;;) {
      try {
        const reservation = await this.#producer.reserveBlocking(this.#sample.length, { signal });
        await this.#producer.submit(reservation, this.#sample);
        this.#stored(1);
        this.#reserved++;
        this.#recordAck(performance.now() - dueMs, 1);
        return true;
      } catch (error) {
        // The daemon discards what a lost connection had reserved: nothing is stored, and another try is due.
        const isGone = error instanceof RingbufError && error.code === 'RESERVATION_GONE';
        if (isGone && !signal.aborted) continue;
        this.#unstored(error, 1);
        return false;
      }
    }
  }

  #recordAck(ms: number, samples: number): void {
    // A slow reader hears late because it does not listen: that says nothing of the daemon.
    if (!this.#isSlow) this.#books.acknowledge.record(ms, samples);
  }

  /** Now and then a frame is followed until the consumer position has passed it. */
  #followDrain(producerPos: bigint, dueMs: number, samples: number): void {
    const now = performance.now();
    if (this.#isSlow || this.#isOver || now < this.#nextProbeMs) return;
    this.#nextProbeMs = Infinity;
    this.#producer
      .drained(producerPos, { signal: this.#giveUp.signal })
      .then(
        () => this.#books.drain.record(performance.now() - dueMs, samples),
        // A map whose content was lost, or the end of the run: nothing to measure.
        () => undefined,
      )
      .finally(() => {
        this.#nextProbeMs = performance.now() + DRAIN_PROBE_MS;
      });
  }

  #stored(samples: number): void {
    this.#acknowledged += samples;
    this.#books.acknowledged += samples;
  }

  #unstored(error: unknown, samples: number): void {
    const known = error instanceof RingbufError ? error : undefined;
    const stored = known?.accepted ?? 0;
    this.#stored(stored);
    if (known?.outcomeUnknown === true) {
      this.#books.uncertain += samples - stored;
      this.#uncertain += samples - stored;
    } else this.#books.failed += samples - stored;
    if (!this.#giveUp.signal.aborted || known?.code !== 'CLOSED')
      this.#books.failedWith(error instanceof Error ? error.message : String(error));
  }

  #settleIfDone(): void {
    if (this.#inFlight === 0) this.#done?.();
  }
}

/** Shares add up to a whole turn in steps that binary fractions do not hit exactly. */
const ROUNDING = 1e-9;

/** Pause after a turn that was refused for good, in ms. */
const AFTER_FAILURE_MS = 100;

const SAMPLE_BYTE = 0x72;
