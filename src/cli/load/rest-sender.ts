import { STATUS_CODES } from 'node:http';
import autocannon, { type Instance, type Result } from 'autocannon';
import { buildRun, runSize } from '../../wire/index.js';
import { CliError } from '../cli-io.js';
import { Faults, type FaultMark } from './faults.js';
import type { Claim } from './proof.js';
import type { Sender, SenderContext } from './run-load.js';

/** How often autocannon looks whether its time is over, in ms. */
const LOOK_MS = 100;

/**
 * Sends over REST: as many connections as the plan has producers, each with one request on its way, driven by
 * autocannon. What was on its way when the time was over may be stored or not: that is what `uncertain` counts here.
 */
export class RestSender implements Sender {
  readonly #context: SenderContext;
  readonly #faults: Faults;
  #instance: Instance | undefined;

  private constructor(context: SenderContext) {
    this.#context = context;
    const { plan, rest, books, target, elapsedMs } = context;
    this.#faults = new Faults({ plan, rest, books, producers: [], handler: target.handler, elapsedMs });
  }

  /** @throws CliError when no request of the plan can be stored */
  static async open(context: SenderContext): Promise<RestSender> {
    const { plan, target } = context;
    const bytes = runSize([new Uint8Array(plan.sampleSize)]) * plan.frameSamples;
    if (bytes > target.before.max_entries)
      throw new CliError(
        `${plan.frameSamples === 1 ? '--sample-size' : '--frame-size'}: a request of ${bytes} bytes is stored as a whole, and this ring holds ${target.before.max_entries}`,
        'Send less in one request, or to a larger ring with --max-entries.',
      );
    return new RestSender(context);
  }

  get marks(): readonly FaultMark[] {
    return this.#faults.marks;
  }

  claims(): Claim[] {
    const { acknowledged, uncertain } = this.#context.books;
    return [{ producer: null, acknowledged, reserved: 0, uncertain }];
  }

  async send(signal: AbortSignal): Promise<void> {
    this.#faults.start();
    const stop = (): void => this.#instance?.stop?.();
    signal.addEventListener('abort', stop);
    try {
      const result = await this.#drive();
      this.#book(result);
    } finally {
      signal.removeEventListener('abort', stop);
      await this.#faults.stop();
    }
  }

  async close(): Promise<void> {
    await this.#faults.stop();
  }

  #drive(): Promise<Result> {
    const { plan, rest, books } = this.#context;
    const { producers, rate, frameSamples, sampleSize } = plan;
    const samples = Array.from({ length: frameSamples }, () => new Uint8Array(sampleSize));
    const requestsPerS = rate === undefined ? undefined : Math.max(1, Math.round(rate / frameSamples));
    // The time that a connection should take from one request to the next: what a late answer keeps from being sent.
    const intervalMs = requestsPerS === undefined ? undefined : (1000 * producers) / requestsPerS;
    return new Promise((resolve, reject) => {
      this.#instance = autocannon(
        {
          url: `${rest.url}/v1/maps/${plan.map}/samples`,
          method: 'POST',
          headers: { ...rest.headers, 'content-type': 'application/vnd.ringbuf.records' },
          body: Buffer.from(buildRun(samples).buffer),
          connections: producers,
          duration: (requestsPerS === undefined ? plan.durationMs : beforeNextSecond(plan.durationMs)) / 1000,
          sampleInt: LOOK_MS,
          ...(requestsPerS === undefined ? {} : { overallRate: requestsPerS }),
        },
        (error: unknown, result: Result) => {
          if (error) reject(new CliError(`autocannon: ${(error as Error).message}`));
          else resolve(result);
        },
      );
      this.#instance.on('response', (_client, status, _bytes, ms) => {
        books.offered += frameSamples;
        if (status === 200) {
          books.acknowledged += frameSamples;
          books.frames++;
          books.acknowledge.recordExpecting(ms, frameSamples, intervalMs);
        } else {
          books.failed += frameSamples;
          books.failedWith(`the daemon answered ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd());
        }
      });
      this.#instance.on('reqError', (error: Error) => books.failedWith(error.message));
    });
  }

  #book({ errors, connections }: Result): void {
    const { books, plan } = this.#context;
    const unanswered = (errors + connections) * plan.frameSamples;
    books.uncertain += unanswered;
    books.offered += unanswered;
    books.sent = books.offered;
  }
}

/** Autocannon begins a further second's requests when a second is over, and stops only when it looks the next time. */
function beforeNextSecond(durationMs: number): number {
  return Math.max(LOOK_MS, durationMs - 1.5 * LOOK_MS);
}
