import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createUserRing, Producer } from '../../../src/ring/index.js';
import { systemClock } from '../../../src/server/clock.js';
import { FileStore, type FileStoreOptions } from '../../../src/server/journal/file-store.js';
import type { Journal, JournalHost } from '../../../src/server/journal/journal.js';
import { tableBytesFor } from '../../../src/server/journal/layout.js';
import { momentOf } from '../../support/journal-rig.js';

let directory: string;
const stores: FileStore[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ringbufd-journal-'));
});

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await rm(directory, { recursive: true, force: true });
});

async function openStore(options: Partial<FileStoreOptions> = {}): Promise<FileStore> {
  const store = await FileStore.open({
    directory,
    clock: systemClock,
    maxProducers: 16,
    maxQuarantineBytes: 4096,
    maxDiskWaitMs: 100,
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
function attach(journal: Journal, maxEntries = 4096, onSnapshot: () => void = () => {}) {
  const ring = createUserRing({ maxEntries }, { mode: 'managed', shared: true });
  const producer = new Producer(ring);
  const host: JournalHost = {
    ring,
    snapshot: () => {
      onSnapshot();
      return momentOf(ring);
    },
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
    const tables = 4 * tableBytesFor(16);
    expect(before.blocks * 512).toBeGreaterThanOrEqual(before.size - tables);
  });

  it('closes every journal, also behind one that cannot commit what is left', async () => {
    const store = await openStore();
    const failing = await store.open('a', map);
    attach(failing, map.maxEntries, () => {
      throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
    });
    const journal = await store.open('m', map);
    const { producer } = attach(journal);
    producer.output(new Uint8Array([1]));
    for (const changed of [failing, journal]) changed.changed();
    await expect(closeStore(store)).rejects.toThrow('no room');
    const again = await openStore();
    expect(attach(await again.open('m', map)).found).toMatchObject({ producerPos: 16n });
  });

  it('keeps nothing of a map of durability memory', async () => {
    const store = await openStore();
    const journal = await store.open('m', { ...map, durability: 'memory' });
    expect(attach(journal).found).toBeUndefined();
    journal.changed();
    await journal.settled();
    await expect(stat(ringFile())).rejects.toThrow('ENOENT');
  });

  it.each([
    ['the event loop', 100, 3],
    ['a thread, where the event loop is not to wait at all', 0, 0],
  ])('has a written map committed by %s', async (_, maxDiskWaitMs, loopCommits) => {
    const store = await openStore({ maxDiskWaitMs });
    const journal = await store.open('m', { ...map, durability: 'written' });
    const { producer } = attach(journal);
    for (let number = 0; number < 3; number++) {
      producer.output(new Uint8Array([1, 2, 3]));
      journal.changed();
      await journal.settled();
    }
    expect(journal.loop.commits).toBe(loopCommits);
    await closeStore(store);
    const again = attach(await (await openStore()).open('m', { ...map, durability: 'written' }));
    expect(again.found).toMatchObject({ producerPos: 48n });
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

  it.each([0, 4096])(
    'mends a damaged copy of the header, so that the other one may be hit later (first at %i)',
    async (first) => {
      const store = await openStore();
      const journal = await store.open('m', map);
      attach(journal).producer.output(new Uint8Array(9));
      journal.changed();
      await journal.settled();
      await journal.close();
      const intact = await readFile(ringFile());
      for (const [at, name] of first === 0
        ? ([
            [0, 'header A'],
            [4096, 'header B'],
          ] as const)
        : ([
            [4096, 'header B'],
            [0, 'header A'],
          ] as const)) {
        const bytes = await readFile(ringFile());
        bytes[at + 33]! ^= 16;
        await writeFile(ringFile(), bytes);
        const reopened = await store.open('m', map);
        expect(reopened.findings).toEqual([
          { kind: 'header_repaired', message: expect.stringContaining(name) as string, file: '' },
        ]);
        expect(attach(reopened).found).toMatchObject({ incarnation: 'first', producerPos: 24n });
        await reopened.close();
        const mended = await readFile(ringFile());
        for (const copy of [0, 4096])
          expect(mended.subarray(copy, copy + 512).equals(intact.subarray(copy, copy + 512))).toBe(true);
      }
      const untouched = await store.open('m', map);
      expect(untouched.findings).toEqual([]);
    },
  );

  it('begins anew where a loss of power left no commit of a written map, and keeps the file aside', async () => {
    const store = await openStore();
    const written = { ...map, durability: 'written' } as const;
    const journal = await store.open('m', written);
    attach(journal).producer.output(new Uint8Array(9));
    journal.changed();
    await journal.settled();
    await journal.close();
    const bytes = await readFile(ringFile());
    bytes.fill(0, 12288, 12288 + 4 * 32768);
    await writeFile(ringFile(), bytes);

    const anew = await store.open('m', { ...written, incarnation: 'second' });
    const file = join('journal', 'unreadable', 'm.ring');
    expect(anew.findings).toEqual([
      { kind: 'file_set_aside', message: expect.stringContaining('starts empty') as string, file },
    ]);
    const { producer, found } = attach(anew);
    expect(found).toBeUndefined();
    expect((await readFile(join(directory, file))).equals(bytes)).toBe(true);
    producer.output(new Uint8Array(1));
    anew.changed();
    await anew.settled();
    await anew.close();
    const again = await store.open('m', { ...written, incarnation: 'third' });
    expect(again.findings).toEqual([]);
    expect(attach(again).found).toMatchObject({ incarnation: 'second', producerPos: 16n });
    await again.close();
    await store.remove('m');
    await expect(stat(join(directory, file))).rejects.toThrow('ENOENT');
  });

  it('refuses a file without a commit where a loss of power alone cannot have done that', async () => {
    const store = await openStore();
    const journal = await store.open('m', map);
    attach(journal);
    journal.changed();
    await journal.settled();
    await journal.close();
    const bytes = await readFile(ringFile());
    bytes.fill(0, 12288, 12288 + 4 * 32768);
    await writeFile(ringFile(), bytes);
    // Its seals tell that it was synced, whatever the map is to be now.
    for (const durability of ['synced', 'written'] as const)
      await expect(store.open('m', { ...map, durability })).rejects.toMatchObject({ key: 'JOURNAL_DAMAGED' });
    expect((await readFile(ringFile())).equals(bytes)).toBe(true);
  });

  it('tells how far it is with a large ring, and lets others run meanwhile', async () => {
    const maxEntries = 32 * 1024 * 1024;
    const store = await openStore();
    const large = { ...map, maxEntries, durability: 'written' } as const;
    const journal = await store.open('m', large);
    const { producer } = attach(journal, maxEntries);
    while (producer.output(new Uint8Array(1024 * 1024 - 8)) === 0);
    journal.changed();
    await journal.settled();
    await closeStore(store);

    const told: [string, string, number, number][] = [];
    const again = await openStore({ onProgress: (...progress) => void told.push(progress) });
    await again.open('m', large);
    const phases = told.map(([name, phase, done, total]) => [name, phase, done / total]);
    expect(phases).toEqual([
      ['m', 'reading', 0.25],
      ['m', 'reading', 0.5],
      ['m', 'reading', 0.75],
      ['m', 'reading', 1],
      ['m', 'verifying', 0.5],
    ]);
  });

  it('refuses the journal of another map, a file cut to nothing, and a foreign file', async () => {
    const store = await openStore();
    await (await store.open('m', map)).close();
    await writeFile(join(directory, 'journal', 'other.ring'), await readFile(ringFile()));
    await expect(store.open('other', map)).rejects.toMatchObject({ key: 'JOURNAL_DAMAGED' });
    for (const bytes of [12_288, 0]) {
      await truncate(ringFile(), bytes);
      await expect(store.open('m', map)).rejects.toMatchObject({ key: 'JOURNAL_DAMAGED' });
    }
    await writeFile(ringFile(), 'not a journal');
    await expect(store.open('m', map)).rejects.toMatchObject({ key: 'JOURNAL_DAMAGED' });
  });
});
