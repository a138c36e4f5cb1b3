import type { LatencySummary } from './latency-recorder.js';
import type { LoadResult } from './load-result.js';
import { formatBytes, formatCount, formatMs, formatShare } from './measures.js';

/** The result as text: what was done, how fast, how late, what was refused, and the proof. */
export function textReport(result: LoadResult): string {
  return [
    section('run', describeRun(result)),
    section('throughput', describeRates(result)),
    latencyTable(result),
    section('cores', describeCores(result)),
    section('faults', describeFaults(result)),
    section(
      'refused',
      Object.entries(result.refused).map(
        ([reason, count]) => `${formatCount(count)} × ${reason.replace('|', ' ')}`,
      ),
    ),
    section(
      'errors',
      Object.entries(result.errors).map(([message, count]) => `${formatCount(count)} × ${message}`),
    ),
    proofText(result),
  ]
    .filter((text) => text !== '')
    .join('\n');
}

const LABEL_WIDTH = 14;

function section(label: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return lines.map((line, index) => `${(index === 0 ? label : '').padEnd(LABEL_WIDTH)}${line}\n`).join('');
}

/** One or two lines in words: the plan, as it was carried out. */
export function describeRun(result: LoadResult): string[] {
  const { plan, map, duration_ms, interrupted } = result;
  const how = plan.rest
    ? `${plan.producers} connections, POST`
    : `${plan.producers} ${plan.producers === 1 ? 'producer' : 'producers'}`;
  const pace =
    plan.rate === undefined
      ? 'as fast as acknowledged'
      : `${formatCount(plan.rate)} samples/s (${plan.rest ? 'each second’s at its start' : 'open model'})`;
  const reserved = plan.reserveShare > 0 ? `, ${formatShare(plan.reserveShare)} reserved and submitted` : '';
  return [
    `${how}, ${plan.frameSamples} × ${plan.sampleSize} bytes a frame, ${pace}${reserved}`,
    `map ${plan.map}, ${formatBytes(map.max_entries)} ring, ${map.durability}; ${formatMs(duration_ms)}${interrupted ? ', interrupted' : ''}`,
  ];
}

/** What was sent and became of it. */
export function describeRates({ samples, rates, frames }: LoadResult): string[] {
  const lines = [
    `${formatCount(samples.acknowledged)} samples acknowledged, ${formatCount(rates.samples_per_s)}/s, ${formatBytes(rates.payload_bytes_per_s)}/s of payload`,
    `${formatCount(frames)} frames, ${formatCount(rates.frames_per_s)}/s`,
  ];
  if (samples.missed > 0)
    lines.push(
      `${formatCount(samples.missed)} of ${formatCount(samples.offered)} samples were due and never sent: their producers had to wait`,
    );
  if (samples.failed > 0) lines.push(`${formatCount(samples.failed)} samples were refused for good`);
  if (samples.uncertain > 0)
    lines.push(
      `${formatCount(samples.uncertain)} samples have an unknown outcome: their connection ended, or the time was over, before the answer came`,
    );
  return lines;
}

/** The columns of every latency table. */
export const latencyColumns: readonly {
  readonly label: string;
  readonly of: (latency: LatencySummary) => number;
}[] = [
  { label: 'p50', of: ({ p50 }) => p50 },
  { label: 'p90', of: ({ p90 }) => p90 },
  { label: 'p99', of: ({ p99 }) => p99 },
  { label: 'p99.9', of: ({ p99_9 }) => p99_9 },
  { label: 'p99.99', of: ({ p99_99 }) => p99_99 },
  { label: 'max', of: ({ max }) => max },
];

/** The rows of every latency table. */
export function latencyRows({ plan, latency_ms }: LoadResult): { label: string; latency: LatencySummary }[] {
  const rows = [
    { label: plan.rest ? 'to 200' : 'to ACK', latency: latency_ms.acknowledged },
    { label: 'to drained', latency: latency_ms.drained },
  ];
  return rows.flatMap(({ label, latency }) => (latency === null ? [] : [{ label, latency }]));
}

function latencyTable(result: LoadResult): string {
  const rows = latencyRows(result);
  if (rows.length === 0) return '';
  const head = latencyColumns.map(({ label }) => label.padStart(10)).join('');
  const lines = rows.map(({ label, latency }) => {
    const cells = latencyColumns.map(({ of }) => formatMs(of(latency)).padStart(10)).join('');
    return `${'  ' + label}`.padEnd(LABEL_WIDTH) + cells + '\n';
  });
  return `${'latency'.padEnd(LABEL_WIDTH)}${head}\n${lines.join('')}`;
}

/** Who was busy: the limit is the side that used up a core. */
export function describeCores({ cores }: LoadResult): string[] {
  const share = (value: number | null): string => (value === null ? 'unknown' : formatShare(value));
  const isTester = cores.load_tester > BUSY && (cores.daemon ?? 0) < cores.load_tester;
  const hint = isTester ? ': the tester may be the limit, start several' : '';
  return [`load tester ${share(cores.load_tester)} of a core, daemon ${share(cores.daemon)}${hint}`];
}

const BUSY = 0.9;

/** Nothing for a run without faults. */
export function describeFaults({ faults, plan }: LoadResult): string[] {
  const parts = [
    plan.cutMs !== undefined && `${formatCount(faults.cuts)} connections cut`,
    faults.reconnects > 0 && `${formatCount(faults.reconnects)} reconnects`,
    plan.stallMs !== undefined && `${formatCount(faults.stalls)} stalls of ${formatMs(plan.stallMs)}`,
    plan.slowReaders > 0 &&
      `slow readers: ${plan.slowReaders}, closed with 4408: ${formatCount(faults.slow_closes)}`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? [] : [parts.join(', ')];
}

function proofText({ proof }: LoadResult): string {
  const checks = proof.checks.map(
    ({ what, isTrue, figures }) => `${isTrue ? '  ok  ' : '  FAIL'} ${what}: ${figures}\n`,
  );
  return `${checks.join('')}${proof.isProven ? 'PROVEN' : 'NOT PROVEN'}\n`;
}
