import type { Pool } from 'undici';
import { Errno, type ErrnoName } from '../../src/ring/errno.js';
import { Op } from '../../src/wire/index.js';
import { FrameClient } from './frame-client.js';
import { DirectProducer, ManagedProducer, type NetworkProducer, type Positions } from './network-producer.js';
import type { Outcome } from './outcome.js';
import {
  isManaged,
  SAMPLE_HEAD,
  SAMPLES_KEPT,
  type CreateOp,
  type DrainOp,
  type Trace,
  type TraceOp,
  type TraceSample,
} from './trace.js';

const HANDLER = 'capture';
const MAX_U64 = 2n ** 64n - 1n;
/** BPF_RB_NO_WAKEUP and BPF_RB_FORCE_WAKEUP. */
const KNOWN_FLAGS = 3n;
/** A SUBMIT carries a position and the payload in one frame body of at most 1 MiB. */
const LARGEST_SUBMIT = 2 ** 20 - 8;

/** What the REST interface answers: status and JSON body. */
interface Answer {
  status: number;
  body: Record<string, unknown>;
}

interface DrainBody {
  ret: number;
  drained: number;
  wakeup: boolean;
  producer_pos: string;
  consumer_pos: string;
}

/** Which kind of map a trace runs on: a managed one wherever its producer is one that such a map takes. */
export function modeFor(trace: Trace): 'managed' | 'direct' {
  const submits = trace.ops.every((op) => op.op !== 'reserve' || op.ret !== 0 || op.size <= LARGEST_SUBMIT);
  return isManaged(trace) && submits ? 'managed' : 'direct';
}

/** Plays one trace on a map of its own in a running daemon. */
export class NetworkPlayer {
  readonly #rest: Pool;
  readonly #path: string;
  readonly #client: FrameClient;
  readonly #producer: NetworkProducer;
  #positions: Positions = { cons: 0n, prod: 0n };
  #reservations = 0;

  private constructor(rest: Pool, path: string, client: FrameClient, producer: NetworkProducer) {
    this.#rest = rest;
    this.#path = path;
    this.#client = client;
    this.#producer = producer;
  }

  /** @param origin `127.0.0.1:PORT`; @param map a map name that is not in use */
  static async start(rest: Pool, origin: string, map: string, trace: Trace): Promise<NetworkPlayer> {
    const path = `/v1/maps/${map}`;
    const mode = modeFor(trace);
    await demand(rest, 'PUT', path, 201, { max_entries: trace.max_entries, mode });
    await demand(rest, 'PUT', `${path}/handlers/${HANDLER}`, 201, {
      kind: 'capture',
      config: { max: SAMPLES_KEPT, head_bytes: SAMPLE_HEAD, keep: 'first' },
    });
    const client = await FrameClient.connect(`ws://${origin}${path}/produce`);
    await client.insist({ op: Op.WATCH, on: true, minFree: 0 });
    const producer =
      mode === 'managed' ? new ManagedProducer(client) : new DirectProducer(client, trace.max_entries);
    return new NetworkPlayer(rest, path, client, producer);
  }

  async play(op: TraceOp): Promise<Outcome> {
    const answer = await this.#run(op);
    // Frames come in order, so that a WAKEUP of this op is here once INFO is.
    const { consumerPos, producerPos } = await this.#client.query();
    this.#positions = { cons: consumerPos, prod: producerPos };
    const wakeups = this.#client.takeWakeups();
    if (wakeups.length > (op.op === 'drain' ? 1 : 0)) throw new Error(`${wakeups.length} WAKEUPs`);
    if (op.op === 'drain') {
      const [wakeup] = wakeups;
      if ((wakeup !== undefined) !== answer.wakeup_event)
        throw new Error(`REST says wakeup ${answer.wakeup_event}, ${wakeups.length} WAKEUPs came`);
      if (wakeup && (wakeup.producerPos !== producerPos || wakeup.consumerPos !== consumerPos))
        throw new Error('the WAKEUP has other positions than INFO');
      if (wakeup && wakeup.writable !== answer.writable)
        throw new Error(`the WAKEUP says writable ${wakeup.writable}, REST ${answer.writable}`);
    }
    return { ...answer, cons: consumerPos.toString(), prod: producerPos.toString() };
  }

