/** docs/METRICS.md, made from the registry itself. */
import type { Registry } from 'prom-client';
import { refusalReasons } from './map-counters.js';
import { markdownTable } from './markdown-table.js';

/** A metric as the registry knows it. */
export interface MetricFacts {
  name: string;
  type: 'counter' | 'gauge' | 'histogram' | 'summary';
  help: string;
  labels: readonly string[];
  /** From the name's ending; empty for plain numbers of things. */
  unit: string;
}

/** The metrics of ringbufd itself, without those of the process (`process_`, `nodejs_`), in the order of their names. */
export function metricFacts(registry: Registry): MetricFacts[] {
  return registry
    .getMetricsAsArray()
    .filter(({ name }) => name.startsWith('ringbufd_'))
    .map((metric) => {
      const { labelNames = [] } = metric as unknown as { labelNames?: string[] };
      return {
        name: metric.name,
        type: metric.type as unknown as MetricFacts['type'],
        help: metric.help,
        labels: labelNames.filter((label) => label !== 'le'),
        unit: unitOf(metric.name),
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function unitOf(name: string): string {
  return /_(bytes|seconds|ratio)(_total)?$/.exec(name)?.[1] ?? '';
}

/** The whole page, as the formatter leaves it alone. */
export function metricsReference(registry: Registry): string {
  const metrics = metricFacts(registry).map(({ name, type, labels, unit, help }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(', '),
    unit,
    help,
  ]);
  const reasons = Object.entries(refusalReasons).map(([reason, meaning]) => [`\`${reason}\``, meaning]);
  return [
    '# Metrics',
    '<!-- Generated: UPDATE_DOCS=1 npx vitest run test/docs -->',
    '`GET /metrics` is Prometheus text, `GET /v1/metrics` the same numbers as JSON. Beside the metrics below there are those of the process (`process_*`, `nodejs_*`).',
    'Looking at metrics changes nothing. Series of a map, and of a handler, go when it is deleted. The labels `map` and `handler` are names that operators gave, bounded by `limits.max_maps` and `limits.max_handlers_per_map`; all other labels come from closed lists.',
    'Of a managed map, at any time: `samples_accepted = samples_drained + samples_discarded + samples_dead_lettered + samples_quarantined + samples_buffered`, and `accepted_bytes = released_bytes + ring_used_bytes`. [LEDGER.md](LEDGER.md) says how that is proven, producer by producer.',
    markdownTable(['name', 'type', 'labels', 'unit', 'meaning'], metrics),
    '## Why a map refused something',
    'The `reason` of `ringbufd_refused_total`; `errno` beside it is the one that the caller was told. The `reason` of `ringbufd_requests_refused_total` is an error code of [ERRORS.md](ERRORS.md) in lower case, without its prefix.',
    markdownTable(['reason', 'what was refused or dropped'], reasons),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}
