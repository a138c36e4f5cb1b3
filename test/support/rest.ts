import { Pool } from 'undici';

/** What a REST call answered: status, headers, and the body, parsed when it is JSON. */
export interface RestAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  body: Record<string, unknown>;
}

export type RestMethod = 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH' | 'HEAD' | 'OPTIONS';

/** A plain HTTP client of one daemon. Statuses are answers, never exceptions, unless {@link expect} says which one is due. */
export class RestClient {
  readonly #pool: Pool;
  readonly #headers: Record<string, string>;

  /**
   * @param origin `http://127.0.0.1:PORT`
   * @param token sent with every call
   */
  constructor(origin: string, token?: string) {
    this.#pool = new Pool(origin, { connections: 8 });
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** @param json sent as application/json; for other bodies use {@link send} */
  async call(
    method: RestMethod,
    path: string,
    json?: unknown,
    headers: Record<string, string> = {},
  ): Promise<RestAnswer> {
    return json === undefined
      ? this.send(method, path, undefined, headers)
      : this.send(method, path, JSON.stringify(json), { 'content-type': 'application/json', ...headers });
  }

  /** A call with any body and headers. */
  async send(
    method: RestMethod,
    path: string,
    body: string | Uint8Array | undefined,
    headers: Record<string, string> = {},
  ): Promise<RestAnswer> {
    const answer = await this.#pool.request({
      method,
      path,
      headers: { ...this.#headers, ...headers },
      body: body ?? null,
    });
    const text = await answer.body.text();
    const type = String(answer.headers['content-type'] ?? '');
    const parsed: unknown = /\bjson\b/.test(type) && text !== '' ? JSON.parse(text) : {};
    return {
      status: answer.statusCode,
      headers: answer.headers,
      text,
      body: parsed as Record<string, unknown>,
    };
  }

  /**
   * A call that has one right status; returns its body.
   * @throws Error with the whole answer when the status is another one
   */
  async expect(
    status: number,
    method: RestMethod,
    path: string,
    json?: unknown,
  ): Promise<Record<string, unknown>> {
    const answer = await this.call(method, path, json);
    if (answer.status !== status)
      throw new Error(`${method} ${path}: ${answer.status} instead of ${status}, ${answer.text}`);
    return answer.body;
  }

  /** Creates a map with a `count` handler "count" and a `capture` handler "capture" (first 64 bytes of each sample). */
  async createMap(
    name: string,
    options: {
      max_entries?: number;
      mode?: 'managed' | 'direct';
      durability?: 'memory' | 'written' | 'synced';
    } = {},
  ): Promise<void> {
    await this.expect(201, 'PUT', `/v1/maps/${name}`, { max_entries: 4096, ...options });
    await this.expect(201, 'PUT', `/v1/maps/${name}/handlers/count`, { kind: 'count' });
    await this.expect(201, 'PUT', `/v1/maps/${name}/handlers/capture`, {
      kind: 'capture',
      config: { max: 16384, head_bytes: 64, keep: 'first' },
    });
  }

  async showMap(name: string): Promise<MapBody> {
    return (await this.expect(200, 'GET', `/v1/maps/${name}`)) as unknown as MapBody;
  }

  /** One drain that succeeds. */
  async drain(
    map: string,
    handler = 'count',
    options: { flags?: unknown; ctx?: unknown } = {},
  ): Promise<DrainBody> {
    return (await this.expect(200, 'POST', `/v1/maps/${map}/drain`, {
      handler,
      ...options,
    })) as unknown as DrainBody;
  }

  /** Drains everything through the capture handler and returns the samples' first bytes as hexadecimal digits. */
  async drainSamples(map: string): Promise<string[]> {
    await this.drain(map, 'capture', { ctx: { reset: true } });
    const { state } = (await this.expect(200, 'GET', `/v1/maps/${map}/handlers/capture`)) as {
      state: { samples: { head: string }[] };
    };
    return state.samples.map(({ head }) => head);
  }

  /** The records in the ring, from the head on, without consuming any. */
  async peek(map: string, limit = 100_000): Promise<PeekedRecord[]> {
    const { samples } = await this.expect(200, 'GET', `/v1/maps/${map}/samples?limit=${limit}`);
    return samples as PeekedRecord[];
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }
}

/** Body of GET /v1/maps/{map}, as far as tests look at it. */
export interface MapBody {
  incarnation: string;
  producer_pos: string;
  consumer_pos: string;
  mode: 'managed' | 'direct';
  producers: number;
  producers_waiting: number;
  watchers: number;
  open_reservations: number;
  oldest_age_ms: number | null;
  counters: {
    accepted_samples: number;
    accepted_bytes: number;
    drained_samples: number;
    discarded_samples: number;
    dead_lettered_samples: number;
    buffered_samples: number;
    wakeups_sent: number;
    wakeups_coalesced: number;
    refused: Record<string, number>;
    drain_errors: Record<string, number>;
  };
}

export interface DrainBody {
  ret: number;
  drained: number;
  discarded: number;
  stopped: boolean;
  wakeup: boolean;
  producer_pos: string;
  consumer_pos: string;
  drain_number: number;
}

export interface PeekedRecord {
  pos: string;
  len: number;
  state: 'ready' | 'busy' | 'discarded';
}
