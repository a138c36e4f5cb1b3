import type { PercentilePoint } from './latency-recorder.js';
import type { LoadResult } from './load-result.js';
import { formatCount, formatMs, formatShare } from './measures.js';
import { svgChart, type Chart, type ChartBand, type ChartSeries } from './svg-chart.js';
import { boundedScale, linearScale, logScale, ninesScale, type Scale } from './svg-scale.js';

/** The charts of a report, as HTML: latency by percentile, then throughput, fill and latency over time. */
export function reportCharts(result: LoadResult): string {
  const charts = [percentileChart(result), ...(result.timeline.length > 1 ? timeCharts(result) : [])];
  return charts.map((chart) => (chart === undefined ? '' : svgChart(chart))).join('\n');
}

function percentileChart({ percentiles, plan }: LoadResult): Chart | undefined {
  const { acknowledged, drained } = percentiles;
  const all = [...acknowledged, ...drained];
  if (all.length === 0) return undefined;
  const series = (label: string, style: 's1' | 's2', points: readonly PercentilePoint[]): ChartSeries => ({
    label,
    style,
    points: points.map(({ percent, ms }) => ({
      x: percent,
      y: ms,
      title: `${label}: ${Number(percent.toFixed(4))} % within ${formatMs(ms)}`,
    })),
  });
  return {
    title: 'Latency by percentile',
    note:
      plan.rate === undefined
        ? 'from sending to the answer'
        : 'from the time a frame was due, sent late or not',
    x: ninesScale(Math.max(...all.map(({ percent }) => percent))),
    y: latencyScale(all.map(({ ms }) => ms)),
    series: [
      series('acknowledged', 's1', acknowledged),
      ...(drained.length === 0 ? [] : [series('drained', 's2', drained)]),
    ],
  };
}

function timeCharts({ timeline, faults, map }: LoadResult): Chart[] {
  const x = boundedScale(timeline.at(-1)!.atMs, formatSeconds);
  const bands: ChartBand[] = [
    ...faults.marks
      .filter(({ kind }) => kind === 'stall')
      .map(({ fromMs, toMs }) => ({
        from: fromMs,
        to: toMs,
        style: 'stall' as const,
        title: `drain stalled for ${formatMs(toMs - fromMs)}`,
      })),
    ...timeline.flatMap(({ atMs, isReachable }, index) =>
      isReachable
        ? []
        : [
            {
              from: timeline[index - 1]?.atMs ?? 0,
              to: atMs,
              style: 'away' as const,
              title: `no answer from the daemon at ${formatSeconds(atMs)}`,
            },
          ],
    ),
  ];
  const marks = faults.marks
    .filter(({ kind }) => kind === 'cut')
    .map(({ fromMs }) => ({ x: fromMs, title: `a connection was cut at ${formatSeconds(fromMs)}` }));
  const over = (
    label: string,
    style: 's1' | 's2',
    value: (point: LoadResult['timeline'][number]) => number | undefined,
    format: (value: number) => string,
    isFilled = false,
  ): ChartSeries => ({
    label,
    style,
    isFilled,
    points: timeline.map((point) => {
      const y = value(point);
      const shown = y === undefined ? '' : `${label}: ${format(y)} at ${formatSeconds(point.atMs)}`;
      return { x: point.atMs, y, title: shown };
    }),
  });
  const rate = (value: number): string => `${formatCount(value)}/s`;
  const rates = timeline.flatMap(({ acknowledgedPerS, drainedPerS = 0 }) => [acknowledgedPerS, drainedPerS]);
  const latencies = timeline.flatMap(({ latency }) =>
    latency === undefined ? [] : [latency.p50, latency.p99],
  );
  return [
    {
      title: 'Throughput',
      note: 'samples a second',
      x,
      y: linearScale(Math.max(...rates), formatCompact),
      series: [
        over('acknowledged', 's1', ({ acknowledgedPerS }) => acknowledgedPerS, rate),
        over('drained', 's2', ({ drainedPerS }) => drainedPerS, rate),
      ],
      bands,
      marks,
    },
    {
      title: 'Fill of the ring',
      note: `share of ${formatCount(map.max_entries)} bytes, at the moment of looking`,
      x,
      y: {
        at: (value) => value,
        ticks: [0, 0.25, 0.5, 0.75, 1].map((value) => ({ value, label: formatShare(value) })),
      },
      series: [over('fill', 's1', ({ fill }) => fill, formatShare, true)],
      bands,
      marks,
    },
    ...(latencies.length === 0
      ? []
      : [
          {
            title: 'Latency over time',
            note: 'to the acknowledgement, of each interval',
            x,
            y: latencyScale(latencies),
            series: [
              over('p50', 's1', ({ latency }) => latency?.p50, formatMs),
              over('p99', 's2', ({ latency }) => latency?.p99, formatMs),
            ],
            bands,
            marks,
          },
        ]),
  ];
}

function latencyScale(values: readonly number[]): Scale {
  return logScale(Math.min(...values), Math.max(...values), formatMs);
}

function formatSeconds(ms: number): string {
  return `${Number((ms / 1000).toFixed(1))} s`;
}

function formatCompact(value: number): string {
  return new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 }).format(value);
}
