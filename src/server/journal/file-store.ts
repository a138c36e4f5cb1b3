import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.js';
import { RingbufdError } from '../errors.js';
import { encodeCommit, NO_COUNTERS, type CommitRecord } from './commit-record.js';
import { DirectoryLock } from './directory-lock.js';
import { classifyFailure, Pauses } from './failure.js';
import { FileJournal } from './file-journal.js';
import { decodeHeader, encodeHeader, type FileHeader } from './file-header.js';
import type { Durability, Journal, JournalStore } from './journal.js';
import { DiskFile, type JournalFile } from './journal-file.js';
import {
  commitSlotAt,
  fileSize,
  HEADER_BYTES,
  HEADER_COPIES_AT,
  imageAt,
  tableBytesFor,
  tableAt,
} from './layout.js';
import { MemoryJournal } from './memory-journal.js';
import { NO_TABLE } from './producer-book.js';
import { quarantineFiles } from './quarantine.js';
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

const ZEROS = new Uint8Array(1024 * 1024);

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
      salt: new Int32Array(new Uint8Array(randomBytes(16)).buffer),
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
        quarantineDirectory(this.#directory, map),
        header.incarnation,
        this.#options.maxQuarantineBytes,
      );
      const recovery = await recover(file, header, aside);
      if (recovery === undefined)
        throw new RingbufdError('JOURNAL_DAMAGED', `${path}: no commit record verifies`);
      return { file, header, recovery };
    } catch (error) {
      await file.close();
      throw error;
    }
  }
}

/** Where the journals of a data directory are. */
export function journalDirectory(dataDir: string): string {
  return join(dataDir, 'journal');
}

function journalPath(directory: string, map: string): string {
  return join(directory, `${map}.ring`);
}

function quarantineDirectory(directory: string, map: string): string {
  return join(directory, 'quarantine', map);
}

async function openExisting(path: string): Promise<DiskFile | undefined> {
  try {
    return await DiskFile.open(path, 'write');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The header of a journal file, from the copy that verifies; or why there is none. */
export async function readHeader(file: JournalFile): Promise<FileHeader | string> {
  let reason = '';
  for (const at of HEADER_COPIES_AT) {
    const bytes = new Uint8Array(HEADER_BYTES);
    await file.read(at, bytes);
    const found = decodeHeader(bytes);
    if (typeof found !== 'string') return found;
    if (reason === '') reason = found;
  }
  return reason;
}

/**
 * Writes a journal that holds nothing yet. All but the producer tables, of which most maps need little, is written and
 * not left as holes: a map that could be created does not run out of disk later.
 */
export async function writeEmptyJournal(
  file: DiskFile,
  header: FileHeader,
  durability: 'written' | 'synced',
): Promise<CommitRecord> {
  const size = fileSize(header.maxEntries, header.tableBytes);
  await file.truncate(size);
  await writeZeros(file, 0, tableAt(0, 0, header.tableBytes));
  await writeZeros(file, imageAt(header.tableBytes), size);
  const encoded = encodeHeader(header);
  for (const at of HEADER_COPIES_AT) await file.write(at, encoded);
  const last: CommitRecord = {
    number: 0,
    producerPos: 0n,
    consumerPos: 0n,
    rangeStart: 0n,
    digest: 0,
    durability,
    counters: NO_COUNTERS,
    table: NO_TABLE,
  };
  await file.write(commitSlotAt(0), encodeCommit(last, []));
  return last;
}

async function writeZeros(file: JournalFile, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += ZEROS.length)
    await file.write(at, ZEROS.subarray(0, Math.min(ZEROS.length, to - at)));
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

/** A rename or a removal is on the disk only when its directory is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