  async stop(): Promise<void> {
    await this.#client.close();
    await demand(this.#rest, 'DELETE', this.#path, 204);
  }

  async #run(op: TraceOp): Promise<Partial<Outcome>> {
    switch (op.op) {
      case 'reserve': {
        const ret = await this.#producer.reserve(op.size, this.#positions);
        return ret === 0 ? { ret, id: this.#reservations++ } : { ret };
      }
      case 'submit':
      case 'discard':
        await this.#producer.end(op.id, op.op === 'discard');
        return {};
      case 'write':
        await this.#direct.write(op.off, Buffer.from(op.hex, 'hex'));
        return {};
      case 'prodpos':
        await this.#direct.commit(BigInt(op.pos));
        return {};
      case 'drain':
        return this.#drain(op);
      case 'drain_nested':
        throw new Error('a nested drain has no REST form');
      case 'poll':
        return { writable: await this.#isWritable() };
      case 'create':
        return this.#create(op);
    }
  }

  get #direct(): DirectProducer {
    if (!(this.#producer instanceof DirectProducer)) throw new Error('raw ops take a direct map');
    return this.#producer;
  }

  async #drain(op: DrainOp): Promise<Partial<Outcome>> {
    const flags = BigInt(op.flags);
    const answer = await call(this.#rest, 'POST', `${this.#path}/drain`, {
      handler: HANDLER,
      // Beyond u64 only by the rounding of the JSON number.
      flags: (flags > MAX_U64 ? MAX_U64 : flags).toString(),
      ctx: { reset: true, stop_after: Math.max(-1, op.stop_after) },
    });
    const { ret, drained, wakeup } = answer.body as unknown as DrainBody;
    if (typeof ret !== 'number') throw new Error(`the drain answered ${answer.status}: no ret`);
    const refused = flags > KNOWN_FLAGS;
    if (answer.status !== (ret >= 0 ? 200 : refused ? 400 : 422))
      throw new Error(`status ${answer.status}, ret ${ret}`);
    const writable = await this.#isWritable();
    // A drain that was refused for its flags did not get to the handler, whose state is that of the drain before.
    if (refused) return { ret, calls: drained, samples: [], wakeup_event: wakeup, writable };
    const handler = await demand(this.#rest, 'GET', `${this.#path}/handlers/${HANDLER}`, 200);
    const state = handler.state as { calls: number; samples: { len: number; head: string }[] };
    const samples = state.samples.map(({ len, head }): TraceSample => [len, head]);
    return { ret, calls: state.calls, samples, wakeup_event: wakeup, writable };
  }

  async #isWritable(): Promise<boolean> {
    return (await demand(this.#rest, 'GET', `${this.#path}/query`, 200)).writable as boolean;
  }

  /** Another map, by the same rules. */
  async #create(op: CreateOp): Promise<Partial<Outcome>> {
    const { key_size, value_size, max_entries, map_flags } = op;
    const path = `${this.#path}-created`;
    const { status, body } = await call(this.#rest, 'PUT', path, {
      key_size,
      value_size,
      max_entries,
      map_flags,
    });
    if (status >= 400) return { ret: -Errno[body.errno as ErrnoName] };
    await demand(this.#rest, 'DELETE', path, 204);
    return { ret: 0 };
  }
}

async function call(
  rest: Pool,
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  path: string,
  json?: unknown,
): Promise<Answer> {
  const { statusCode, body } = await rest.request({
    method,
    path,
    ...(json !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(json),
    }),
  });
  const text = await body.text();
  return { status: statusCode, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
}

/** A call that has one right answer. */
async function demand(
  rest: Pool,
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  path: string,
  status: number,
  json?: unknown,
): Promise<Record<string, unknown>> {
  const answer = await call(rest, method, path, json);
  if (answer.status !== status)
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}
