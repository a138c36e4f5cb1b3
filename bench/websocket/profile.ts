/**
 * `npm run bench:profile [-- --only memory,written --bytes 64 --samples 909 --producers 1 --seconds 2 --tries 5
 * --cpu-prof DIR]`: what a frame costs a server, in turns: processor time of its event loop and of all its threads.
 * With --cpu-prof each daemon writes a profile of its whole run.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from '../measure/statistics.js';
import type { Contender } from '../peers/contender.js';
import { startRingbufd, startRingbufdForSdk, type Durability } from '../peers/ringbufd.js';
import { cpuSeconds, loopSeconds } from '../peers/server.js';
import { startSink } from '../peers/sink.js';
import { startProducers } from './producers.js';
import { flowOf } from './protocol.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'sink,memory,written' },
    bytes: { type: 'string', default: '64' },
    samples: { type: 'string', default: '909' },
    producers: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '1' },
    tries: { type: 'string', default: '5' },
    'cpu-prof': { type: 'string' },
  },
});
const shape = { sampleBytes: Number(values.bytes), samplesPerMessage: Number(values.samples) };
const producers = Number(values.producers);
const names = values.only.split(',');

const contenders: Contender[] = [];
const client = startProducers();
try {
  for (const name of names) contenders.push(await start(name));
  const results = new Map(contenders.map(({ name }) => [name, [] as number[][]]));
  for (let number = 0; number <= Number(values.tries); number++)
    for (const contender of contenders) {
      const measured = await measure(contender);
      // The first one warms up.
      if (number > 0) results.get(contender.name)!.push(measured);
    }
  for (const [name, tries] of results) {
    const [rate, frames, loop, all, busy, clientBusy] = [0, 1, 2, 3, 4, 5].map((column) =>
      median(tries.map((one) => one[column]!)),
    );
    console.log(
      `${name.padEnd(20)} ${rate!.toFixed(2)} M samples/s  ${frames!.toFixed(0)} frames/s  loop ${loop!.toPrecision(3)} µs a frame, ` +
        `all threads ${all!.toPrecision(3)} µs; server ${busy!.toFixed(0)} %, producers ${clientBusy!.toFixed(0)} % of a core`,
    );
  }
} finally {
  await client.stop();
  await Promise.all(contenders.map((one) => one.stop()));
}

async function start(name: string): Promise<Contender> {
  if (name === 'sink') return startSink();
  if (name === 'sdk') return startRingbufdForSdk() as Promise<Contender>;
  const directory = values['cpu-prof'];
  const flags: string[] = [];
  if (directory !== undefined) {
    mkdirSync(directory, { recursive: true });
    flags.push('--cpu-prof', `--cpu-prof-dir=${resolve(directory)}`, `--cpu-prof-name=${name}.cpuprofile`);
  }
  const started = await startRingbufd(name as Durability, flags);
  if ('absent' in started) throw new Error(`${name}: ${started.absent}`);
  return started;
}

async function measure(contender: Contender): Promise<number[]> {
  const { link, port, target, server } = contender;
  const flow = flowOf(contender, shape);
  const seconds = Number(values.seconds);
  const loopBefore = loopSeconds(server.pid);
  const before = cpuSeconds(server.pid);
  const done = await client.run({ link, port, target, producers, shape, flow, seconds });
  const loop = loopSeconds(server.pid) - loopBefore;
  const used = cpuSeconds(server.pid) - before;
  await contender.settle(done.messages * shape.samplesPerMessage, done.messages);
  return [
    (done.messages * shape.samplesPerMessage) / done.seconds / 1e6,
    done.messages / done.seconds,
    (loop / done.messages) * 1e6,
    (used / done.messages) * 1e6,
    (used / done.seconds) * 100,
    (done.cpuSeconds / done.seconds) * 100,
  ];
}
