/** Latencies, beside a bare ws echo and bare socket writes. */
import type { Group, GroupContext } from '../measure/group.js';
import { median, ratioOf } from '../measure/statistics.js';
import { startDaemon } from '../peers/ringbufd.js';
import {
  atMost,
  type Cell,
  type Column,
  type GroupResult,
  type Row,
  type Target,
} from '../report/results.js';
import { measureSampleLatency, SAMPLE_BYTES } from './daemon-latency.js';
import { measureEcho, measureSocketWrites, startEcho } from './echo.js';
import { Latencies, type Percentiles } from './histogram.js';
import type { Load, Spread } from './load.js';
import { measureWakeups } from './wakeup-latency.js';

const RATE = 1000;
const SECONDS = { quick: 0.5, full: 2 };
/** OUTPUT frame of one sample: header, record. */
const FRAME_BYTES = 16 + 8 + SAMPLE_BYTES;
const WAITERS = [1, 32, 1000] as const;
const ROUNDS: Record<(typeof WAITERS)[number], { quick: number; full: number }> = {
  1: { quick: 20, full: 100 },
  32: { quick: 20, full: 100 },
  1000: { quick: 3, full: 10 },
};

export const latency: Group = { name: 'latency', run };

interface SampleTries {
  acked: Percentiles[];
  drained: Percentiles[];
  echo: Percentiles[];
}

/** By number of waiters. */
const WOKEN_NOTE = 'rounds in which nobody resends before all are woken, as nobody answers the bare writes';
const ACCEPTED_NOTE = 'other rounds, in which each one resends the moment it is woken';

type WakeupTries = Map<number, { woken: Spread[][]; accepted: Spread[][]; writes: Spread[][] }>;

async function run({ quick, tries, progress }: GroupContext): Promise<GroupResult> {
  const daemon = await startDaemon();
  const echo = await startEcho();
  const load: Load = { rate: RATE, seconds: SECONDS[quick ? 'quick' : 'full'] };
  const samples: SampleTries = { acked: [], drained: [], echo: [] };
  const wakeups: WakeupTries = new Map(
    WAITERS.map((count) => [count, { woken: [], accepted: [], writes: [] }]),
  );
  try {
    // Try 0 warms up and is not kept.
    for (let number = 0; number <= tries; number++) {
      progress(`latency: try ${number} of ${tries}`);
      const { acked, drained } = await measureSampleLatency(daemon, `sample-${number}`, load);
      const echoed = await measureEcho(echo, FRAME_BYTES, load);
      if (number > 0) {
        samples.acked.push(acked.percentiles);
        samples.drained.push(drained.percentiles);
        samples.echo.push(echoed.percentiles);
      }
      for (const count of WAITERS) {
        const rounds = ROUNDS[count][quick ? 'quick' : 'full'];
        const measured = await measureWakeups(daemon, `wake-${count}-${number}`, count, rounds);
        const writes = await measureSocketWrites(echo, count, rounds);
        if (number === 0) continue;
        const kept = wakeups.get(count)!;
        kept.woken.push([...measured.woken]);
        kept.accepted.push([...measured.accepted]);
        kept.writes.push(writes);
      }
    }
  } finally {
    await daemon.stop();
    await echo.stop();
  }
  return {
    group: 'latency',
    tables: [
      {
        key: 'latency-sample',
        title: `One sample at a time, ${RATE} a second (open model): microseconds`,
        columns: percentileColumns,
        rows: [
          percentileRow('sample → ACK', samples.acked),
          percentileRow('sample → drained (WAKEUP read)', samples.drained),
          percentileRow('bare ws echo', samples.echo),
        ],
      },
      {
        key: 'latency-wakeup',
        title: 'A drain over REST → waiters that had found the ring full: milliseconds',
        columns: [
          { key: 'p50', title: 'last, p50', digits: 2 },
          { key: 'p99', title: 'last, p99', digits: 2 },
          { key: 'first', title: 'first, median', digits: 2 },
          { key: 'median', title: 'middle, median', digits: 2 },
          { key: 'last', title: 'last, median', digits: 2 },
        ],
        rows: [...wakeups].flatMap(([count, { woken, accepted, writes }]) => [
          { ...spreadRow(`${count} waiting: WAKEUP read`, woken), ...(count === 1 && { note: WOKEN_NOTE }) },
          {
            ...spreadRow(`${count} waiting: accepted after resending`, accepted),
            ...(count === 1 && { note: ACCEPTED_NOTE }),
          },
          spreadRow(`${count} bare socket writes`, writes),
        ]),
      },
    ],
    targets: [...sampleTargets(samples), ...wakeupTargets(wakeups)],
    skipped: [],
  };
}

const percentileColumns: readonly Column[] = [
  { key: 'p50', title: 'p50', digits: 0 },
  { key: 'p99', title: 'p99', digits: 0 },
  { key: 'p999', title: 'p99.9', digits: 0 },
];

function percentileRow(name: string, tries: readonly Percentiles[]): Row {
  const cell = (key: keyof Percentiles): Cell => ({ values: tries.map((one) => one[key]) });
  return { name, cells: { p50: cell('p50'), p99: cell('p99'), p999: cell('p999') } };
}

/** Percentiles over the rounds of a try, of the last one reached; and its medians. */
function spreadRow(name: string, tries: readonly (readonly Spread[])[]): Row {
  const of = (key: keyof Spread): Cell => ({
    values: tries.map((rounds) => median(rounds.map((round) => round[key]))),
  });
  const percentile = (key: 'p50' | 'p99'): Cell => ({
    values: tries.map((rounds) => lastPercentiles(rounds)[key] / 1000),
  });
  return {
    name,
    cells: {
      p50: percentile('p50'),
      p99: percentile('p99'),
      first: of('first'),
      median: of('median'),
      last: of('last'),
    },
  };
}

function lastPercentiles(rounds: readonly Spread[]): Percentiles {
  const latencies = new Latencies();
  for (const { last } of rounds) latencies.record(last);
  return latencies.percentiles;
}

function sampleTargets({ acked, echo }: SampleTries): Target[] {
  const ratio = ratioOf(
    acked.map(({ p50 }) => p50),
    echo.map(({ p50 }) => p50),
  );
  return [atMost('sample → ACK, p50: times the bare ws echo', 1.3, ratio)];
}

function wakeupTargets(wakeups: WakeupTries): Target[] {
  const targets: Target[] = [];
  for (const count of [1, 32] as const) {
    const p99 = median(wakeups.get(count)!.woken.map((rounds) => lastPercentiles(rounds).p99 / 1000));
    targets.push(atMost(`drain → last WAKEUP, ${count} waiting, p99 in ms`, 2, p99));
  }
  const { woken, writes } = wakeups.get(1000)!;
  const last = (tries: readonly (readonly Spread[])[]): number[] =>
    tries.map((rounds) => median(rounds.map((round) => round.last)));
  targets.push(
    atMost(
      'drain → last WAKEUP, 1,000 waiting: times 1,000 bare socket writes',
      1.5,
      ratioOf(last(woken), last(writes)),
    ),
  );
  return targets;
}
