// Kills a daemon with -9 at random moments while SDK producers with resume write into a `written` and a `synced` map, then
// compares what was acknowledged with what the deduplicating file handler has: node scripts/torture.mjs --seconds N --seed S
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connect } from '../dist/client/index.js';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } },
});
const MAPS = ['written', 'synced'];
const PRODUCERS = ['a', 'b', 'c'];
const HEAD_START_MS = 40;
const LONGEST_LIFE_MS = 400;
const SETTLE_MS = 60_000;

let state = Number(values.seed) >>> 0 || 1;
/** xorshift32: the moments of the kills follow from the seed. */
const random = () => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

const dataDir = await mkdtemp(join(tmpdir(), 'ringbufd-torture-'));
const port = await freePort();
const url = `http://127.0.0.1:${port}`;

async function startDaemon() {
  const args = [
    'dist/main.js',
    'serve',
    '--listen',
    `127.0.0.1:${port}`,
    '--data-dir',
    dataDir,
    '--log-level',
    'warn',
  ];
  const daemon = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await Promise.race([
    once(daemon.stdout, 'data'),
    once(daemon, 'exit').then(([code]) => Promise.reject(new Error(`the daemon ended with ${code}`))),
  ]);
  return daemon;
}

async function call(method, path, body) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

let daemon = await startDaemon();
for (const map of MAPS) {
  await call('PUT', `/v1/maps/${map}`, { max_entries: 65_536, durability: map });
  await call('PUT', `/v1/maps/${map}/handlers/file`, {
    kind: 'file',
    config: { name: 'torture.ndjson' },
    trigger: { mode: 'auto' },
  });
}

const end = performance.now() + Number(values.seconds) * 1000;
/** Samples acknowledged: `{map}/{producer}` to a count; each producer numbers its samples. */
const acknowledged = new Map();

async function connected(map, id) {
  const reconnect = { minDelayMs: 10, maxDelayMs: 100 };
  return { map, id, producer: await connect({ url, map, producer: id, reconnect, maxUnackedBytes: 16_384 }) };
}

async function produce({ map, id, producer }) {
  let next = 0;
  while (performance.now() < end) {
    const batches = [];
    for (let batch = 0; batch < 8; batch++) {
      const samples = Array.from({ length: 1 + Math.floor(Math.random() * 20) }, () => `${id} ${next++}`);
      batches.push(producer.output(samples));
    }
    await Promise.all(batches);
    acknowledged.set(`${map}/${id}`, next);
    await sleep(2);
  }
  const report = await producer.close({ timeoutMs: SETTLE_MS });
  if (!report.flushed) throw new Error(`${map}/${id}: ${report.failed} outputs were not acknowledged`);
}

let kills = 0;
// An SDK producer reconnects once it was connected; a first connection that fails is its caller's.
const producers = await Promise.all(MAPS.flatMap((map) => PRODUCERS.map((id) => connected(map, id))));
const producing = Promise.all(producers.map(produce));
while (performance.now() < end) {
  await sleep(HEAD_START_MS + random() * LONGEST_LIFE_MS);
  daemon.kill('SIGKILL');
  await once(daemon, 'exit');
  kills++;
  daemon = await startDaemon();
}
await producing;

const settled = performance.now() + SETTLE_MS;
for (const map of MAPS)
  for (let shown = await call('GET', `/v1/maps/${map}`); shown.freed_pos !== shown.producer_pos;) {
    if (performance.now() > settled) throw new Error(`map ${map} is not drained`);
    await sleep(20);
    shown = await call('GET', `/v1/maps/${map}`);
  }

/** Lines of the handler's files, the oldest rotation first. */
async function drained(map) {
  const folder = join(dataDir, 'out', map);
  const files = (await readdir(folder)).filter((name) => /^torture\.ndjson(\.\d+)?$/.test(name));
  files.sort((a, b) => Number(b.split('.')[2] ?? 0) - Number(a.split('.')[2] ?? 0));
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  return texts
    .flatMap((text) => text.split('\n').filter((line) => line !== ''))
    .map((line) => JSON.parse(line).sample);
}

let bad = 0;
for (const map of MAPS) {
  const next = new Map(PRODUCERS.map((id) => [id, 0]));
  let lost = 0;
  let doubled = 0;
  for (const sample of await drained(map)) {
    const [id, text] = sample.split(' ');
    const number = Number(text);
    if (number < next.get(id)) doubled++;
    lost += Math.max(0, number - next.get(id));
    next.set(id, Math.max(next.get(id), number + 1));
  }
  for (const id of PRODUCERS) lost += Math.max(0, (acknowledged.get(`${map}/${id}`) ?? 0) - next.get(id));
  const samples = [...next.values()].reduce((sum, count) => sum + count, 0);
  const { holds } = await call('GET', `/v1/maps/${map}/ledger`);
  process.stdout.write(`${JSON.stringify({ map, kills, samples, lost, doubled, ledger_holds: holds })}\n`);
  if (lost > 0 || doubled > 0 || !holds || samples === 0) bad++;
}
daemon.kill('SIGTERM');
const [code] = await once(daemon, 'exit');
await rm(dataDir, { recursive: true, force: true });
process.stdout.write(
  bad === 0 && code === 0 ? 'PROVEN\n' : `NOT PROVEN (seed ${values.seed}, exit ${code})\n`,
);
process.exitCode = bad === 0 && code === 0 ? 0 : 1;
