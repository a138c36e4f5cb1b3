import { pino } from 'pino';
import { expect } from 'vitest';
import { Consumer, createUserRing, Producer, records, type UserRing } from '../../../src/ring/index.js';
import { checkShape } from '../../../src/server/check-shape.js';
import { systemClock, type Clock } from '../../../src/server/clock.js';
import { runDrain, type DrainOutcome } from '../../../src/server/drain-runner.js';
import type { RingbufdError } from '../../../src/server/errors.js';
import type { Handler } from '../../../src/server/handlers/handler.js';
import { webhookKind, type WebhookDeps } from '../../../src/server/handlers/webhook.js';
import { ManualClock } from '../../support/manual-clock.js';

export const LOOPBACK = ['127.0.0.0/8', '::1'];
export const INCARNATION = '00f1e2d3c4b5a697';

/** A clock turned by hand that remembers every delay it was asked for: attempts and pauses, in order. */
export class DelayLog extends ManualClock {
  readonly delays: number[] = [];

  override after(ms: number, fn: () => void): () => void {
    this.delays.push(ms);
    return super.after(ms, fn);
  }
}

export interface RigOptions {
  config: Record<string, unknown>;
  allow?: readonly string[];
  clock?: Clock;
  resolve?: WebhookDeps['resolve'];
  ringSize?: number;
}

export function makeWebhook({ config, allow = LOOPBACK, clock = systemClock, resolve }: RigOptions): Handler {
  const checked = checkShape(webhookKind.configSchema, config, 'HANDLER_CONFIG', 'config') as Record<
    string,
    unknown
  >;
  const deps: WebhookDeps = {
    map: 'events',
    handler: 'hook',
    dataDir: '/nowhere',
    logger: pino({ level: 'silent' }),
    clock,
    webhooks: { allow },
    random: () => 0.5,
    resolve,
  };
  return webhookKind.create(checked, deps);
}

/** A real ring with a webhook that drains it, as a hosted map uses them. */
export class Rig {
  readonly ring: UserRing;
  readonly handler: Handler;
  readonly #producer: Producer;
  readonly #consumer: Consumer;
  #accepted = 0;
  #drained = 0;

  constructor(options: RigOptions) {
    this.handler = makeWebhook(options);
    this.ring = createUserRing({ maxEntries: options.ringSize ?? 65536 }, { mode: 'managed' });
    this.#producer = new Producer(this.ring);
    this.#consumer = new Consumer(this.ring);
  }

  put(...samples: (string | Uint8Array)[]): void {
    for (const sample of samples) {
      const payload = typeof sample === 'string' ? Buffer.from(sample) : sample;
      expect(this.#producer.output(payload)).toBe(0);
      this.#accepted++;
    }
  }

  putDiscarded(size: number): void {
    this.#producer.discard(this.#producer.reserve(size));
  }

  /** One drain; the books of samples are held against the ring after it. */
  async drain(): Promise<DrainOutcome> {
    const outcome = await runDrain(
      this.ring,
      this.#consumer,
      { handler: this.handler, ctx: {}, flags: 0, map: 'events', incarnation: INCARNATION },
      () => undefined,
    );
    this.#drained += outcome.drained;
    expect(this.#drained + this.buffered).toBe(this.#accepted);
    return outcome;
  }

  get busy(): boolean {
    return this.#consumer.busy;
  }

  /** Samples in the ring. */
  get buffered(): number {
    return [...records(this.ring)].filter(({ state }) => state === 'ready').length;
  }

  get state(): Record<string, unknown> {
    return this.handler.state();
  }
}

/** What a failed drain says. */
export function messageOf(outcome: DrainOutcome): string {
  return (outcome.error as RingbufdError).detail;
}
