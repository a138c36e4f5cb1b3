import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import type { Clock } from '../clock.js';
import { RingbufdError } from '../errors.js';
import { CommitThread } from './commit-thread.js';
import type { CommitFile, FileCommitter } from './commit-writer.js';
import type { CommitRecord } from './commit-record.js';
import { hasSeal, type OnProgress } from './commit-choice.js';
import { DiskWaits } from './disk-waits.js';
import { newSalt, writeEmptyJournal } from './empty-journal.js';
import { classifyFailure, Pauses } from './failure.js';
import { FileJournal } from './file-journal.js';
import { headerName, readHeader, repairHeader, type FileHeader } from './file-header.js';
import type { Durability, Journal, JournalFinding, JournalStore, Quarantine } from './journal.js';
import { DiskFile } from './journal-file.js';
import {
  journalDirectory,
  journalPath,
  quarantineDirectory,
  syncDirectory,
  unreadablePath,
} from './journal-paths.js';
import { fileSize, tableBytesFor } from './layout.js';
import { LoopCommitter } from './loop-committer.js';
import { MemoryJournal } from './memory-journal.js';
import { quarantineFiles } from './quarantine.js';
import { rebuildJournal } from './rebuild.js';
import { RingMemories } from './record-memory.js';
import { recover, type Recovery } from './recovery.js';
import { Staging } from './staging.js';

export interface FileStoreOptions {
  /** Made when it is not there. */
  directory: string;
  clock: Pick<Clock, 'after' | 'nowMs' | 'wallMs'>;
  /** Producer states that the file of a map has room for. */
  maxProducers: number;
  /** Bytes of damaged records that are kept aside for one map. */
  maxQuarantineBytes: number;
  /** Time that the event loop may wait for the disk in a second; 0: it never writes. Unit: ms. */
  maxDiskWaitMs: number;
  /** Told that the disk made it wait longer, and that a thread writes for the next `restMs`. */
  onRest?: (restMs: number) => void;
  /** Told how far a map is that is being taken up. */
  onProgress?: (map: string, ...progress: Parameters<OnProgress>) => void;
}

/** A file that is ready for its map. */
interface OpenedFile {
  readonly file: DiskFile;
  readonly header: FileHeader;
  readonly recovery: Recovery;
  readonly findings: readonly JournalFinding[];
}

/** What a map asks for. */
interface Wanted {
  readonly map: string;
  readonly incarnation: string;
  readonly maxEntries: number;
  readonly durability: 'written' | 'synced';
}

/** Journals as files, `DIR/journal/{map}.ring`. Whoever opens it holds the lock of the data directory. */
export class FileStore implements JournalStore {
  readonly #options: FileStoreOptions;
  readonly #directory: string;
  /** Started with the first file that the event loop cannot write. */
  #thread: CommitThread | undefined;
  /** Of the event loop. */
  #staging: Staging | undefined;
  readonly #memories = new RingMemories();
  readonly #waits: DiskWaits;
  readonly #open = new Set<Journal>();

  private constructor(options: FileStoreOptions, directory: string) {
    this.#options = options;
    this.#directory = directory;
    const { maxDiskWaitMs, clock, onRest } = options;
    this.#waits = new DiskWaits({ maxWaitMs: maxDiskWaitMs, clock, ...(onRest && { onRest }) });
  }

