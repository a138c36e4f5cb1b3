/** Throughput over the network: ringbufd beside a bare ws server and beside brokers, in turns. */
import type { Group, GroupContext } from '../measure/group.js';
import { median, ratioOf } from '../measure/statistics.js';
import type { Absent, Contender } from '../peers/contender.js';
import { startMosquitto } from '../peers/mosquitto.js';
import { startNats } from '../peers/nats.js';
import { startRedis } from '../peers/redis.js';
import { startRingbufd, startRingbufdForSdk } from '../peers/ringbufd.js';
import { cpuSeconds } from '../peers/server.js';
import { startSink } from '../peers/sink.js';
import { atLeast, type GroupResult, type Row, type Table, type Target } from '../report/results.js';
import { startProducers, type Producers } from './producers.js';
import { flowOf, type Shape } from './protocol.js';
import { measureSyncs } from './syncs.js';

/** A column: how many samples of which size travel together. */
interface Load extends Shape {
  readonly key: string;
  readonly title: string;
}

const SINGLE: Load = { key: 'single', title: '64 B, one a message', sampleBytes: 64, samplesPerMessage: 1 };
const FRAME_4K: Load = {
  key: 'frame4k',
  title: '64 B, 4 KiB frames',
  sampleBytes: 64,
  samplesPerMessage: 56,
};
const FRAME_64K: Load = {
  key: 'frame64k',
  title: '64 B, 64 KiB frames',
  sampleBytes: 64,
  samplesPerMessage: 909,
};
const LARGE_64K: Load = {
  key: 'large64k',
  title: '256 B, 64 KiB frames',
  sampleBytes: 256,
  samplesPerMessage: 248,
};
const LOADS: readonly Load[] = [SINGLE, FRAME_4K, FRAME_64K, LARGE_64K];

const SECONDS = { quick: 0.3, full: 0.5 };
/** The warm-up takes so many times as long: compilers take longer on a busy machine. */
const WARM_UP = { quick: 1, full: 3 };
const MEMORY = 'ringbufd, memory';
const WRITTEN = 'ringbufd, written';
const SINK = 'bare ws server';

/** Of one contender under one load, a value a try. */
interface Measured {
  /** Million samples a second. */
  rate: number[];
  /** The same for each second of processor time that the server used. */
  capacity: number[];
  /** Per cent of a core. */
  server: number[];
  client: number[];
}

type OneTry = { [Key in keyof Measured]: number };

type Results = Map<string, Map<string, Measured>>;

export const webSocket: Group = { name: 'websocket', run };

async function run(context: GroupContext): Promise<GroupResult> {
  const { quick, progress } = context;
  const started = [
    await startSink(),
    await startRingbufd('memory'),
    await startRingbufd('written'),
    await startRingbufd('synced'),
    await startRingbufdForSdk(),
    ...(await startNats()),
    await startRedis(),
    await startMosquitto(),
  ];
  const contenders = started.filter((one): one is Contender => !('absent' in one));
  const absent = started.filter((one): one is Absent => 'absent' in one);
  const clients = new Map(contenders.map((one): [string, Producers] => [one.name, startProducers()]));
  const tables: Table[] = [];
  const targets: Target[] = [];
  try {
    for (const producers of quick ? [1] : [1, 4]) {
      const results = await measure(contenders, clients, producers, context);
      tables.push(...rateTables(contenders, results, producers), busyTable(contenders, results, producers));
      if (producers === 1) targets.push(...targetsOf(results));
    }
  } finally {
    progress('websocket: stopping the servers');
    await Promise.all([...clients.values()].map((client) => client.stop()));
    await Promise.all(contenders.map((one) => one.stop()));
  }
  const syncs = await measureSyncs(FRAME_64K, quick ? SECONDS.quick : SECONDS.full, context);
  tables.push(syncs.table);
  targets.push(...syncs.targets);
  return {
    group: 'websocket',
    tables,
    targets,
    skipped: absent.map(({ name, absent: reason }) => `${name}: not available, ${reason}`),
  };
}

async function measure(
  contenders: readonly Contender[],
  clients: ReadonlyMap<string, Producers>,
  producers: number,
  { quick, tries, progress }: GroupContext,
): Promise<Results> {
  const results: Results = new Map();
  const loads = quick ? [SINGLE, FRAME_64K, LARGE_64K] : LOADS;
  const seconds = quick ? SECONDS.quick : SECONDS.full;
  // Try 0 warms up and is not kept.
  for (let number = 0; number <= tries; number++) {
    progress(`websocket: ${producers} producer${producers > 1 ? 's' : ''}, try ${number} of ${tries}`);
    for (const load of loads)
      for (const contender of contenders) {
        if (!takes(contender, load)) continue;
        const time = number === 0 ? WARM_UP[quick ? 'quick' : 'full'] * seconds : seconds;
        const measured = await measureOnce(contender, clients.get(contender.name)!, load, producers, time);
        if (number > 0) keep(results, contender.name, load.key, measured);
      }
  }
  return results;
}

/** A broker has no frames of samples: its messages are samples, or, in one extra column, packs of them. */
function takes(contender: Contender, load: Load): boolean {
  return contender.batches === 'frames' || load === SINGLE || load === FRAME_64K;
}

