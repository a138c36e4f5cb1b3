import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Resolution of the measurement, in ms; Node's histogram includes it in every value. */
const RESOLUTION_MS = 10;
/** How often the answer is renewed, in ms. */
const WINDOW_MS = 1000;

/**
 * How late the event loop was on average during the last second, in ms. Reads nothing but a histogram: what is asked for
 * at the worst of times must not fail for want of a file descriptor.
 */
export class LoopLateness {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  #lateMs = 0;

  constructor() {
    this.#histogram.enable();
    this.#timer = setInterval(() => {
      const mean = this.#histogram.mean / 1e6;
      this.#lateMs = Number.isFinite(mean) ? Math.max(0, mean - RESOLUTION_MS) : 0;
      this.#histogram.reset();
    }, WINDOW_MS);
    this.#timer.unref();
  }

  get lateMs(): number {
    return this.#lateMs;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }
}
