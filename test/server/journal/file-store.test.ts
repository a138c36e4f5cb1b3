import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createUserRing, Producer } from '../../../src/ring/index.js';
import { systemClock } from '../../../src/server/clock.js';
import { NO_COUNTERS } from '../../../src/server/journal/commit-record.js';
import { FileStore } from '../../../src/server/journal/file-store.js';
import type { Journal, JournalHost } from '../../../src/server/journal/journal.js';

let directory: string;
const stores: FileStore[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ringbufd-journal-'));
});

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await rm(directory, { recursive: true, force: true });
});

async function openStore(options: { maxProducers?: number } = {}): Promise<FileStore> {
  const store = await FileStore.open({
    directory,
    clock: systemClock,
    maxProducers: 16,
    maxQuarantineBytes: 4096,
    ...options,
  });
  stores.push(store);
  return store;
}

async function closeStore(store: FileStore): Promise<void> {
  stores.splice(stores.indexOf(store), 1);
  await store.close();
}

const map = { maxEntries: 4096, durability: 'synced', incarnation: 'first' } as const;
const ringFile = (): string => join(directory, 'journal', 'm.ring');

/** A host that only outputs. */
function attach(journal: Journal) {
  const ring = createUserRing({ maxEntries: 4096 }, { mode: 'managed' });
  const producer = new Producer(ring);
  const host: JournalHost = {
    ring,
    snapshot: () => ({
      producerPos: ring.producerPosition,
      consumerPos: ring.consumerPosition,
      producers: [],
      forgotten: [],
      counters: NO_COUNTERS,
    }),
    durable: () => {},
    failed: (errno, error) => {
      throw new Error(errno, { cause: error });
    },
  };
  const found = journal.attach(host);
  return { ring, producer, found };
}

describe('the file store', () => {
  it('gives a new map an empty journal, and the next daemon what was committed', async () => {
    const store = await openStore();
    const journal = await store.open('m', map);
    const { ring, producer, found } = attach(journal);
    expect(found).toBeUndefined();
    producer.output(new Uint8Array([1, 2, 3]));
    journal.changed();
    await journal.settled();
    await closeStore(store);

    const again = await openStore();
    const reopened = attach(await again.open('m', { ...map, incarnation: 'second' }));
    expect(reopened.found).toMatchObject({ incarnation: 'first', producerPos: 16n, consumerPos: 0n });
    expect(reopened.ring.bytes).toEqual(ring.bytes);
  });

  it('makes a file of one size for ever, without a hole but for the producer tables', async () => {
    const store = await openStore();
    const journal = await store.open('m', map);
    const before = await stat(ringFile());
    const { producer, ring } = attach(journal);
    for (let lap = 0; lap < 5; lap++) {
      producer.output(new Uint8Array(4000));
      journal.changed();
      await journal.settled();
      ring.consumerPosition = ring.producerPosition;
    }
    await journal.settled();
    expect((await stat(ringFile())).size).toBe(before.size);
    const tables = 4 * 4096;
    expect(before.blocks * 512).toBeGreaterThanOrEqual(before.size - tables);
  });

  it('keeps nothing of a map of durability memory', async () => {
    const store = await openStore();
    const journal = await store.open('m', { ...map, durability: 'memory' });
    expect(attach(journal).found).toBeUndefined();
    journal.changed();
    await journal.settled();
    await expect(stat(ringFile())).rejects.toThrow('ENOENT');
  });

  it('forgets a removed map', async () => {
    const store = await openStore();
    const journal = await store.open('m', map);
    attach(journal);
    await journal.close();
    await store.remove('m');
    await store.remove('never-there');
    expect(attach(await store.open('m', map)).found).toBeUndefined();
  });

  it('refuses a journal of another size, and says how to change it', async () => {
    const store = await openStore();
    await (await store.open('m', map)).close();
    await expect(store.open('m', { ...map, maxEntries: 8192 })).rejects.toMatchObject({
      key: 'JOURNAL_SIZE',
      detail: expect.stringMatching(/max_entries is 8192, its journal .* has 4096/) as string,
    });
  });

  it('refuses a file whose header cannot be trusted, and leaves it as it is', async () => {
    const store = await openStore();
    await (await store.open('m', map)).close();
    const bytes = await readFile(ringFile());
    bytes[20]! ^= 1;
    bytes[4096 + 20]! ^= 1;
    await writeFile(ringFile(), bytes);
    await expect(store.open('m', map)).rejects.toMatchObject({ key: 'JOURNAL_DAMAGED' });
    expect((await readFile(ringFile())).equals(bytes)).toBe(true);
  });

  it('lives with one damaged copy of header and commit', async () => {
    const store = await openStore();
    const journal = await store.open('m', map);
    attach(journal).producer.output(new Uint8Array(9));
    journal.changed();
    await journal.settled();
    await journal.close();
    const bytes = await readFile(ringFile());
    bytes[20]! ^= 1;
    for (let slot = 0; slot < 4; slot++) bytes[12288 + slot * 32768 + 17]! ^= 4;
    await writeFile(ringFile(), bytes);
    expect(attach(await store.open('m', map)).found).toMatchObject({ producerPos: 24n });
  });

  it('refuses the journal of another map, a file cut to nothing, and a foreign file', async () => {
    const store = await openStore();
    await (await store.open('m', map)).close();
    await writeFile(join(directory, 'journal', 'other.ring'), await readFile(ringFile()));
    await expect(store.open('other', map)).rejects.toMatchObject({ key: 'JOURNAL_DAMAGED' });
    await truncate(ringFile(), 0);
    await expect(store.open('m', map)).rejects.toMatchObject({ key: 'JOURNAL_DAMAGED' });
    await writeFile(ringFile(), 'not a journal');
    await expect(store.open('m', map)).rejects.toMatchObject({ key: 'JOURNAL_DAMAGED' });
  });
});

describe('the lock of a data directory', () => {
  it('keeps a second store off, and says who has it', async () => {
    const store = await openStore();
    await expect(openStore()).rejects.toMatchObject({
      key: 'DATA_DIR_LOCKED',
      detail: expect.stringContaining(`pid ${process.pid}`) as string,
    });
    await closeStore(store);
    await openStore();
  });

  it('ends with a process that was killed', async () => {
    const holder = fork('test/server/journal/lock-holder.mjs', [join(directory, 'ringbufd.lock')]);
    await once(holder, 'message');
    await expect(openStore()).rejects.toMatchObject({ key: 'DATA_DIR_LOCKED' });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await openStore();
  });
});
