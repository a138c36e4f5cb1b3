import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createUserRing, Producer } from '../../../src/ring/index.js';
import { systemClock } from '../../../src/server/clock.js';
import { NO_COUNTERS } from '../../../src/server/journal/commit-record.js';
import { DirectoryLock } from '../../../src/server/journal/directory-lock.js';
import { FileStore } from '../../../src/server/journal/file-store.js';
import { NO_BOOKS } from '../../../src/server/journal/producer-entries.js';
import type { KeptProducer } from '../../../src/server/journal/journal.js';
import { run } from '../../cli/cli-run.js';
import { momentOf } from '../../support/journal-rig.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ringbufd-offline-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const producer: KeptProducer = {
  id: 'sensor-1',
  owner: 'edge',
  lastSeq: 12,
  partial: 3,
  ackedPos: 128n,
  acceptedSamples: 40,
  acceptedBytes: 4000,
  lastSeenMs: 1_700_000_000_000,
  books: { ...NO_BOOKS, handle: 7, acceptedSamples: 40, acceptedBytes: 4000, drainedSamples: 36 },
};

const openStore = (maxProducers = 16): Promise<FileStore> =>
  FileStore.open({
    directory,
    clock: systemClock,
    maxProducers,
    maxQuarantineBytes: 4096,
    maxDiskWaitMs: 100,
  });

async function openMap(store: FileStore, maxEntries = 4096) {
  const journal = await store.open('m', { maxEntries, durability: 'synced', incarnation: 'first' });
  const ring = createUserRing({ maxEntries }, { mode: 'managed', shared: true });
  let states: KeptProducer[] = [producer];
  const found = journal.attach({
    ring,
    snapshot: () => {
      const producers = states;
      states = [];
      return { ...momentOf(ring), producers, counters: { ...NO_COUNTERS, acceptedSamples: 3 } };
    },
    durable: () => {},
    failed: () => {},
  });
  return { journal, ring, found };
}

/** Three samples and an open reservation, from position 4000 on: over the end of the ring. */
async function writeMap(): Promise<void> {
  const store = await openStore();
  const { journal, ring } = await openMap(store);
  ring.consumerPosition = 4000n;
  ring.producerPosition = 4000n;
  const output = new Producer(ring);
  for (const length of [3, 100, 60]) output.output(new Uint8Array(length).fill(length));
  output.reserve(20);
  journal.changed();
  await journal.settled();
  await store.close();
}

const ringFile = (): string => join(directory, 'journal', 'm.ring');

describe('ringbufd inspect', () => {
  it('shows header, positions, records and producers of a data directory', async () => {
    await writeMap();
    const { code, stdout } = await run(['inspect', directory]);
    expect(code).toBe(0);
    expect(stdout).toContain(ringFile());
    for (const line of [
      /map +m$/m,
      /ring +4096 bytes, 232 used/,
      /positions +consumer 4000, producer 4232/,
      /records +3 samples \(163 bytes\), 0 discards, 1 open reservations/,
      /sample +at 4016, 100 bytes/,
      /reservation +at 4200, 20 bytes/,
      /sensor-1 of edge: seq 12, 3 samples of the next one/,
      /damage +none/,
    ])
      expect(stdout).toMatch(line);
  });

  it('says the same as JSON, of one file, with as many records as asked for', async () => {
    await writeMap();
    const { code, stdout } = await run(['inspect', ringFile(), '--json', '--limit', '1']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([
      {
        map: 'm',
        live: false,
        commit: { durability: 'synced', producer_pos: '4232', consumer_pos: '4000' },
        producers: [{ id: 'sensor-1', last_seq: '12', partial: 3 }],
        records: { samples: 3, reservations: 1, list: [{ position: '4000', kind: 'sample', length: 3 }] },
        damage: [],
      },
    ]);
  });

  it('works beside the daemon that has the directory, and says so', async () => {
    await writeMap();
    const lock = await DirectoryLock.acquire(directory);
    const store = await openStore();
    const { journal } = await openMap(store);
    await journal.settled();
    const { code, stdout } = await run(['inspect', directory]);
    await store.close();
    await lock.release();
    expect(code).toBe(0);
    expect(stdout).toContain('live: a daemon has this directory');
  });

  it('tells of a damaged copy of the header, which the next start or a migration mends', async () => {
    await writeMap();
    const bytes = await readFile(ringFile());
    bytes[4096 + 70]! ^= 1;
    await writeFile(ringFile(), bytes);
    const damaged = await run(['inspect', directory]);
    expect(damaged.code).toBe(1);
    expect(damaged.stdout).toContain('header B does not verify');
    expect((await run(['migrate', directory, 'm', '--max-entries', '4096'])).code).toBe(0);
    expect((await run(['inspect', directory])).code).toBe(0);
  });

  it('names damage and ends with 1; what it read stays as it was', async () => {
    await writeMap();
    const bytes = await readFile(ringFile());
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(ringFile(), bytes);
    const { code, stdout, stderr } = await run(['inspect', directory]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/damage\n +at 4016, 112 bytes/);
    expect(stderr).toContain('keeps damaged bytes aside');
    expect((await readFile(ringFile())).equals(bytes)).toBe(true);
  });

  it('says what is no journal, and where there is none', async () => {
    const file = join(directory, 'x.ring');
    await writeFile(file, 'hello');
    expect(await run(['inspect', file])).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('this is not a journal') as string,
    });
    expect((await run(['inspect', join(directory, 'nothing')])).stderr).toContain('there is nothing at');
    await rm(file);
    expect(await run(['inspect', directory])).toMatchObject({
      code: 0,
      stdout: `no journals in ${directory}\n`,
    });
  });
});

