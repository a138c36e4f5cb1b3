import { build, type Histogram } from 'hdr-histogram-js';

/** Percentiles of a latency in milliseconds, over samples. */
export interface LatencySummary {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p99_9: number;
  readonly p99_99: number;
  readonly max: number;
}

/** One point of a percentile curve: `percent` of the samples took at most `ms`. */
export interface PercentilePoint {
  readonly percent: number;
  readonly ms: number;
}

/** Latencies at a resolution of a microsecond and three digits, for a whole run and for the interval at hand. */
export class LatencyRecorder {
  readonly #all = newHistogram();
  readonly #interval = newHistogram();

  /** @param samples how many samples shared that latency */
  record(ms: number, samples: number): void {
    const micros = Math.max(1, Math.round(ms * 1000));
    this.#all.recordValueWithCount(micros, samples);
    this.#interval.recordValueWithCount(micros, samples);
  }

  /**
   * The same for requests that follow one another: a late answer also stands for those that should have been sent every
   * `intervalMs` while it was waited for. `undefined`: there was no such interval.
   */
  recordExpecting(ms: number, samples: number, intervalMs: number | undefined): void {
    this.record(ms, samples);
    if (intervalMs === undefined) return;
    for (let missed = ms - intervalMs; missed >= intervalMs; missed -= intervalMs)
      this.record(missed, samples);
  }

  summary(): LatencySummary | undefined {
    return summaryOf(this.#all);
  }

  /** Of what was recorded since the last call. */
  takeInterval(): LatencySummary | undefined {
    const summary = summaryOf(this.#interval);
    this.#interval.reset();
    return summary;
  }

  /** The curve for a plot over 1/(1 - percentile): as far out as there are samples to tell. */
  curve(): PercentilePoint[] {
    const { totalCount } = this.#all;
    if (totalCount === 0) return [];
    const points: PercentilePoint[] = [];
    const last = Math.log10(Math.min(totalCount, 1e6));
    for (let step = 0; step <= last * STEPS_PER_DECADE; step++) {
      const percent = 100 * (1 - 10 ** -(step / STEPS_PER_DECADE));
      points.push({ percent, ms: this.#all.getValueAtPercentile(percent) / 1000 });
    }
    return points;
  }
}

const STEPS_PER_DECADE = 12;

function newHistogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
    autoResize: true,
    bitBucketSize: 64,
  });
}

function summaryOf(histogram: Histogram): LatencySummary | undefined {
  if (histogram.totalCount === 0) return undefined;
  // A percentile is the upper end of its class of values, which may lie above the largest value itself.
  const at = (percentile: number): number =>
    Math.min(histogram.getValueAtPercentile(percentile), histogram.maxValue) / 1000;
  return {
    count: histogram.totalCount,
    mean: histogram.mean / 1000,
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p99_9: at(99.9),
    p99_99: at(99.99),
    max: histogram.maxValue / 1000,
  };
}
