import { VERSION } from '../../version.js';
import type { MapView } from './daemon-rest.js';
import type { FaultMark } from './faults.js';
import type { LatencySummary, PercentilePoint } from './latency-recorder.js';
import type { LoadBooks } from './load-books.js';
import type { LoadPlan } from './load-plan.js';
import type { Proof } from './proof.js';
import type { TimelinePoint } from './timeline.js';

/** Everything that a run found out: what `--json` prints, and what table and report are made of. */
export interface LoadResult {
  readonly version: string;
  /** ISO date-time. */
  readonly started_at: string;
  /** Time in which samples were sent, ms. */
  readonly duration_ms: number;
  readonly plan: Omit<LoadPlan, 'token'>;
  readonly map: { readonly max_entries: number; readonly durability: string; readonly created: boolean };
  readonly samples: {
    readonly offered: number;
    readonly acknowledged: number;
    readonly uncertain: number;
    readonly failed: number;
    /** Due and never sent. */
    readonly missed: number;
  };
  readonly frames: number;
  readonly rates: {
    readonly samples_per_s: number;
    readonly payload_bytes_per_s: number;
    readonly frames_per_s: number;
  };
  /** Milliseconds; null: nothing was measured. */
  readonly latency_ms: {
    readonly acknowledged: LatencySummary | null;
    readonly drained: LatencySummary | null;
  };
  /** Refusals of the map during the run by "errno|reason". */
  readonly refused: Readonly<Record<string, number>>;
  /** Processor time used, as a share of one core. */
  readonly cores: { readonly load_tester: number; readonly daemon: number | null };
  readonly faults: {
    readonly cuts: number;
    readonly stalls: number;
    readonly reconnects: number;
    readonly slow_closes: number;
    readonly marks: readonly FaultMark[];
  };
  readonly errors: Readonly<Record<string, number>>;
  readonly interrupted: boolean;
  readonly proof: Proof;
  readonly percentiles: {
    readonly acknowledged: readonly PercentilePoint[];
    readonly drained: readonly PercentilePoint[];
  };
  readonly timeline: readonly TimelinePoint[];
}

export interface LoadFindings {
  readonly plan: LoadPlan;
  readonly books: LoadBooks;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly before: MapView;
  readonly after: MapView | undefined;
  readonly isCreated: boolean;
  readonly proof: Proof;
  readonly marks: readonly FaultMark[];
  readonly timeline: readonly TimelinePoint[];
  readonly cores: LoadResult['cores'];
  readonly isInterrupted: boolean;
}

export function loadResult(findings: LoadFindings): LoadResult {
  const { plan, books, durationMs, before, after } = findings;
  // A token has no business in a report.
  const { token: _token, ...shownPlan } = plan;
  const seconds = Math.max(durationMs, 1) / 1000;
  return {
    version: VERSION,
    started_at: findings.startedAt.toISOString(),
    duration_ms: Math.round(durationMs),
    plan: shownPlan,
    map: { max_entries: before.max_entries, durability: before.durability, created: findings.isCreated },
    samples: {
      offered: books.offered,
      acknowledged: books.acknowledged,
      uncertain: books.uncertain,
      failed: books.failed,
      missed: books.missed,
    },
    frames: books.frames,
    rates: {
      samples_per_s: books.acknowledged / seconds,
      payload_bytes_per_s: (books.acknowledged * plan.sampleSize) / seconds,
      frames_per_s: books.frames / seconds,
    },
    latency_ms: {
      acknowledged: books.acknowledge.summary() ?? null,
      drained: books.drain.summary() ?? null,
    },
    refused: refusedSince(before, after),
    cores: findings.cores,
    faults: {
      cuts: books.cuts,
      stalls: books.stalls,
      reconnects: books.reconnects,
      slow_closes: books.slowCloses,
      marks: findings.marks,
    },
    errors: Object.fromEntries(books.errors),
    interrupted: findings.isInterrupted,
    proof: findings.proof,
    percentiles: { acknowledged: books.acknowledge.curve(), drained: books.drain.curve() },
    timeline: findings.timeline,
  };
}

function refusedSince(before: MapView, after: MapView | undefined): Record<string, number> {
  const since: Record<string, number> = {};
  for (const [reason, count] of Object.entries(after?.counters.refused ?? {})) {
    const more = count - (before.counters.refused[reason] ?? 0);
    if (more > 0) since[reason] = more;
  }
  return since;
}
