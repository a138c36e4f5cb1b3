import type { LoadResult } from './load-result.js';
import { formatBytes, formatCount, formatMs, formatShare } from './measures.js';
import { reportCharts } from './report-charts.js';
import { reportStyle } from './report-style.js';
import { escapeHtml } from './svg-chart.js';
import {
  describeCores,
  describeFaults,
  describeRates,
  describeRun,
  latencyColumns,
  latencyRows,
} from './text-report.js';

/** The result as one HTML file that needs nothing else: no script, no font, no image from anywhere. */
export function htmlReport(result: LoadResult): string {
  const { proof, started_at, version, plan } = result;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ringbufd load: ${escapeHtml(plan.map)}, ${proof.isProven ? 'PROVEN' : 'NOT PROVEN'}</title>
<style>${reportStyle}</style>
</head>
<body>
<main>
<header>
<h1>ringbufd load</h1>
<span class="verdict ${proof.isProven ? 'good' : 'bad'}">${proof.isProven ? 'PROVEN' : 'NOT PROVEN'}</span>
<p>${describeRun(result).map(escapeHtml).join('<br>')}<br>${escapeHtml(started_at)}, ringbufd ${escapeHtml(version)}</p>
</header>
<div class="tiles">${tiles(result)}</div>
<div class="charts">
${reportCharts(result)}
</div>
<div class="sections">
${proofSection(result)}
${latencySection(result)}
${listSection('What was sent', [...describeRates(result), ...describeCores(result), ...describeFaults(result)])}
${listSection(
  'Refused by the map',
  Object.entries(result.refused).map(
    ([reason, count]) => `${formatCount(count)} × ${reason.replace('|', ' ')}`,
  ),
)}
${listSection(
  'Errors',
  Object.entries(result.errors).map(([message, count]) => `${formatCount(count)} × ${message}`),
)}
</div>
</main>
</body>
</html>
`;
}

function tiles({ rates, latency_ms, timeline, samples }: LoadResult): string {
  const fills = timeline.flatMap(({ fill }) => (fill === undefined ? [] : [fill]));
  const { acknowledged } = latency_ms;
  const shown: [string, string][] = [
    [`${formatCount(rates.samples_per_s)}/s`, 'samples acknowledged'],
    [`${formatBytes(rates.payload_bytes_per_s)}/s`, 'payload'],
    [formatCount(samples.acknowledged), 'samples in all'],
    ...(acknowledged === null
      ? []
      : ([
          [formatMs(acknowledged.p50), 'latency p50'],
          [formatMs(acknowledged.p99), 'latency p99'],
        ] as [string, string][])),
    ...(fills.length === 0
      ? []
      : ([[formatShare(Math.max(...fills)), 'fullest ring seen']] as [string, string][])),
  ];
  return shown
    .map(([value, label]) => `<div><b>${escapeHtml(value)}</b><span>${escapeHtml(label)}</span></div>`)
    .join('');
}

function proofSection({ proof }: LoadResult): string {
  const items = proof.checks.map(
    ({ what, isTrue, figures }) =>
      `<li><b class="${isTrue ? 'good' : 'bad'}">${isTrue ? '✓' : '✗'}</b>${escapeHtml(what)}<small>${escapeHtml(figures)}</small></li>`,
  );
  return `<section><h2>Proof</h2><ul>${items.join('')}</ul></section>`;
}

function latencySection(result: LoadResult): string {
  const rows = latencyRows(result);
  if (rows.length === 0) return '';
  const head = latencyColumns.map(({ label }) => `<th>${label}</th>`).join('');
  const body = rows.map(({ label, latency }) => {
    const cells = latencyColumns.map(({ of }) => `<td>${formatMs(of(latency))}</td>`).join('');
    return `<tr><td>${label}</td>${cells}</tr>`;
  });
  return `<section><h2>Latency</h2><table><tr><th></th>${head}</tr>${body.join('')}</table></section>`;
}

function listSection(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `<section><h2>${title}</h2><ul>${lines.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul></section>`;
}
