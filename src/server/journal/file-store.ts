import { mkdir, rename, rm } from 'node:fs/promises';
import type { Clock } from '../clock.js';
import { RingbufdError } from '../errors.js';
import type { CommitRecord } from './commit-record.js';
import { DirectoryLock } from './directory-lock.js';
import { newSalt, writeEmptyJournal } from './empty-journal.js';
import { classifyFailure, Pauses } from './failure.js';
import { FileJournal } from './file-journal.js';
import { readHeader, type FileHeader } from './file-header.js';
import type { Durability, Journal, JournalStore, Quarantine } from './journal.js';
import { DiskFile, type JournalFile } from './journal-file.js';
import { journalDirectory, journalPath, quarantineDirectory, syncDirectory } from './journal-paths.js';
import { fileSize, tableBytesFor } from './layout.js';
import { MemoryJournal } from './memory-journal.js';
import { quarantineFiles } from './quarantine.js';
import { rebuildJournal } from './rebuild.js';
import { recover, type Recovery } from './recovery.js';
import { Staging } from './staging.js';

export interface FileStoreOptions {
  /** Made when it is not there. */
  directory: string;
  clock: Pick<Clock, 'after' | 'wallMs'>;
  /** Producer states that the file of a map has room for. */
  maxProducers: number;
  /** Bytes of damaged records that are kept aside for one map. */
  maxQuarantineBytes: number;
}

/** Journals as files, `DIR/journal/{map}.ring`, behind the lock of the data directory. */
export class FileStore implements JournalStore {
  readonly #options: FileStoreOptions;
  readonly #directory: string;
  readonly #lock: DirectoryLock;
  readonly #staging = new Staging();
  readonly #open = new Set<Journal>();

  private constructor(options: FileStoreOptions, directory: string, lock: DirectoryLock) {
    this.#options = options;
    this.#directory = directory;
    this.#lock = lock;
  }

  /** @throws RingbufdError DATA_DIR_LOCKED */
  static async open(options: FileStoreOptions): Promise<FileStore> {
    const directory = journalDirectory(options.directory);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return new FileStore(options, directory, await DirectoryLock.acquire(options.directory));
  }

  /** @throws RingbufdError JOURNAL_SIZE, JOURNAL_DAMAGED, JOURNAL_SPACE */
  async open(
    map: string,
    options: { maxEntries: number; durability: Durability; incarnation: string },
  ): Promise<Journal> {
    const { maxEntries, durability, incarnation } = options;
    if (durability === 'memory') return new MemoryJournal();
    const path = journalPath(this.#directory, map);
    const existing = await openExisting(path);
    const opened =
      existing === undefined
        ? await this.#create(path, { map, incarnation, maxEntries, durability })
        : await this.#takeUp(existing, path, map, maxEntries);
    const journal: Journal = new FileJournal(
      opened.file,
      {
        header: opened.header,
        durability,
        recovery: opened.recovery,
        staging: this.#staging,
        pauses: new Pauses(this.#options.clock),
      },
      () => this.#open.delete(journal),
    );
    this.#open.add(journal);
    return journal;
  }

  async remove(map: string): Promise<void> {
    await rm(journalPath(this.#directory, map), { force: true });
    await rm(quarantineDirectory(this.#directory, map), { force: true, recursive: true });
    await syncDirectory(this.#directory);
  }

  async close(): Promise<void> {
    try {
      for (const journal of [...this.#open]) await journal.close();
    } finally {
      await this.#lock.release();
    }
  }

  async #create(
    path: string,
    fields: Pick<FileHeader, 'map' | 'incarnation' | 'maxEntries'> & { durability: 'written' | 'synced' },
  ): Promise<{ file: JournalFile; header: FileHeader; recovery: Recovery }> {
    const header: FileHeader = {
      map: fields.map,
      incarnation: fields.incarnation,
      maxEntries: fields.maxEntries,
      tableBytes: tableBytesFor(this.#options.maxProducers),
      salt: newSalt(),
      createdMs: this.#options.clock.wallMs(),
    };
    const unfinished = `${path}.new`;
    await rm(unfinished, { force: true });
    const file = await DiskFile.open(unfinished, 'create');
    try {
      const last = await writeEmptyJournal(file, header, fields.durability);
      if (fields.durability === 'synced') await file.sync();
      await rename(unfinished, path);
      if (fields.durability === 'synced') await syncDirectory(this.#directory);
      return { file, header, recovery: emptyRecovery(last) };
    } catch (error) {
      await file.close();
      await rm(unfinished, { force: true });
      if (classifyFailure(error) === 'ENOSPC')
        throw new RingbufdError(
          'JOURNAL_SPACE',
          `the journal of map "${fields.map}" takes ${fileSize(header.maxEntries, header.tableBytes)} bytes`,
          { cause: error },
        );
      throw error;
    }
  }

  async #takeUp(
    file: DiskFile,
    path: string,
    map: string,
    maxEntries: number,
  ): Promise<{ file: JournalFile; header: FileHeader; recovery: Recovery }> {
    let quarantined: readonly Quarantine[];
    try {
      const header = await readHeader(file);
      if (typeof header === 'string') throw new RingbufdError('JOURNAL_DAMAGED', `${path}: ${header}`);
      if (header.map !== map)
        throw new RingbufdError('JOURNAL_DAMAGED', `${path} is the journal of map "${header.map}"`);
      if (header.maxEntries !== maxEntries)
        throw new RingbufdError(
          'JOURNAL_SIZE',
          `map "${map}": max_entries is ${maxEntries}, its journal ${path} has ${header.maxEntries}`,
        );
      const aside = quarantineFiles(
        this.#options.directory,
        map,
        header.incarnation,
        this.#options.maxQuarantineBytes,
      );
      const recovery = await recover(file, header, aside);
      if (recovery === undefined)
        throw new RingbufdError('JOURNAL_DAMAGED', `${path}: no commit record verifies`);
      const tableBytes = tableBytesFor(this.#options.maxProducers);
      if (header.tableBytes >= tableBytes) return { file, header, recovery };
      // The limit was raised: the tables have to grow.
      await rebuildJournal(path, header, recovery, { maxEntries, tableBytes });
      quarantined = recovery.found?.quarantined ?? [];
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
    const again = await this.#takeUp(await DiskFile.open(path, 'write'), path, map, maxEntries);
    const { found } = again.recovery;
    return found === undefined
      ? again
      : { ...again, recovery: { ...again.recovery, found: { ...found, quarantined } } };
  }
}

async function openExisting(path: string): Promise<DiskFile | undefined> {
  try {
    return await DiskFile.open(path, 'write');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function emptyRecovery(last: CommitRecord): Recovery {
  return {
    found: undefined,
    last,
    newestNumber: last.number,
    states: [],
    records: new Uint8Array(0),
    start: 0n,
    repairs: [],
  };
}
