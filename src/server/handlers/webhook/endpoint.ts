import type { LookupFunction } from 'node:net';
import { Client, type Dispatcher } from 'undici';
import type { Clock } from '../../clock.js';
import type { AddressPolicy } from './address-policy.js';
import { AddressRefusedError, checkedLookup, type Resolve } from './checked-lookup.js';

/** Bytes read of an answer whose status already said everything; a longer one costs its connection. */
const MAX_ANSWER_BYTES = 65_536;

/** How long an idle connection is kept, in ms, where the server does not say. */
const KEEP_ALIVE_MS = 15_000;

const TIME_UP = Symbol('time up');

export interface Answer {
  status: number;
  /** As the server wrote it. */
  retryAfter: string | undefined;
}

/** An attempt that got no status: whether the server has the batch is not known. */
export class AttemptError extends Error {
  readonly reason: 'timeout' | 'network' | 'address_refused';

  constructor(reason: AttemptError['reason'], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'AttemptError';
    this.reason = reason;
  }
}

export interface EndpointOptions {
  url: URL;
  connectTimeoutMs: number;
  policy: AddressPolicy;
  clock: Clock;
  /** The system's resolver by default. */
  resolve?: Resolve;
}

/** One URL, and the one connection to it that is kept alive between requests. Follows no redirect, uses no proxy. */
export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #lookup: LookupFunction;
  #client: Client | undefined;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#lookup = checkedLookup(options.policy, options.resolve);
  }

  /** Scheme, host and port: what may be shown, where path and query may hold a key. */
  get origin(): string {
    return this.#options.url.origin;
  }

  /**
   * One attempt. The body of the answer is thrown away.
   * @param timeoutMs for the whole of it, in ms
   * @throws AttemptError when no status came
   */
  async post(body: Buffer, headers: Record<string, string>, timeoutMs: number): Promise<Answer> {
    const { url, clock } = this.#options;
    const client = (this.#client ??= this.#newClient());
    let cancelTimeout = () => {};
    const timeUp = new Promise<typeof TIME_UP>((resolve) => {
      cancelTimeout = clock.after(timeoutMs, () => resolve(TIME_UP));
    });
    let answeredWhole = false;
    try {
      const path = `${url.pathname}${url.search}`;
      const answer = await Promise.race([request(client, { path, method: 'POST', headers, body }), timeUp]);
      if (answer === TIME_UP)
        throw new AttemptError('timeout', `no answer within ${Math.ceil(timeoutMs)} ms`);
      answeredWhole = (await Promise.race([discard(answer.body), timeUp])) === true;
      const retryAfter = answer.headers['retry-after'];
      return {
        status: answer.statusCode,
        retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
      };
    } catch (error) {
      throw error instanceof AttemptError ? error : attemptError(error);
    } finally {
      cancelTimeout();
      // undici takes no signal while a request waits for its connection, connects once more for a request that was
      // aborted, and after a certificate for another name sends nothing any more: a client that failed is not kept.
      if (!answeredWhole) this.#drop(client);
    }
  }

  /** Drops the connection. */
  async close(): Promise<void> {
    await this.#client?.destroy();
  }

  #newClient(): Client {
    return new Client(this.origin, {
      connect: { timeout: this.#options.connectTimeoutMs, lookup: this.#lookup },
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // One timer of ours bounds an attempt as a whole.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  #drop(client: Client): void {
    this.#client = undefined;
    client.destroy().catch(() => undefined);
  }
}

async function request(client: Client, options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData> {
  const answer = await client.request(options);
  // A body that is dropped reports that as an error, also when nobody reads it any more.
  answer.body.on('error', () => undefined);
  return answer;
}

/**
 * Reads a body to its end, so that the connection can be used again. Never fails: the status has said what became of
 * the batch.
 * @returns whether the end was reached within the limit
 */
async function discard(body: AsyncIterable<Uint8Array>): Promise<boolean> {
  let left = MAX_ANSWER_BYTES;
  try {
    for await (const chunk of body) {
      left -= chunk.length;
      if (left < 0) return false;
    }
    return true;
  } catch {
    return false;
  }
}

function attemptError(error: unknown): AttemptError {
  if (error instanceof AddressRefusedError) return new AttemptError('address_refused', error.message, error);
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return new AttemptError('timeout', 'no connection in time', error);
  // Several addresses that all failed make an error without a message.
  return new AttemptError('network', message || (code ?? 'unknown error'), error);
}
