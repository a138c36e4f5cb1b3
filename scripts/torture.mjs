// Kills a daemon with -9 at random moments, cuts its sockets, damages its files and fills its disk, while SDK producers with
// resume write. Then compares what was acknowledged with what the deduplicating file handler has:
// node scripts/torture.mjs --seconds N --seed S
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compare, OUTPUT_NAME } from './torture/books.js';
import { Chance } from './torture/chance.js';
import { CuttingProxy } from './torture/cutting-proxy.js';
import { damageRecords, damageSpared, freePages } from './torture/damage.js';
import { freePort, TorturedDaemon } from './torture/daemon.js';
import { SmallDisk } from './torture/small-disk.js';
import { Traffic } from './torture/traffic.js';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } },
});
const LEVELS = ['written', 'synced'];
const PRODUCERS = ['a', 'b', 'c'];
const LONGEST_LIFE_MS = 300;
const LONGEST_START_MS = 1000;
const LONGEST_FULL_MS = 400;
/** So large that between two kills the journals ask the file system for pages: one that is full refuses them. */
const BUSY_RING_BYTES = 2 ** 23;
const HURT_RING_BYTES = 2 ** 16;
const DAMAGED_SAMPLES = 60;
const LONGEST_FILLER = 300;
const SETTLE_MS = 120_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const chance = new Chance(Number(values.seed));
const dataDir = await mkdtemp(join(tmpdir(), 'ringbufd-torture-'));
const disk = SmallDisk.mount(dataDir);
if (typeof disk === 'string') process.stdout.write(`NOT RUN: a disk filled and freed (${disk})\n`);

const port = await freePort();
const daemon = new TorturedDaemon(dataDir, port);
// The moments of the cuts have a seed of their own: how often producers connect must not shift those of the kills.
const proxy = new CuttingProxy(port, new Chance(Number(values.seed) + 1));
const producersUrl = `http://127.0.0.1:${await proxy.listen()}`;
await daemon.start();

/** Maps under load all the time, drained by an auto trigger; and maps whose files get damaged, drained by hand. */
const busy = new Map();
const hurt = new Map();
for (const level of LEVELS)
  for (const [maps, name, maxEntries, trigger, ids] of [
    [busy, level, BUSY_RING_BYTES, { mode: 'auto' }, PRODUCERS],
    [hurt, `damaged-${level}`, HURT_RING_BYTES, { mode: 'manual' }, PRODUCERS.slice(0, 1)],
  ]) {
    await daemon.call('PUT', `/v1/maps/${name}`, { max_entries: maxEntries, durability: level });
    const handler = { kind: 'file', config: { name: OUTPUT_NAME, keep: 14 }, trigger };
    await daemon.call('PUT', `/v1/maps/${name}/handlers/file`, handler);
    const traffic = new Traffic();
    await traffic.connect(producersUrl, name, ids);
    maps.set(name, { traffic, damaged: new Set() });
  }

let bad = 0;
const counts = { bit_flips: 0, files_cut: 0, spared_flips: 0, journals_full: 0 };
function complain(text) {
  process.stdout.write(`${text}\n`);
  bad++;
}

/** Starts until it is up; `mayDie`: some starts are killed, too. */
async function startAgain(mayDie) {
  while (mayDie && chance.happens(0.4))
    if (await daemon.start(chance.whole(50, LONGEST_START_MS))) await daemon.kill();
  await daemon.start();
}

/** What the start has quarantined has to be exactly what was damaged. */
async function checkQuarantine(expected) {
  for (const name of [...busy.keys(), ...hurt.keys()]) {
    const { quarantined } = await daemon.call('GET', `/v1/maps/${name}`);
    const found = JSON.stringify(quarantined.map(({ pos, bytes }) => ({ pos, bytes })));
    const wanted = JSON.stringify(expected.get(name) ?? []);
    if (found !== wanted) complain(`${name}: quarantined ${found}, damaged were ${wanted}`);
  }
}

