/** Sends dead letters back: a drain of the map that holds them, whose handler stores what is inside of them elsewhere. */
import type { SampleRun } from '../ring/index.js';
import { buildRun } from '../wire/index.js';
import type { Clock } from './clock.js';
import { decodeDeadLetter } from './dead-letter-envelope.js';
import type { DeadLetterTarget } from './dead-letters.js';
import { RingbufdError } from './errors.js';
import { HandlerHealth } from './handler-health.js';
import type { RegisteredHandler } from './handler-table.js';
import type { BatchHandler, BatchVerdict } from './handlers/handler.js';

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
  clock: Clock;
  target: (map: string) => DeadLetterTarget | undefined;
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

  /** Each is stored and released in one turn of the event loop, unless the target has a journal to wait for. */
  async onRun(run: SampleRun): Promise<BatchVerdict> {
    await new Promise<void>((resolve) => this.#deps.clock.soon(resolve));
    const touched = new Set<DeadLetterTarget>();
    let consumed = 0;
    let error: unknown;
    for (let record = 0; record < run.records && this.#left > 0; record++) {
      if (!run.isSample(record)) continue;
      try {
        touched.add(this.#send(run.sampleAt(record).copy()));
      } catch (thrown) {
        error = thrown;
        break;
      }
      consumed++;
      this.#left--;
    }
    for (const target of touched) {
      const settled = target.settled();
      if (settled !== undefined) await settled;
    }
    return { consumed, stop: false, error };
  }

  state(): Record<string, unknown> {
    return {};
  }

  async close(): Promise<void> {
    // Holds nothing.
  }

  #send(bytes: Uint8Array): DeadLetterTarget {
    const letter = decodeDeadLetter(bytes);
    if (letter === undefined) throw new RingbufdError('NO_DEAD_LETTER');
    const name = this.#request.to ?? letter.map;
    if (name === this.#deps.map)
      throw new RingbufdError('REPLAY_CYCLE', `map "${name}" holds the dead letters itself`);
    this.#request.mayProduce(name);
    const target = this.#deps.target(name);
    if (target === undefined) throw new RingbufdError('NO_MAP', `no map is named "${name}"`);
    target.store(buildRun([letter.sample]));
    this.sent.set(name, (this.sent.get(name) ?? 0) + 1);
    return target;
  }
}