  static async open(options: FileStoreOptions): Promise<FileStore> {
    const directory = journalDirectory(options.directory);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return new FileStore(options, directory);
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
    const wanted = { map, incarnation, maxEntries, durability };
    const opened =
      existing === undefined ? await this.#create(path, wanted) : await this.#takeUp(existing, path, wanted);
    const { file, header, recovery, findings } = opened;
    const { salt, tableBytes } = header;
    const committer = this.#committerFor(file.fd, { durability, salt, tableBytes });
    const journal: Journal = new FileJournal({
      header,
      durability,
      recovery,
      findings,
      committer,
      pauses: new Pauses(this.#options.clock),
      close: async () => {
        // Not before: the thread may have writes of it in line.
        await committer.close();
        await file.close();
        this.#open.delete(journal);
      },
    });
    this.#open.add(journal);
    return journal;
  }

  /** The event loop never waits for a sync. */
  #committerFor(fd: number, kind: CommitFile): FileCommitter {
    const openInThread = (): FileCommitter => {
      if (this.#thread === undefined || this.#thread.hasEnded) this.#thread = new CommitThread();
      return this.#thread.open(fd, kind);
    };
    if (kind.durability === 'synced') return openInThread();
    const { clock } = this.#options;
    this.#staging ??= new Staging();
    return new LoopCommitter({
      fd,
      kind,
      staging: this.#staging,
      memories: this.#memories,
      waits: this.#waits,
      clock,
      openInThread,
    });
  }

  async remove(map: string): Promise<void> {
    await rm(journalPath(this.#directory, map), { force: true });
    await rm(quarantineDirectory(this.#directory, map), { force: true, recursive: true });
    await rm(unreadablePath(this.#directory, map), { force: true });
    await syncDirectory(this.#directory);
  }

  async close(): Promise<void> {
    const closed = await Promise.allSettled([...this.#open].map(async (journal) => journal.close()));
    await this.#thread?.close();
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  /** @param makeWay called before the new file takes its place */
  async #create(
    path: string,
    { map, incarnation, maxEntries, durability }: Wanted,
    makeWay: () => Promise<void> = () => Promise.resolve(),
  ): Promise<OpenedFile> {
    const header: FileHeader = {
      map,
      incarnation,
      maxEntries,
      tableBytes: tableBytesFor(this.#options.maxProducers),
      salt: newSalt(),
      createdMs: this.#options.clock.wallMs(),
    };
    const unfinished = `${path}.new`;
    await rm(unfinished, { force: true });
    const file = await DiskFile.open(unfinished, 'create');
    try {
      const last = await writeEmptyJournal(file, header, durability);
      await makeWay();
      await rename(unfinished, path);
      await syncDirectory(this.#directory);
      return { file, header, recovery: emptyRecovery(last), findings: [] };
    } catch (error) {
      await file.close();
      await rm(unfinished, { force: true });
      if (classifyFailure(error) === 'ENOSPC')
        throw new RingbufdError(
          'JOURNAL_SPACE',
          `the journal of map "${map}" takes ${fileSize(header.maxEntries, header.tableBytes)} bytes`,
          { cause: error },
        );
      throw error;
    }
  }

  async #takeUp(file: DiskFile, path: string, wanted: Wanted): Promise<OpenedFile> {
    const { map, maxEntries, durability } = wanted;
    const findings: JournalFinding[] = [];
    let quarantined: readonly Quarantine[] | undefined;
    try {
      const read = await readHeader(file);
      if (typeof read === 'string') throw new RingbufdError('JOURNAL_DAMAGED', `${path}: ${read}`);
      const header = read.fields;
      if (header.map !== map)
        throw new RingbufdError('JOURNAL_DAMAGED', `${path} is the journal of map "${header.map}"`);
      if (header.maxEntries !== maxEntries)
        throw new RingbufdError(
          'JOURNAL_SIZE',
          `map "${map}": max_entries is ${maxEntries}, its journal ${path} has ${header.maxEntries}`,
        );
      if (read.damagedAt.length > 0) {
        await repairHeader(file, read);
        for (const at of read.damagedAt)
          findings.push({
            kind: 'header_repaired',
            message: `${headerName(at)} did not verify and was written anew from the other copy`,
            file: '',
          });
      }
      const aside = quarantineFiles(
        this.#options.directory,
        map,
        header.incarnation,
        this.#options.maxQuarantineBytes,
      );
      const recovery = await recover(file, header, aside, (...progress) =>
        this.#options.onProgress?.(map, ...progress),
      );
      // Of what is only written, a loss of power may leave no commit. One that was synced cannot end like that: it is damaged.
      if (recovery === undefined && (durability === 'synced' || (await hasSeal(file))))
        throw new RingbufdError('JOURNAL_DAMAGED', `${path}: no commit record verifies`);
      if (recovery !== undefined) {
        const tableBytes = tableBytesFor(this.#options.maxProducers);
        if (header.tableBytes >= tableBytes) return { file, header, recovery, findings };
        // The limit was raised: the tables have to grow.
        await rebuildJournal(path, header, recovery, { maxEntries, tableBytes });
        quarantined = recovery.found?.quarantined ?? [];
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
    if (quarantined === undefined) return this.#startAnew(path, wanted);
    const again = await this.#takeUp(await DiskFile.open(path, 'write'), path, wanted);
    const { found } = again.recovery;
    return {
      ...again,
      findings,
      ...(found !== undefined && { recovery: { ...again.recovery, found: { ...found, quarantined } } }),
    };
  }

  /** Keeps a file aside in which nothing can be used, and begins an empty one of another incarnation. */
  async #startAnew(path: string, wanted: Wanted): Promise<OpenedFile> {
    const aside = unreadablePath(this.#directory, wanted.map);
    await mkdir(dirname(aside), { recursive: true, mode: 0o700 });
    const opened = await this.#create(path, wanted, async () => {
      await rename(path, aside);
      await syncDirectory(dirname(aside));
    });
    const message =
      'no commit record verified, as a loss of power may leave a map of durability "written": it starts empty, with a new incarnation';
    const file = relative(this.#options.directory, aside);
    return { ...opened, findings: [{ kind: 'file_set_aside', message, file }] };
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
