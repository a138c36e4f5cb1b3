import { hasNetworkForm, NetworkReplay } from './network-replay.js';
import type { Difference, Replay } from './outcome.js';
import { Progress } from './progress.js';
import { replayOnRing } from './ring-replay.js';
import type { Trace } from './trace.js';

/** What became of one trace. */
export interface TraceResult {
  trace: Trace;
  ring: Replay;
  /** Absent where it was not replayed over the network. */
  network?: Replay;
  /** In the order ring, network. */
  differences: Difference[];
}

export interface Counts {
  traces: number;
  failed: number;
  operations: number;
  /** Operations that answered as on the kernel wherever they were replayed, and before any difference. */
  identical: number;
}

/** Replays traces on `src/ring` and, unless told otherwise, through a daemon started for it. */
export async function replayTraces(
  traces: readonly Trace[],
  { ringOnly = false }: { ringOnly?: boolean } = {},
): Promise<TraceResult[]> {
  const progress = new Progress('traces on src/ring', traces.length);
  const ring = traces.map((trace) => {
    progress.step();
    return replayOnRing(trace);
  });
  progress.end();
  const network = ringOnly
    ? new Map<Trace, Replay>()
    : await replayOverNetwork(traces.filter(hasNetworkForm));
  return traces.map((trace, i) => {
    const replays = [ring[i]!, ...[network.get(trace)].filter((replay) => replay !== undefined)];
    return {
      trace,
      ring: replays[0]!,
      ...(replays[1] && { network: replays[1] }),
      differences: replays.flatMap(({ difference }) => difference ?? []),
    };
  });
}

async function replayOverNetwork(traces: readonly Trace[]): Promise<Map<Trace, Replay>> {
  const progress = new Progress('traces over the network', traces.length);
  const daemon = await NetworkReplay.start();
  try {
    const replays = await daemon.replay(traces, () => progress.step());
    return new Map(traces.map((trace, i) => [trace, replays[i]!]));
  } finally {
    progress.end();
    await daemon.close();
  }
}

export function countResults(results: readonly TraceResult[]): Counts {
  const counts: Counts = { traces: results.length, failed: 0, operations: 0, identical: 0 };
  for (const { ring, network, differences } of results) {
    if (differences.length > 0) counts.failed++;
    counts.operations += ring.ops;
    counts.identical += Math.min(ring.identical, network?.identical ?? ring.ops);
  }
  return counts;
}

/** The line that README.md shows. */
export function describeCounts({ operations, identical }: Counts, kernel: string): string {
  const number = new Intl.NumberFormat('en-US');
  return `${number.format(operations)} operations recorded on ${kernel}, ${number.format(identical)} identical`;
}
