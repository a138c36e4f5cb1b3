import { randomBytes } from 'node:crypto';
import { Faults, type FaultMark } from './faults.js';
import { LoadProducer } from './load-producer.js';
import type { Claim } from './proof.js';
import type { Sender, SenderContext } from './run-load.js';
import { TurnSchedule } from './turn-schedule.js';

/** Sends over WebSockets, one connection for each producer, through the SDK that users use. */
export class WebSocketSender implements Sender {
  readonly #context: SenderContext;
  readonly #producers: readonly LoadProducer[];
  readonly #faults: Faults;

  private constructor(context: SenderContext, producers: readonly LoadProducer[]) {
    this.#context = context;
    this.#producers = producers;
    const { plan, rest, books, target, elapsedMs } = context;
    this.#faults = new Faults({ plan, rest, books, producers, handler: target.handler, elapsedMs });
  }

  /** @throws RingbufError when the daemon refuses one of the connections */
  static async open(context: SenderContext): Promise<WebSocketSender> {
    const { plan, books } = context;
    // Ids of their own for each run: an id of a run before would be resumed where that one stopped.
    const run = randomBytes(4).toString('hex');
    const opening = Array.from({ length: plan.producers }, (_, index) =>
      LoadProducer.connect({ plan, books, id: `load-${run}-${index + 1}`, isSlow: index < plan.slowReaders }),
    );
    const opened = await Promise.allSettled(opening);
    const producers = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const refused = opened.find((one) => one.status === 'rejected');
    if (refused !== undefined) {
      await Promise.all(producers.map((producer) => producer.close(0)));
      throw refused.reason;
    }
    return new WebSocketSender(context, producers);
  }

  get marks(): readonly FaultMark[] {
    return this.#faults.marks;
  }

  claims(): Claim[] {
    return this.#producers.map(({ claim }) => claim);
  }

  async send(signal: AbortSignal): Promise<void> {
    const { producers, rate, frameSamples, durationMs, settleMs } = this.#context.plan;
    const intervalMs = rate === undefined ? undefined : (1000 * frameSamples * producers) / rate;
    const startMs = performance.now();
    this.#faults.start();
    const running = this.#producers.map((producer, index) => {
      // Spread over the interval, so that the producers of a slow rate do not all send in the same millisecond.
      const firstMs = startMs + ((intervalMs ?? 0) * index) / producers;
      return producer.run(new TurnSchedule(firstMs, startMs + durationMs, intervalMs));
    });
    const allAnswered = Promise.all(running);
    await within(durationMs, allAnswered, signal);
    for (const producer of this.#producers) producer.stop();
    // A drain that stands still would keep what is in flight waiting.
    await this.#faults.stop();
    await within(settleMs, allAnswered);
    await Promise.all(this.#producers.map((producer) => producer.close(0)));
  }

  async close(): Promise<void> {
    await this.#faults.stop();
    await Promise.all(this.#producers.map((producer) => producer.close(0)));
  }
}

/** Resolves when `done` does, when the time is over, or when the signal says so. */
async function within(ms: number, done: Promise<unknown>, signal?: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
    timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', end);
    if (signal?.aborted === true) resolve();
  });
  await Promise.race([done, ended]);
  clearTimeout(timer);
  signal?.removeEventListener('abort', end);
}