describe('ringbufd migrate', () => {
  it.each([8192, 4096 * 16])('gives a map %i bytes, with everything that it holds', async (maxEntries) => {
    await writeMap();
    const { code, stdout } = await run(['migrate', directory, 'm', '--max-entries', String(maxEntries)]);
    expect(code).toBe(0);
    expect(stdout).toContain(`4096 bytes are now ${maxEntries}, 3 samples and 1 producers kept`);
    const store = await openStore();
    const { found, ring } = await openMap(store, maxEntries);
    await store.close();
    expect(found).toMatchObject({
      incarnation: 'first',
      consumerPos: 4000n,
      producerPos: 4232n,
      producers: [producer],
      counters: { acceptedSamples: 3 },
      buffered: { samples: 3, discards: 1 },
    });
    expect(ring.bytes[8192 + (4024 & (maxEntries - 1))]).toBe(100);
  });

  it('makes a map smaller, as long as what it holds fits', async () => {
    await writeMap();
    expect((await run(['migrate', directory, 'm', '--max-entries', '8192'])).code).toBe(0);
    expect((await run(['migrate', directory, 'm', '--max-entries', '4096'])).code).toBe(0);
    const store = await openStore();
    const { found, ring } = await openMap(store);
    expect(found?.producerPos).toBe(4232n);
    new Producer(ring).output(new Uint8Array(3800));
    await store.close();
  });

  it('refuses what does not fit, what is not there, and a directory in use', async () => {
    const lock = await DirectoryLock.acquire(directory);
    const store = await openStore();
    const { journal, ring } = await openMap(store, 8192);
    new Producer(ring).output(new Uint8Array(5000));
    journal.changed();
    expect((await run(['migrate', directory, 'm', '--max-entries', '4096'])).stderr).toContain('in use by');
    await store.close();
    await lock.release();
    const before = await readFile(ringFile());
    expect((await run(['migrate', directory, 'm', '--max-entries', '4096'])).stderr).toContain(
      'drain it first',
    );
    expect((await run(['migrate', directory, 'other', '--max-entries', '4096'])).stderr).toContain(
      'there is no journal',
    );
    expect((await run(['migrate', directory, 'm', '--max-entries', '5000'])).code).toBe(2);
    expect((await readFile(ringFile())).equals(before)).toBe(true);
  });
});

it('lets the tables of producers grow when the limit was raised', async () => {
  await writeMap();
  const before = await readFile(ringFile());
  const store = await openStore(1000);
  const { found } = await openMap(store);
  expect(found).toMatchObject({ producerPos: 4232n, producers: [producer] });
  await store.close();
  expect((await readFile(ringFile())).length).toBeGreaterThan(before.length);
});
