import { appendFile, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Consumer, createUserRing, Producer, SampleRun, type UserRing } from '../../../src/ring/index.js';
import { systemClock } from '../../../src/server/clock.js';
import { createHandler, type BatchHandler } from '../../../src/server/handlers/index.js';
import { buildRun } from '../../../src/wire/index.js';
import { toBytes } from '../../support/raw-client.js';

let dataDir: string;
let ring: UserRing;
let open: BatchHandler[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'ringbufd-once-'));
  ring = createUserRing({ maxEntries: 1 << 20 });
  open = [];
});
afterEach(async () => {
  for (const handler of open) await handler.close();
  await rm(dataDir, { recursive: true, force: true });
});

type Format = 'ndjson' | 'records';
const path = (format: Format): string =>
  join(dataDir, 'out', 'm', format === 'ndjson' ? 'f.ndjson' : 'f.records');

/** The handler as a daemon that has just been started makes it. */
function newHandler(format: Format, config: Record<string, unknown> = {}): BatchHandler {
  const { handler } = createHandler(
    'file',
    { format, name: `f.${format}`, ...config },
    { map: 'm', handler: 'f', dataDir, logger: pino({ level: 'silent' }), clock: systemClock },
  );
  open.push(handler as BatchHandler);
  return handler as BatchHandler;
}

const store = (...samples: string[]): void => {
  new Producer(ring).outputRun(buildRun(samples.map(toBytes)));
};

/** One run of a drain; the daemon ends before it is released, unless told otherwise. */
async function handle(handler: BatchHandler, release = false, incarnation = 'one'): Promise<void> {
  const consumer = new Consumer(ring);
  consumer.begin(0);
  const run = new SampleRun(ring);
  consumer.peekRun(run, Infinity);
  const context = { map: 'm', incarnation, headPosition: ring.consumerPosition };
  const { consumed } = await handler.onRun(run, context);
  expect(consumed).toBe(run.samples);
  if (release) consumer.releaseRun(run, consumed);
  consumer.end(0);
}

/** The samples in a file, in order. */
async function written(format: Format, name = path(format)): Promise<string[]> {
  const bytes = await readFile(name);
  if (format === 'ndjson')
    return bytes
      .toString()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { sample: string }).sample);
  const samples: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at);
    samples.push(bytes.toString('utf8', at + 8, at + 8 + length));
    at += (length + 15) & ~7;
  }
  return samples;
}

describe.each<Format>(['ndjson', 'records'])('a file handler over a crash, %s', (format) => {
  it('skips what it had written and not released', async () => {
    store('a', 'b');
    await handle(newHandler(format), true);
    store('c', 'd');
    await handle(newHandler(format));
    store('e');
    const last = newHandler(format);
    await handle(last, true);
    expect(await written(format)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(last.state()).toMatchObject({ samples: 1, skipped: 2 });
  });

  it.each([
    ['a part of a sample', 5],
    ['whole samples', undefined],
  ])('cuts off %s that it had written when it ended before it had said so', async (_, bytes) => {
    store('a', 'b');
    await handle(newHandler(format), true);
    const before = await readFile(path(format));
    store('c');
    await handle(newHandler(format));
    const whole = await readFile(path(format));
    // As it was before the mark was written: the mark knows of a and b only.
    await writeFile(path(format), before);
    const marked = newHandler(format);
    await rm(join(dataDir, 'marks'), { recursive: true });
    await forgeMark(before.length, '16');
    await appendFile(path(format), whole.subarray(before.length, bytes && before.length + bytes));
    await handle(marked, true);
    expect(await written(format)).toEqual(['a', 'b', 'c']);
  });

  it('knows what it has written when it has rotated it away', async () => {
    const config = { rotate_bytes: 4096, keep: 2 };
    const long = 'x'.repeat(3000);
    store(`1${long}`);
    await handle(newHandler(format, config), true);
    store(`2${long}`);
    await handle(newHandler(format, config));
    // It ends before the new file is there.
    await rename(path(format), `${path(format)}.1`);
    store('3');
    await handle(newHandler(format, config), true);
    expect(await written(format)).toEqual(['3']);
    expect(await written(format, `${path(format)}.1`)).toEqual([`2${long}`]);
  });

  it('writes everything of a new incarnation, at whatever positions', async () => {
    store('a', 'b');
    await handle(newHandler(format), true);
    ring = createUserRing({ maxEntries: 1 << 20 });
    store('c');
    await handle(newHandler(format), true, 'two');
    expect(await written(format)).toEqual(['a', 'b', 'c']);
  });

  it('skips nothing, and cuts nothing off, on the word of a mark that cannot be read', async () => {
    store('a');
    await handle(newHandler(format));
    await writeFile(join(dataDir, 'marks', 'm', `f.${format}`), '{"incarnation":"one","size":0');
    await handle(newHandler(format), true);
    expect(await written(format)).toEqual(['a', 'a']);
  });

  it('leaves a file alone that somebody has put in its place', async () => {
    store('a');
    await handle(newHandler(format), true);
    const foreign = await readFile(path(format));
    await writeFile(`${path(format)}.new`, Buffer.concat([foreign, foreign]));
    await rename(`${path(format)}.new`, path(format));
    store('b');
    await handle(newHandler(format), true);
    expect(await written(format)).toEqual(['a', 'a', 'b']);
  });

  async function forgeMark(size: number, after: string): Promise<void> {
    const { ino } = await stat(path(format));
    await mkdir(join(dataDir, 'marks', 'm'), { recursive: true });
    await writeFile(
      join(dataDir, 'marks', 'm', `f.${format}`),
      JSON.stringify({ incarnation: 'one', ino: String(ino), size, after }),
    );
  }
});
