/** How much of its time a `synced` map spends in the disk's sync, which is all that it is to be limited by. */
import type { GroupContext } from '../measure/group.js';
import { median } from '../measure/statistics.js';
import { journalUse, startRingbufd, type RingbufdContender } from '../peers/ringbufd.js';
import { cpuSeconds } from '../peers/server.js';
import { atLeast, type Cell, type Row, type Table, type Target } from '../report/results.js';
import { startProducers, type Producers } from './producers.js';
import { flowOf, type Shape } from './protocol.js';

/** What ordinary disks need for a sync. Unit: ms. */
const SLOWER_MS = 5;

interface Disk {
  readonly name: string;
  readonly nodeFlags: readonly string[];
}

const OWN: Disk = { name: "this machine's disk", nodeFlags: [] };
const SLOWER: Disk = {
  name: `a disk that needs ${SLOWER_MS} ms more`,
  nodeFlags: ['--import', new URL(`../peers/slower-disk.mjs?ms=${SLOWER_MS}`, import.meta.url).href],
};

const COLUMNS = [
  { key: 'share', title: 'share of the time', digits: 2 },
  { key: 'sync', title: 'ms a sync', digits: 2 },
  { key: 'between', title: 'ms between two', digits: 2 },
  { key: 'frames', title: 'frames a sync', digits: 1 },
  { key: 'rate', title: 'M samples/s', digits: 3 },
  { key: 'server', title: 'server, % of a core', digits: 0 },
] as const;

type Measured = Record<(typeof COLUMNS)[number]['key'], number>;

/** @param seconds that one try takes */
export async function measureSyncs(
  shape: Shape,
  seconds: number,
  { tries, progress }: GroupContext,
): Promise<{ table: Table; targets: Target[] }> {
  const rows: Row[] = [];
  const targets: Target[] = [];
  for (const disk of [OWN, SLOWER]) {
    progress(`websocket: syncs on ${disk.name}`);
    const measured = await measureDisk(disk, shape, seconds, tries);
    const cells = COLUMNS.map(({ key }): [string, Cell] => [
      key,
      { values: measured.map((one) => one[key]) },
    ]);
    rows.push({ name: disk.name, cells: Object.fromEntries(cells) });
    if (disk === SLOWER)
      targets.push(
        atLeast(
          `64 B in 64 KiB frames, \`synced\`, a sync of ${SLOWER_MS} ms: share of the time in it`,
          0.8,
          median(measured.map(({ share }) => share)),
        ),
      );
  }
  const title = 'A synced map in the sync of its disk: one producer, 64 B, 64 KiB frames';
  return { table: { key: 'syncs', title, columns: COLUMNS, rows }, targets };
}

/** Try 0 warms up and is not kept. */
async function measureDisk(
  { nodeFlags }: Disk,
  shape: Shape,
  seconds: number,
  tries: number,
): Promise<Measured[]> {
  const contender = await startRingbufd('synced', nodeFlags);
  if ('absent' in contender) throw new Error(contender.absent);
  const client = startProducers();
  const measured: Measured[] = [];
  try {
    for (let number = 0; number <= tries; number++) {
      const once = await measureOnce(contender, client, shape, seconds);
      if (number > 0) measured.push(once);
    }
  } finally {
    await client.stop();
    await contender.stop();
  }
  return measured;
}

async function measureOnce(
  contender: RingbufdContender,
  client: Producers,
  shape: Shape,
  seconds: number,
): Promise<Measured> {
  const { link, port, target, server } = contender;
  const flow = flowOf(contender, shape);
  const [before, cpuBefore] = [await journalUse(server, target), cpuSeconds(server.pid)];
  const done = await client.run({ link, port, target, producers: 1, shape, flow, seconds });
  const [after, cpuAfter] = [await journalUse(server, target), cpuSeconds(server.pid)];
  const samples = done.messages * shape.samplesPerMessage;
  await contender.settle(samples, done.messages);
  const syncs = after.syncs - before.syncs;
  const inSync = after.syncSeconds - before.syncSeconds;
  return {
    share: inSync / done.seconds,
    sync: (inSync / syncs) * 1000,
    between: ((done.seconds - inSync) / syncs) * 1000,
    frames: done.messages / syncs,
    rate: samples / done.seconds / 1e6,
    server: ((cpuAfter - cpuBefore) / done.seconds) * 100,
  };
}
