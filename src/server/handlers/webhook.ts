import type { SampleRun } from '../../ring/index.js';
import { RingbufdError } from '../errors.js';
import type { BatchHandler, BatchVerdict, DrainContext, HandlerDeps, HandlerKind } from './handler.js';
import { AddressPolicy } from './webhook/address-policy.js';
import type { Resolve } from './webhook/checked-lookup.js';
import { checkWebhookConfig, publicWebhookConfig, WebhookConfig } from './webhook/config.js';
import { Delivery } from './webhook/delivery.js';
import { Endpoint } from './webhook/endpoint.js';
import { toBatches, type Batch } from './webhook/request-body.js';

/** What a webhook is made with beside what every handler is. */
export interface WebhookDeps extends HandlerDeps {
  /** The config section `webhooks`. Without it only public addresses are connected to. */
  readonly webhooks?: { readonly allow: readonly string[] };
  /** A number from 0 to below 1, for the jitter of pauses; Math.random by default. */
  readonly random?: () => number;
  /** The system's resolver by default. */
  readonly resolve?: Resolve;
}

/** A batch that may have arrived, though no 2xx came for it. */
interface UnsureBatch {
  incarnation: string;
  position: bigint;
  samples: number;
}

/**
 * POSTs samples in batches. Asynchronous: what a 2xx came for is released, nothing else, in order. At least once: a batch
 * whose answer was lost goes out again, with the same samples and the same Idempotency-Key.
 */
class WebhookHandler implements BatchHandler {
  readonly shape = 'batch';
  readonly maxRunBytes: number;
  /** One run makes about one batch, so that what was delivered is released soon. */
  readonly maxRunSamples: number;
  readonly #config: WebhookConfig;
  readonly #deps: WebhookDeps;
  readonly #endpoint: Endpoint;
  readonly #delivery: Delivery;
  #samples = 0;
  #batches = 0;
  #bytes = 0;
  #unsure: UnsureBatch | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(config: WebhookConfig, url: URL, policy: AddressPolicy, deps: WebhookDeps) {
    const { map, handler, clock, resolve, random = Math.random } = deps;
    this.maxRunBytes = config.max_batch_bytes;
    this.maxRunSamples = config.max_batch_samples;
    this.#config = config;
    this.#deps = deps;
    this.#endpoint = new Endpoint({
      url,
      connectTimeoutMs: config.connect_timeout_ms,
      policy,
      clock,
      resolve,
    });
    this.#delivery = new Delivery(config, { map, handler, endpoint: this.#endpoint, clock, random });
  }

  begin(): void {
    // Takes any ctx.
  }

  onRun(run: SampleRun, context: DrainContext): Promise<BatchVerdict> {
    const running = this.#deliverRun(run, context);
    this.#running = running.catch(() => undefined);
    return running;
  }

  /** An attempt under way may end; nothing is tried again. */
  wrapUp(): void {
    this.#delivery.stop();
  }

  state(): Record<string, unknown> {
    return {
      samples: this.#samples,
      batches: this.#batches,
      bytes: this.#bytes,
      ...this.#delivery.state(),
    };
  }

  /** Nothing is held back between runs, so there is nothing to flush: an attempt under way may end, then the connection goes. */
  async close(): Promise<void> {
    this.#delivery.stop();
    await this.#running;
    await this.#endpoint.close();
  }

  async #deliverRun(run: SampleRun, context: DrainContext): Promise<BatchVerdict> {
    const { clock } = this.#deps;
    const deadlineMs = clock.nowMs() + this.#config.budget_ms;
    const { batches, tooBig } = toBatches(run, context.headPosition, this.#config.format, {
      maxBytes: this.#config.max_batch_bytes,
      maxSamples: this.#config.max_batch_samples,
      firstSamples: this.#unsureSamplesAt(context),
    });
    let consumed = 0;
    for (const batch of batches) {
      if (consumed > 0 && (this.#delivery.stopping || clock.nowMs() >= deadlineMs)) break;
      const error = await this.#deliver(batch, context, deadlineMs);
      // What was delivered before is released.
      if (error !== undefined) return { consumed, stop: false, error };
      consumed += batch.samples;
    }
    if (consumed === 0 && tooBig !== undefined)
      throw new RingbufdError(
        'HANDLER_SAMPLE_TOO_BIG',
        `the sample of ${tooBig.size} bytes at ${tooBig.position} fits into no body of max_batch_bytes ` +
          `(${this.#config.max_batch_bytes})`,
      );
    return { consumed, stop: false };
  }

  async #deliver(
    batch: Batch,
    context: DrainContext,
    deadlineMs: number,
  ): Promise<RingbufdError | undefined> {
    try {
      await this.#delivery.deliver(batch, context, deadlineMs);
    } catch (error) {
      if (!(error instanceof RingbufdError)) throw error;
      const { position, samples } = batch;
      this.#unsure = { incarnation: context.incarnation, position, samples };
      return error;
    }
    this.#unsure = undefined;
    this.#samples += batch.samples;
    this.#batches++;
    this.#bytes += batch.body.length;
    return undefined;
  }

  /** Samples of the batch that failed at this very place: it goes out as it was, though more has come since. */
  #unsureSamplesAt({ incarnation, headPosition }: DrainContext): number | undefined {
    const unsure = this.#unsure;
    const same = unsure?.incarnation === incarnation && unsure.position === headPosition;
    return same ? unsure.samples : undefined;
  }
}

export const webhookKind: HandlerKind & Required<Pick<HandlerKind, 'publicConfig'>> = {
  kind: 'webhook',
  description: 'POSTs samples in batches to a URL: signed, retried, at least once',
  configSchema: WebhookConfig,
  create(config, deps: WebhookDeps) {
    const checked = config as WebhookConfig;
    const policy = new AddressPolicy(deps.webhooks?.allow);
    return new WebhookHandler(checked, checkWebhookConfig(checked, policy), policy, deps);
  },
  publicConfig: (config) => publicWebhookConfig(config as WebhookConfig),
};
