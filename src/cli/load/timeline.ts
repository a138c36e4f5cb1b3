import type { DaemonRest, MapView } from './daemon-rest.js';
import type { LatencySummary } from './latency-recorder.js';
import type { LoadBooks } from './load-books.js';

/** One interval of a run. Rates are samples a second, latencies ms; `undefined` where nothing is known. */
export interface TimelinePoint {
  /** End of the interval, ms since the start of the run. */
  readonly atMs: number;
  readonly acknowledgedPerS: number;
  readonly drainedPerS: number | undefined;
  /** Used bytes by size, 0 to 1. */
  readonly fill: number | undefined;
  readonly latency: LatencySummary | undefined;
  /** Whether the daemon answered. */
  readonly isReachable: boolean;
}

const POINTS = 120;
const LEAST_INTERVAL_MS = 200;

/** Looks at the run and at the daemon at regular times, and keeps what it saw: at most some hundred points. */
export class Timeline {
  readonly points: TimelinePoint[] = [];
  readonly #books: LoadBooks;
  readonly #look: () => Promise<MapView>;
  readonly #startMs: number;
  readonly #intervalMs: number;
  readonly #seen: (point: TimelinePoint) => void;
  #timer: NodeJS.Timeout | undefined;
  #busy: Promise<void> = Promise.resolve();
  #lastMs: number;
  #lastAcknowledged = 0;
  #lastDrained: number | undefined;

  /** @param seen told of each point, for the progress line */
  constructor(
    { rest, map, books, durationMs }: { rest: DaemonRest; map: string; books: LoadBooks; durationMs: number },
    before: MapView,
    seen: (point: TimelinePoint) => void,
  ) {
    this.#books = books;
    this.#look = () => rest.showMap(map);
    this.#seen = seen;
    this.#intervalMs = Math.max(LEAST_INTERVAL_MS, durationMs / POINTS);
    this.#startMs = performance.now();
    this.#lastMs = this.#startMs;
    this.#lastDrained = before.counters.drained_samples;
  }

  elapsedMs(): number {
    return performance.now() - this.#startMs;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#busy = this.#measure().then(() => {
        if (this.#timer !== undefined) this.start();
      });
    }, this.#intervalMs);
  }

  /** Ends it, after a last look. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#busy;
    await this.#measure();
  }

  async #measure(): Promise<void> {
    const view = await this.#look().catch(() => undefined);
    const nowMs = performance.now();
    const seconds = Math.max(0.001, (nowMs - this.#lastMs) / 1000);
    const { acknowledged } = this.#books;
    const drained = view?.counters.drained_samples;
    const drainedSince =
      drained === undefined || this.#lastDrained === undefined ? undefined : drained - this.#lastDrained;
    const point: TimelinePoint = {
      atMs: nowMs - this.#startMs,
      acknowledgedPerS: (acknowledged - this.#lastAcknowledged) / seconds,
      // Counters that went back are those of a daemon that started anew.
      drainedPerS: drainedSince === undefined || drainedSince < 0 ? undefined : drainedSince / seconds,
      fill: view?.fill,
      latency: this.#books.acknowledge.takeInterval(),
      isReachable: view !== undefined,
    };
    this.#lastMs = nowMs;
    this.#lastAcknowledged = acknowledged;
    this.#lastDrained = drained;
    this.points.push(point);
    this.#seen(point);
  }
}
