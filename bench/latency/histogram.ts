import { createHistogram } from 'node:perf_hooks';

/** Latencies in microseconds, out of an HDR histogram of nanoseconds with three figures. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** Records durations; an HDR histogram, so that its size does not grow with their number. */
export class Latencies {
  readonly #histogram = createHistogram({ figures: 3, lowest: 1, highest: 60e9 });

  /** @param ms a duration in milliseconds */
  record(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * 1e6)));
  }

  get count(): number {
    return this.#histogram.count;
  }

  get percentiles(): Percentiles {
    const at = (percentile: number): number => this.#histogram.percentile(percentile) / 1000;
    return { p50: at(50), p99: at(99), p999: at(99.9) };
  }
}