async function measureOnce(
  contender: Contender,
  client: Producers,
  load: Load,
  producers: number,
  seconds: number,
): Promise<OneTry> {
  const { link, port, target } = contender;
  const flow = flowOf(contender, load);
  const before = cpuSeconds(contender.server.pid);
  const done = await client.run({ link, port, target, producers, shape: load, flow, seconds });
  const used = cpuSeconds(contender.server.pid) - before;
  const samples = done.messages * load.samplesPerMessage;
  await contender.settle(samples, done.messages);
  return {
    rate: samples / done.seconds / 1e6,
    capacity: samples / used / 1e6,
    server: (used / done.seconds) * 100,
    client: (done.cpuSeconds / done.seconds) * 100,
  };
}

function keep(results: Results, contender: string, load: string, measured: OneTry): void {
  const loads = results.get(contender) ?? new Map<string, Measured>();
  results.set(contender, loads);
  const all = loads.get(load) ?? { rate: [], capacity: [], server: [], client: [] };
  loads.set(load, all);
  all.rate.push(measured.rate);
  all.capacity.push(measured.capacity);
  all.server.push(measured.server);
  all.client.push(measured.client);
}

function rateTables(contenders: readonly Contender[], results: Results, producers: number): Table[] {
  const table = (kind: 'rate' | 'capacity', key: string, title: string, hasNotes: boolean): Table => ({
    key,
    title,
    columns: LOADS.map((load) => ({ key: load.key, title: load.title, digits: 3 })),
    rows: contenders.map((one): Row => {
      const loads = [...(results.get(one.name) ?? [])];
      const cells = Object.fromEntries(loads.map(([load, measured]) => [load, { values: measured[kind] }]));
      return { name: one.name, cells, ...(hasNotes && { note: noteOf(one) }) };
    }),
  });
  return [
    table(
      'capacity',
      `capacity-${producers}`,
      `What a core of the server does, ${people(producers)}: million samples per second of processor time`,
      false,
    ),
    table(
      'rate',
      `websocket-${producers}`,
      `Over the network, ${people(producers)}: million samples a second`,
      true,
    ),
  ];
}

function noteOf({ batches, setting }: Contender): string {
  return batches === 'packed' ? `${setting}. In 64 KiB: samples packed into one message` : setting;
}

function busyTable(contenders: readonly Contender[], results: Results, producers: number): Table {
  const rows = contenders.map((one): Row => {
    const loads = [...(results.get(one.name) ?? [])];
    const cells = loads.flatMap(([load, { server, client }]) => [
      [`${load}-server`, { values: [median(server)] }],
      [`${load}-client`, { values: [median(client)] }],
    ]);
    return { name: one.name, cells: Object.fromEntries(cells) as Row['cells'] };
  });
  return {
    key: `websocket-${producers}-busy`,
    title: `Who was busy, ${people(producers)}: per cent of a core, server and producers`,
    columns: [SINGLE, FRAME_64K].flatMap(({ key, title }) => [
      { key: `${key}-server`, title: `${title}: server`, digits: 0 },
      { key: `${key}-client`, title: `${title}: producers`, digits: 0 },
    ]),
    rows,
  };
}

function people(producers: number): string {
  return producers === 1 ? 'one producer' : `${producers} producers`;
}

function targetsOf(results: Results): Target[] {
  // By processor time: the producers, and whatever else the machine does, then take nothing away from a server.
  const capacity = (contender: string, load: Load): number[] | undefined =>
    results.get(contender)?.get(load.key)?.capacity;
  const targets: Target[] = [];
  const compare = (what: string, goal: number, ours: Load, peer: string, theirs: Load): void => {
    const above = capacity(MEMORY, ours);
    const below = capacity(peer, theirs);
    if (above && below) targets.push(atLeast(what, goal, ratioOf(above, below)));
  };
  compare('64 B in 64 KiB frames: share of the bare ws server', 0.8, FRAME_64K, SINK, FRAME_64K);
  compare('256 B in 64 KiB frames: share of the bare ws server', 0.9, LARGE_64K, SINK, LARGE_64K);
  compare('64 B, one a frame: share of the bare ws server', 0.75, SINGLE, SINK, SINGLE);
  compare(
    '64 KiB frames against Redis Streams, one sample a message: times',
    15,
    FRAME_64K,
    'Redis Streams',
    SINGLE,
  );
  compare(
    '64 KiB frames against NATS core, one sample a message, delivered: times',
    10,
    FRAME_64K,
    'NATS core, delivered',
    SINGLE,
  );
  compare(
    '64 KiB frames against JetStream, one sample a message: times',
    50,
    FRAME_64K,
    'NATS JetStream',
    SINGLE,
  );
  // By the clock: a journal's thread works beside the event loop, on a core that a memory map leaves to others.
  const [written, memory] = [WRITTEN, MEMORY].map((one) => results.get(one)?.get(FRAME_64K.key)?.rate);
  if (written && memory)
    targets.push(
      atLeast('64 B in 64 KiB frames, `written`: share of `memory`', 0.6, ratioOf(written, memory)),
    );
  return targets;
}
