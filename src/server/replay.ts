/** Sends dead letters back: a drain of the map that holds them, whose handler stores what is inside of them elsewhere. */
import { recordSize, type SampleRun } from '../ring/index.js';
import { buildRun } from '../wire/index.js';
import type { Clock } from './clock.js';
import { decodeDeadLetter } from './dead-letter-envelope.js';
import type { DeadLetterTarget } from './dead-letters.js';
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
  clock: Clock;
  target: (map: string) => DeadLetterTarget | undefined;
  /** Outlives the replay: what it stored and could not release is not stored by the next one. */
  unreleased: UnreleasedLetters;
}

/** Dead letters that were stored elsewhere and still lie here, by position: incarnation of the map that has them, too. */
export type UnreleasedLetters = Map<bigint, string>;

/** A dead letter that its target holds, durable or not. */
interface Sent {
  position: bigint;
  to: string;
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
   * Each is stored and released in one turn of the event loop, unless the target has a journal to wait for. Where a journal
   * fails, those before its first sample are released; the others stay, and are known to be stored.
   */
  async onRun(run: SampleRun, { headPosition }: DrainContext): Promise<BatchVerdict> {
    const { clock, unreleased } = this.#deps;
    await new Promise<void>((resolve) => clock.soon(resolve));
    for (const position of unreleased.keys()) if (position < headPosition) unreleased.delete(position);
    const sent: Sent[] = [];
    const waits = new Map<string, DeadLetterTarget>();
    let error: unknown;
    let next = headPosition;
    for (let record = 0; record < run.records && sent.length < this.#left; record++) {
      const position = next;
      next += BigInt(recordSize(run.lengthOf(record)));
      if (!run.isSample(record)) continue;
      try {
        const { to, target } = this.#send(position, run.sampleAt(record).copy());
        sent.push({ position, to });
        waits.set(to, target);
      } catch (thrown) {
        error = thrown;
        break;
      }
    }
    const failures = await failuresOf(waits);
    const failed = sent.findIndex(({ to }) => failures.has(to));
    const released = failed === -1 ? sent : sent.slice(0, failed);
    if (failed !== -1) error = failures.get(sent[failed]!.to);
    for (const { position, to } of released) {
      unreleased.delete(position);
      this.sent.set(to, (this.sent.get(to) ?? 0) + 1);
    }
    this.#left -= released.length;
    return { consumed: released.length, stop: false, error };
  }

  state(): Record<string, unknown> {
    return {};
  }

  async close(): Promise<void> {
    // Holds nothing.
  }

  #send(position: bigint, bytes: Uint8Array): { to: string; target: DeadLetterTarget } {
    const { map, target: lookUp, unreleased } = this.#deps;
    const letter = decodeDeadLetter(bytes);
    if (letter === undefined) throw new RingbufdError('NO_DEAD_LETTER');
    const to = this.#request.to ?? letter.map;
    if (to === map) throw new RingbufdError('REPLAY_CYCLE', `map "${to}" holds the dead letters itself`);
    this.#request.mayProduce(to);
    const target = lookUp(to);
    if (target === undefined) throw new RingbufdError('NO_MAP', `no map is named "${to}"`);
    if (unreleased.get(position) !== target.incarnation) {
      target.store(buildRun([letter.sample]));
      unreleased.set(position, target.incarnation);
    }
    return { to, target };
  }
}

/** Waits for the journals of targets, if they have any; returns what failed, by name. */
async function failuresOf(targets: ReadonlyMap<string, DeadLetterTarget>): Promise<Map<string, unknown>> {
  const failures = new Map<string, unknown>();
  const waits = [...targets].flatMap(([name, target]) => {
    const settled = target.settled();
    return settled === undefined ? [] : [settled.catch((error: unknown) => void failures.set(name, error))];
  });
  if (waits.length > 0) await Promise.all(waits);
  return failures;
}
