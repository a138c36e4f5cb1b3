import { backoffDelay } from '../../backoff.js';
import type { Clock } from '../../clock.js';
import { RingbufdError } from '../../errors.js';
import { waiting } from '../../loop-time.js';
import type { DrainContext } from '../handler.js';
import type { WebhookConfig } from './config.js';
import { AttemptError, type Answer, type Endpoint } from './endpoint.js';
import { contentTypeOf, type Batch } from './request-body.js';
import { isRetryableStatus, retryAfterMs } from './retry.js';
import { signatureHeader } from './signature.js';

export interface DeliveryDeps {
  map: string;
  handler: string;
  endpoint: Endpoint;
  clock: Clock;
  /** A number from 0 to below 1. */
  random: () => number;
}

/** An attempt that did not deliver. */
interface Failure {
  key: 'HANDLER_FAILED' | 'HANDLER_TIMEOUT';
  /** For people; holds neither the path of the URL nor a header. */
  message: string;
  retryable: boolean;
  /** What the server asked for, within max_retry_after_ms. */
  retryAfterMs: number;
  cause?: unknown;
}

/** Delivers one batch at a time: attempts, pauses, and the server's word on when to come back. */
export class Delivery {
  readonly #config: WebhookConfig;
  readonly #deps: DeliveryDeps;
  #attempts = 0;
  #retries = 0;
  #lastStatus: number | null = null;
  #lastError: string | null = null;
  /** Monotonic ms before which the server does not want to hear from us. */
  #notBeforeMs = -Infinity;
  #stopping = false;
  #endPause: (() => void) | undefined;

  constructor(config: WebhookConfig, deps: DeliveryDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /** From now on nothing is tried again: an attempt under way is the last. */
  stop(): void {
    this.#stopping = true;
    this.#endPause?.();
  }

  /**
   * Delivers a batch: comes back once a server answered 2xx for it.
   * @param deadlineMs monotonic ms at which the last attempt is given up
   * @throws RingbufdError HANDLER_FAILED, HANDLER_TIMEOUT when the last attempt ran out of time, or HANDLER_ASKED_TO_WAIT:
   *   nothing was sent
   */
  async deliver(batch: Batch, context: DrainContext, deadlineMs: number): Promise<void> {
    const { clock, random, endpoint } = this.#deps;
    const { max_attempts: maxAttempts } = this.#config;
    const backoff = {
      backoffMinMs: this.#config.backoff_min_ms,
      backoffMaxMs: this.#config.backoff_max_ms,
    };
    if (this.#stopping) throw this.#failed('the handler is closed');
    const asked = this.#notBeforeMs - clock.nowMs();
    if (asked > 0) {
      const detail = `${endpoint.origin}: the server asked to wait (Retry-After)`;
      throw new RingbufdError('HANDLER_ASKED_TO_WAIT', detail, { retryAfterMs: Math.ceil(asked) });
    }
    for (let attempt = 1; ; attempt++) {
      const failure = await this.#attempt(batch, context, deadlineMs);
      if (failure === undefined) {
        this.#lastError = null;
        return;
      }
      this.#lastError = failure.message;
      if (!failure.retryable) throw this.#failed(failure.message, 0, failure);
      const pause = Math.max(failure.retryAfterMs, backoffDelay(attempt, backoff, random()));
      if (failure.retryAfterMs > 0) this.#notBeforeMs = clock.nowMs() + failure.retryAfterMs;
      const noTime = clock.nowMs() + pause >= deadlineMs;
      if (attempt < maxAttempts && !noTime && !this.#stopping)
        await waiting(context.loop, this.#pause(pause));
      if (attempt >= maxAttempts || noTime || this.#stopping)
        throw this.#failed(
          `${failure.message} (${attempt} ${attempt === 1 ? 'attempt' : 'attempts'})`,
          failure.retryAfterMs,
          failure,
        );
      this.#retries++;
    }
  }

  /** For GET …/handlers/{h}. */
  state(): Record<string, unknown> {
    return {
      attempts: this.#attempts,
      retries: this.#retries,
      last_status: this.#lastStatus,
      last_error: this.#lastError,
      retry_after_ms: Math.max(0, Math.ceil(this.#notBeforeMs - this.#deps.clock.nowMs())),
    };
  }

  async #attempt(batch: Batch, context: DrainContext, deadlineMs: number): Promise<Failure | undefined> {
    const { clock, endpoint } = this.#deps;
    const timeoutMs = Math.min(this.#config.timeout_ms, deadlineMs - clock.nowMs());
    this.#attempts++;
    try {
      const posted = endpoint.post(batch.body, this.#headers(batch, context), timeoutMs);
      const answer = await waiting(context.loop, posted);
      this.#lastStatus = answer.status;
      return this.#judge(answer);
    } catch (error) {
      if (!(error instanceof AttemptError)) throw error;
      this.#lastStatus = null;
      const retryable = error.reason !== 'address_refused';
      const key = error.reason === 'timeout' ? 'HANDLER_TIMEOUT' : 'HANDLER_FAILED';
      return { key, message: error.message, retryable, retryAfterMs: 0, cause: error };
    }
  }

  #judge({ status, retryAfter }: Answer): Failure | undefined {
    if (status >= 200 && status <= 299) return undefined;
    const redirected = status >= 300 && status <= 399;
    const asked = isRetryableStatus(status) ? retryAfterMs(retryAfter, this.#deps.clock.wallMs()) : undefined;
    return {
      key: 'HANDLER_FAILED',
      message: redirected ? `HTTP ${status}: redirects are not followed` : `HTTP ${status}`,
      retryable: isRetryableStatus(status),
      retryAfterMs: Math.min(asked ?? 0, this.#config.max_retry_after_ms),
    };
  }

  /** Made anew for each attempt: the signature holds the time. */
  #headers(batch: Batch, { map, incarnation }: DrainContext): Record<string, string> {
    const { headers, format, secret } = this.#config;
    return {
      ...headers,
      'content-type': contentTypeOf(format),
      'idempotency-key': `${map}:${incarnation}:${batch.position}:${batch.samples}`,
      'ringbuf-map': map,
      'ringbuf-handler': this.#deps.handler,
      'ringbuf-incarnation': incarnation,
      'ringbuf-position': String(batch.position),
      'ringbuf-samples': String(batch.samples),
      ...(secret === undefined
        ? {}
        : { 'ringbuf-signature': signatureHeader(secret, this.#deps.clock.wallMs(), batch.body) }),
    };
  }

  #failed(message: string, retryAfter = 0, failure?: Failure): RingbufdError {
    const detail = `${this.#deps.endpoint.origin}: ${message}`;
    const options = { retryAfterMs: Math.ceil(retryAfter), cause: failure?.cause };
    return new RingbufdError(failure?.key ?? 'HANDLER_FAILED', detail, options);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        this.#endPause = undefined;
        resolve();
      };
      const cancel = this.#deps.clock.after(ms, end);
      this.#endPause = end;
    });
  }
}