/** One round: samples that nobody drains, a kill, damage, a start, a look at the quarantine, a drain. */
async function damageRound() {
  const name = `damaged-${LEVELS[chance.whole(0, LEVELS.length)]}`;
  const { traffic, damaged } = hurt.get(name);
  const fillers = Array.from({ length: DAMAGED_SAMPLES }, () => chance.whole(0, LONGEST_FILLER));
  await traffic.send((number) => 'x'.repeat(fillers[number % DAMAGED_SAMPLES]), DAMAGED_SAMPLES);
  await daemon.kill();
  const { samples, stretches, isCut } = await damageRecords(dataDir, name, chance);
  for (const sample of samples) damaged.add(sample);
  counts[isCut ? 'files_cut' : 'bit_flips']++;
  await daemon.start();
  await checkQuarantine(new Map([[name, stretches]]));
  await drainByHand(name);
}

async function drainByHand(name) {
  const settled = performance.now() + SETTLE_MS;
  for (;;) {
    const { freed_pos, producer_pos } = await daemon.call('GET', `/v1/maps/${name}`);
    if (freed_pos === producer_pos) return;
    if (performance.now() > settled) throw new Error(`map ${name} is not drained`);
    // A full disk refuses a drain; it is free again in a moment.
    await daemon.call('POST', `/v1/maps/${name}/drain`, { handler: 'file' }).catch(() => sleep(20));
  }
}

async function plainRound() {
  if (typeof disk !== 'string' && chance.happens(0.6)) disk.fill(chance.whole(50, LONGEST_FULL_MS));
  await sleep(chance.whole(0, LONGEST_LIFE_MS));
  for (const name of busy.keys())
    if ((await daemon.call('GET', `/v1/maps/${name}`)).journal === 'full') counts.journals_full++;
  await daemon.kill();
  if (typeof disk !== 'string') for (const name of busy.keys()) await freePages(dataDir, name);
  const spared = chance.happens(0.3);
  if (spared) {
    await damageSpared(dataDir, LEVELS[chance.whole(0, LEVELS.length)], chance);
    counts.spared_flips++;
  }
  // A daemon that finds its disk full may refuse to start: that is for whoever looks after it.
  if (typeof disk !== 'string') disk.free();
  await startAgain(true);
  await checkQuarantine(new Map());
}

proxy.cutting = true;
const producing = Promise.all([...busy.values()].map(({ traffic }) => traffic.run(SETTLE_MS)));
const end = performance.now() + Number(values.seconds) * 1000;
while (performance.now() < end) await (chance.happens(0.4) ? damageRound() : plainRound());
proxy.cutting = false;
if (typeof disk !== 'string') disk.free();
for (const { traffic } of busy.values()) traffic.end();
await producing;
await Promise.all([...hurt.values()].map(({ traffic }) => traffic.close(SETTLE_MS)));

const faults = {
  kills: daemon.kills,
  kills_in_start: daemon.killsInStart,
  sockets_cut: proxy.cuts,
  ...counts,
};
process.stdout.write(
  `${JSON.stringify({ ...faults, disk_full: typeof disk === 'string' ? null : disk.fills })}\n`,
);
for (const [map, { traffic, damaged }] of [...busy, ...hurt]) {
  const settled = performance.now() + SETTLE_MS;
  for (let shown = await daemon.call('GET', `/v1/maps/${map}`); shown.freed_pos !== shown.producer_pos;) {
    if (performance.now() > settled) throw new Error(`map ${map} is not drained`);
    await sleep(20);
    shown = await daemon.call('GET', `/v1/maps/${map}`);
  }
  const books = await compare(dataDir, map, traffic.acknowledged, damaged);
  const { holds, quarantined } = await daemon.call('GET', `/v1/maps/${map}/ledger`);
  process.stdout.write(
    `${JSON.stringify({ map, ...books, quarantined: quarantined.samples, ledger_holds: holds })}\n`,
  );
  if (books.lost + books.doubled + books.damaged_but_drained > 0 || !holds) bad++;
  if (quarantined.samples !== damaged.size || (books.samples === 0 && busy.has(map))) bad++;
}
const code = await daemon.stop();
await proxy.close();
if (typeof disk !== 'string') disk.unmount();
await rm(dataDir, { recursive: true, force: true });
const proven = bad === 0 && code === 0;
process.stdout.write(proven ? 'PROVEN\n' : `NOT PROVEN (seed ${values.seed}, exit ${code})\n`);
process.exitCode = proven ? 0 : 1;
