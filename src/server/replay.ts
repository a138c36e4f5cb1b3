/** Sends dead letters back: a drain of the map that holds them, whose handler stores what is inside of them elsewhere. */
import { recordSize, type SampleRun } from '../ring/index.js';
import { buildRun } from '../wire/index.js';
import type { Clock } from './clock.js';
import { decodeDeadLetter } from './dead-letter-envelope.js';
import type { DeadLetterTarget } from './dead-letter-target.js';
import { RingbufdError } from './errors.js';
import { HandlerHealth } from './handler-health.js';
import type { RegisteredHandler } from './handler-table.js';
import type { BatchHandler, BatchVerdict, DrainContext } from './handlers/handler.js';

/** Shown where handlers have names; no handler can be registered with it. */
export const REPLAY_NAME = '~replay';

/** One run: some milliseconds of the event loop. */
const MAX_RUN_BYTES = 256 * 1024;
const MAX_RUN_SAMPLES = 256;

export interface ReplayRequest {
  /** Where all of them go; absent: each to the map that it came from. */
  to?: string | undefined;
  /** Most dead letters that are sent back. */
  limit: number;
  /** Whether the caller may store into a map. @throws RingbufdError FORBIDDEN */
  mayProduce: (map: string) => void;
}

export interface ReplayDeps {
  /** The map that holds the dead letters. */
  map: string;
  incarnation: string;
  clock: Clock;
  target: (map: string) => DeadLetterTarget | undefined;
  /** Outlives the replay: what it stored and could not release is not stored by the next one. */
  unreleased: UnreleasedLetters;
}

/** Dead letters that were stored elsewhere and still lie here, by position: incarnation of the map that has them, too. */
export type UnreleasedLetters = Map<bigint, string>;

/** A dead letter, and the map that it goes to. */
interface Letter {
  readonly to: string;
  readonly target: DeadLetterTarget;
  readonly sample: Uint8Array;
}

/** A dead letter that its target holds, durable or not. */
interface Sent extends Letter {
  readonly position: bigint;
}

export class Replay implements BatchHandler {
  readonly shape = 'batch';
  readonly maxRunBytes = MAX_RUN_BYTES;
  readonly maxRunSamples = MAX_RUN_SAMPLES;
  /** Dead letters sent back so far, by the map that they went to. */
  readonly sent = new Map<string, number>();
  readonly #request: ReplayRequest;
  readonly #deps: ReplayDeps;
  #left: number;

  constructor(request: ReplayRequest, deps: ReplayDeps) {
    this.#request = request;
    this.#deps = deps;
    this.#left = request.limit;
  }

  /** As a drain takes it. */
  get registered(): RegisteredHandler {
    const trigger = { mode: 'manual' } as const;
    const spec = {
      kind: 'replay',
      config: {},
      trigger,
      onError: { policy: 'stop' },
      enabled: true,
      shadow: false,
    } as const;
    const { kind, onError } = spec;
    const health = new HandlerHealth(onError);
    return { name: REPLAY_NAME, kind, config: {}, trigger, spec, handler: this, retiring: false, health };
  }

  begin(): void {
    // Takes any ctx.
  }

  /**
   * Each is stored and released in one turn of the event loop, unless the target has a journal to wait for. Before letters
   * go to another map, those before are durable: the last one that a map has then tells which it has. Where a journal fails
   * or is full, the letters that wait for it stay, and are known to be stored.
   */
  async onRun(run: SampleRun, { headPosition }: DrainContext): Promise<BatchVerdict> {
    const { clock, unreleased } = this.#deps;
    await new Promise<void>((resolve) => clock.soon(resolve));
    for (const position of unreleased.keys()) if (position < headPosition) unreleased.delete(position);
    let consumed = 0;
    let batch: Sent[] = [];
    let error: unknown;
    /** Those of the batch are durable, or an error says why not. */
    const settle = async (): Promise<void> => {
      const [first] = batch;
      if (first === undefined) return;
      try {
        await first.target.settled('reject');
      } catch (thrown) {
        error = thrown;
        return;
      }
      for (const { position } of batch) unreleased.delete(position);
      this.sent.set(first.to, (this.sent.get(first.to) ?? 0) + batch.length);
      consumed += batch.length;
      batch = [];
    };
    let next = headPosition;
    for (let record = 0; record < run.records && consumed + batch.length < this.#left; record++) {
      const position = next;
      next += BigInt(recordSize(run.lengthOf(record)));
      if (!run.isSample(record)) continue;
      try {
        const letter = this.#read(run.sampleAt(record).copy());
        if (batch[0] !== undefined && batch[0].to !== letter.to) await settle();
        if (error !== undefined) break;
        this.#send(position, letter);
        batch.push({ position, ...letter });
      } catch (thrown) {
        await settle();
        error ??= thrown;
        break;
      }
    }
    if (error === undefined) await settle();
    this.#left -= consumed;
    return { consumed, stop: false, error };
  }

  state(): Record<string, unknown> {
    return {};
  }

  async close(): Promise<void> {
    // Holds nothing.
  }

  #read(bytes: Uint8Array): Letter {
    const { map, target: lookUp } = this.#deps;
    const letter = decodeDeadLetter(bytes);
    if (letter === undefined) throw new RingbufdError('NO_DEAD_LETTER');
    const to = this.#request.to ?? letter.map;
    if (to === map) throw new RingbufdError('REPLAY_CYCLE', `map "${to}" holds the dead letters itself`);
    this.#request.mayProduce(to);
    const target = lookUp(to);
    if (target === undefined) throw new RingbufdError('NO_MAP', `no map is named "${to}"`);
    return { to, target, sample: letter.sample };
  }

  #send(position: bigint, { target, sample }: Letter): void {
    const { map, incarnation, unreleased } = this.#deps;
    const origin = { map, incarnation, position };
    if (unreleased.get(position) === target.incarnation || target.holds(origin)) return;
    target.store(buildRun([sample]), origin);
    unreleased.set(position, target.incarnation);
  }
}
