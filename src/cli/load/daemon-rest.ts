import { CliError } from '../cli-io.js';
import type { LedgerAnswer } from '../verify/ledger-answer.js';

/** What GET /v1/maps/{map} says, as far as the load tester reads it. */
export interface MapView {
  readonly max_entries: number;
  readonly mode: 'managed' | 'direct';
  readonly durability: 'memory' | 'written' | 'synced';
  readonly incarnation: string;
  /** u64 as decimal text. */
  readonly producer_pos: string;
  readonly consumer_pos: string;
  readonly fill: number;
  readonly producers: number;
  readonly handlers: readonly string[];
  readonly counters: MapCounterView;
}

export interface MapCounterView {
  readonly accepted_samples: number;
  readonly accepted_bytes: number;
  readonly drained_samples: number;
  readonly discarded_samples: number;
  readonly buffered_samples: number;
  /** By "errno|reason". */
  readonly refused: Readonly<Record<string, number>>;
}

export interface HandlerView {
  readonly kind: string;
  readonly trigger: { readonly mode: 'manual' | 'auto' };
}

/** The daemon said no. */
export class RestRefusal extends Error {
  override readonly name = 'RestRefusal';

  constructor(
    readonly status: number,
    readonly errno: string,
    message: string,
    readonly advice: string | undefined,
  ) {
    super(message);
  }
}

/** Longest time that one call may take, in ms. */
const CALL_TIMEOUT_MS = 5000;

/** The few REST calls of the load tester. */
export class DaemonRest {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;

  /** @param url base address of the daemon, without a slash at its end */
  constructor(url: string, token: string | undefined) {
    this.#base = url;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  get url(): string {
    return this.#base;
  }

  get headers(): Readonly<Record<string, string>> {
    return this.#headers;
  }

  /** `undefined` when there is no such map. */
  async findMap(map: string): Promise<MapView | undefined> {
    try {
      return await this.showMap(map);
    } catch (error) {
      if (error instanceof RestRefusal && error.status === 404) return undefined;
      throw error;
    }
  }

  showMap(map: string): Promise<MapView> {
    return this.#call<MapView>('GET', `/v1/maps/${map}`);
  }

  /** What became of every sample that the map has accepted. */
  showLedger(map: string): Promise<LedgerAnswer> {
    return this.#call<LedgerAnswer>('GET', `/v1/maps/${map}/ledger?limit=100000`);
  }

  createMap(map: string, options: { max_entries: number; durability: string }): Promise<MapView> {
    return this.#call<MapView>('PUT', `/v1/maps/${map}`, options);
  }

  async deleteMap(map: string): Promise<void> {
    await this.#call('DELETE', `/v1/maps/${map}`);
  }

  showHandler(map: string, handler: string): Promise<HandlerView> {
    return this.#call<HandlerView>('GET', `/v1/maps/${map}/handlers/${handler}`);
  }

  async putCountHandler(map: string, handler: string, mode: 'manual' | 'auto'): Promise<void> {
    await this.#call('PUT', `/v1/maps/${map}/handlers/${handler}`, { kind: 'count', trigger: { mode } });
  }

  async deleteHandler(map: string, handler: string): Promise<void> {
    await this.#call('DELETE', `/v1/maps/${map}/handlers/${handler}`);
  }

  /** Seconds of processor time that the daemon has used since it started. */
  async cpuSeconds(): Promise<number | undefined> {
    try {
      const { metrics } = await this.#call<{ metrics: Record<string, { value: number | null }[]> }>(
        'GET',
        '/v1/metrics',
      );
      return metrics.process_cpu_seconds_total?.[0]?.value ?? undefined;
    } catch {
      // A token without the right to read metrics costs one line of the table and nothing else.
      return undefined;
    }
  }

  async #call<Body>(method: string, path: string, json?: unknown): Promise<Body> {
    const answer = await fetch(this.#base + path, {
      method,
      headers: { ...this.#headers, ...(json === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    });
    const text = await answer.text();
    if (answer.ok) return (text === '' ? {} : JSON.parse(text)) as Body;
    const problem = problemIn(text);
    throw new RestRefusal(
      answer.status,
      problem.errno ?? 'EIO',
      `${method} ${path} was answered with ${answer.status}: ${problem.detail ?? text.slice(0, 200)}`,
      problem.advice,
    );
  }
}

function problemIn(text: string): { errno?: string; detail?: string; advice?: string } {
  try {
    return JSON.parse(text) as { errno?: string; detail?: string; advice?: string };
  } catch {
    return {};
  }
}

/** Turns what a call failed with into something that a person can act on. */
export function explainRestError(error: unknown, url: string): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof RestRefusal) {
    const needsToken = error.status === 401;
    return new CliError(
      error.message,
      needsToken ? 'Give a token with the scope admin: --token-file FILE.' : error.advice,
    );
  }
  const cause = (error as { cause?: { message?: string; code?: string } }).cause;
  const why = cause?.code ?? cause?.message ?? (error as Error).message;
  return new CliError(
    `no answer from the daemon at ${url}: ${why}`,
    'Is it running? Name another address with --url.',
  );
}
