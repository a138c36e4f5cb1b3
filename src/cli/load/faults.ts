import type { DaemonRest } from './daemon-rest.js';
import type { LoadBooks } from './load-books.js';
import type { LoadPlan } from './load-plan.js';
import type { LoadProducer } from './load-producer.js';
import { onceNotBusy } from './target-map.js';

/** What was done to the daemon, and when, for the plots. Times are ms since the start of the run. */
export interface FaultMark {
  readonly kind: 'cut' | 'stall';
  readonly fromMs: number;
  readonly toMs: number;
}

/** Stalls are a fifth of a run: four lengths of rest after each. */
const REST_LENGTHS = 4;

export interface FaultTargets {
  readonly plan: LoadPlan;
  readonly rest: DaemonRest;
  readonly books: LoadBooks;
  readonly producers: readonly LoadProducer[];
  /** The run's own handler, which a stall switches off. */
  readonly handler: string;
  /** Ms since the start of the run. */
  readonly elapsedMs: () => number;
}

/** Does to a run what the plan says: cuts connections in turn, and lets the drain stand still. */
export class Faults {
  readonly marks: FaultMark[] = [];
  readonly #targets: FaultTargets;
  readonly #stop = new AbortController();
  #cutTimer: NodeJS.Timeout | undefined;
  #nextVictim = 0;
  #stalling: Promise<void> | undefined;

  constructor(targets: FaultTargets) {
    this.#targets = targets;
  }

  start(): void {
    const { cutMs, stallMs } = this.#targets.plan;
    if (cutMs !== undefined) this.#cutTimer = setInterval(() => this.#cut(), cutMs);
    if (stallMs !== undefined) this.#stalling = this.#stallAgainAndAgain(stallMs);
  }

  /** No further faults; resolves when the drain runs again. */
  async stop(): Promise<void> {
    clearInterval(this.#cutTimer);
    this.#stop.abort();
    await this.#stalling;
  }

  #cut(): void {
    const { producers, elapsedMs } = this.#targets;
    producers[this.#nextVictim++ % producers.length]!.cut();
    this.marks.push({ kind: 'cut', fromMs: elapsedMs(), toMs: elapsedMs() });
  }

  async #stallAgainAndAgain(stallMs: number): Promise<void> {
    const { plan, rest, books, handler, elapsedMs } = this.#targets;
    const { signal } = this.#stop;
    const set = (mode: 'manual' | 'auto'): Promise<void> =>
      onceNotBusy(() => rest.putCountHandler(plan.map, handler, mode));
    while (!signal.aborted) {
      try {
        await set('manual');
        const fromMs = elapsedMs();
        books.stalls++;
        await pause(stallMs, signal);
        await set('auto');
        this.marks.push({ kind: 'stall', fromMs, toMs: elapsedMs() });
      } catch (error) {
        books.failedWith(`--stall: ${(error as Error).message}`);
        // Whatever failed, a drain that stands still for good would be a fault of the tester's own.
        await set('auto').catch(() => undefined);
      }
      await pause(stallMs * REST_LENGTHS, signal);
    }
  }
}

/** Resolves after `ms`, or as soon as the signal says so. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
