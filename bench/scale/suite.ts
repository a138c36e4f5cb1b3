/** How costs grow with the number of producers, the number of maps and the size of a ring. */
import type { Group, GroupContext } from '../measure/group.js';
import type { RunningDaemon } from '../peers/ringbufd.js';
import { atMost, type GroupResult, type Row, type Table } from '../report/results.js';
import { startProducers, type Producers } from '../websocket/producers.js';
import { costPerSample, startWithMaps, startWithRing } from './growth.js';
import { measureIdleProducers, type IdleProducers } from './idle-producers.js';
import { residentBytes } from './memory.js';
import { measureRest } from './rest.js';

const IDLE = { quick: 1000, full: 10_000 };
const MAPS = { quick: [1, 100], full: [1, 100, 1000] };
const RINGS = { quick: [1 << 16, 1 << 24], full: [1 << 16, 1 << 20, 1 << 24, 1 << 30] };
const SECONDS = { quick: 0.3, full: 0.5 };
const IDLE_TARGET_KIB = 15;

/** Something to compare: a daemon of its own. */
interface Variant {
  readonly name: string;
  readonly daemon: RunningDaemon;
  readonly target: string;
  /** Nanoseconds a sample, a value a try. */
  readonly costs: number[];
}

export const scale: Group = { name: 'scale', run };

async function run({ quick, tries, progress }: GroupContext): Promise<GroupResult> {
  const length = quick ? 'quick' : 'full';
  progress(`scale: ${IDLE[length]} idle producers`);
  const idle = await measureIdleProducers(IDLE[length], quick);
  const producers = startProducers();
  try {
    progress('scale: maps');
    const maps = await compare(
      await Promise.all(
        MAPS[length].map(async (count) =>
          named(`${count.toLocaleString('en-US')} maps`, await startWithMaps(count)),
        ),
      ),
      producers,
      SECONDS[length],
      tries,
    );
    progress('scale: rings');
    const rings = await compare(
      await Promise.all(
        RINGS[length].map(async (bytes) => named(`a ring of ${sizeName(bytes)}`, await startWithRing(bytes))),
      ),
      producers,
      SECONDS[length],
      tries,
    );
    progress('scale: REST');
    const rest = await measureRest(quick);
    return {
      group: 'scale',
      tables: [idleTable(idle), costTable([...maps, ...rings]), rest],
      targets: [atMost('an idle producer: KiB of resident memory', IDLE_TARGET_KIB, idle.kibEach, 1)],
      skipped: [],
    };
  } finally {
    await producers.stop();
  }
}

function named(name: string, started: { daemon: RunningDaemon; target: string }): Variant {
  return { name, ...started, costs: [] };
}

/** Measures each variant in turn, then stops their daemons. */
async function compare(
  variants: readonly Variant[],
  producers: Producers,
  seconds: number,
  tries: number,
): Promise<Row[]> {
  try {
    // Try 0 warms up and is not kept.
    for (let number = 0; number <= tries; number++)
      for (const { daemon, target, costs } of variants) {
        const cost = await costPerSample(daemon, producers, target, seconds);
        if (number > 0) costs.push(cost);
      }
    return variants.map(({ name, daemon, costs }) => ({
      name,
      cells: { cost: { values: costs }, memory: { values: [residentBytes(daemon.pid) / 2 ** 20] } },
    }));
  } finally {
    await Promise.all(variants.map(({ daemon }) => daemon.stop()));
  }
}

function idleTable({ producers, kibEach, cpuPercent }: IdleProducers): Table {
  return {
    key: 'scale-idle',
    title: 'Producers that are connected and send nothing',
    columns: [
      { key: 'kib', title: 'KiB each', digits: 1 },
      { key: 'cpu', title: 'all together, % of a core', digits: 1 },
    ],
    rows: [
      {
        name: `${producers.toLocaleString('en-US')} producers`,
        cells: { kib: { values: [kibEach] }, cpu: { values: [cpuPercent] } },
      },
    ],
  };
}

function costTable(rows: readonly Row[]): Table {
  return {
    key: 'scale-cost',
    title: 'What a 64-byte sample costs the daemon, in 4 KiB frames, acknowledged and drained',
    columns: [
      { key: 'cost', title: 'ns of processor time', digits: 0 },
      { key: 'memory', title: 'resident MiB', digits: 0 },
    ],
    rows,
  };
}

function sizeName(bytes: number): string {
  return bytes >= 2 ** 30
    ? `${bytes / 2 ** 30} GiB`
    : bytes >= 2 ** 20
      ? `${bytes / 2 ** 20} MiB`
      : `${bytes / 1024} KiB`;
}
