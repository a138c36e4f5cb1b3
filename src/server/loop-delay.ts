import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';

/** Resolution of the measurement, in ms; Node's histogram includes it in every value. */
const RESOLUTION_MS = 10;
const NS_PER_SECOND = 1e9;
/** Length of a window, in ms: about the interval at which metrics are usually scraped. */
const WINDOW_MS = 15_000;

/** Seconds by which the event loop was late. */
export interface DelayQuantiles {
  p50: number;
  p99: number;
  max: number;
}

/**
 * How late the event loop is, over the last window that is complete. Looking at it changes nothing, so that two scrapers
 * do not take each other's numbers away.
 */
export class LoopDelay {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  #last: DelayQuantiles | undefined;

  constructor(windowMs = WINDOW_MS) {
    this.#histogram.enable();
    this.#timer = setInterval(() => this.#turnWindow(), windowMs);
    this.#timer.unref();
  }

  /** Of the last window; of the first one as far as it goes, until it is complete. */
  get quantiles(): DelayQuantiles {
    return this.#last ?? this.#measured();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }

  #turnWindow(): void {
    this.#last = this.#measured();
    this.#histogram.reset();
  }

  #measured(): DelayQuantiles {
    const histogram = this.#histogram;
    if (histogram.count === 0) return { p50: 0, p99: 0, max: 0 };
    return {
      p50: lateBy(histogram.percentile(50)),
      p99: lateBy(histogram.percentile(99)),
      max: lateBy(histogram.max),
    };
  }
}

function lateBy(nanoseconds: number): number {
  return Math.max(0, nanoseconds / NS_PER_SECOND - RESOLUTION_MS / 1000);
}
