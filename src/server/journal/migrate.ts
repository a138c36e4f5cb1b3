import { resolve } from 'node:path';
import { RingbufdError } from '../errors.js';
import { RegistryFile } from '../registry/registry-file.js';
import { DirectoryLock } from './directory-lock.js';
import { readHeader, repairHeader } from './file-header.js';
import type { RecoveredMap } from './journal.js';
import { DiskFile } from './journal-file.js';
import { journalDirectory, journalPath } from './journal-paths.js';
import { quarantineFiles } from './quarantine.js';
import { rebuildJournal } from './rebuild.js';
import { recover } from './recovery.js';

/** What became of a journal. */
export interface Migration {
  readonly path: string;
  /** Bytes of the ring before and after. */
  readonly before: number;
  readonly after: number;
  readonly found: RecoveredMap;
  /** The registry has the map, with the new size: it was made over REST. Else the configuration file has its size. */
  readonly kept: boolean;
}

/**
 * Gives the journal of a map another ring size, while no daemon runs on the data directory.
 * @param maxEntries of the new ring, valid
 * @throws RingbufdError DATA_DIR_LOCKED, NO_MAP, JOURNAL_DAMAGED, NEVER_FITS, REGISTRY_DAMAGED, REGISTRY_NOT_WRITTEN
 */
export async function migrateJournal(dataDir: string, map: string, maxEntries: number): Promise<Migration> {
  const lock = await DirectoryLock.acquire(dataDir);
  try {
    const directory = journalDirectory(dataDir);
    const path = journalPath(directory, map);
    const file = await DiskFile.open(path, 'write').catch((error: unknown) => {
      throw new RingbufdError('NO_MAP', `there is no journal ${path}`, { cause: error });
    });
    try {
      const read = await readHeader(file);
      if (typeof read === 'string') throw new RingbufdError('JOURNAL_DAMAGED', `${path}: ${read}`);
      const header = read.fields;
      if (read.damagedAt.length > 0) await repairHeader(file, read);
      const aside = quarantineFiles(dataDir, map, header.incarnation, header.maxEntries);
      const recovery = await recover(file, header, aside);
      if (recovery?.found === undefined)
        throw new RingbufdError('JOURNAL_DAMAGED', `${path}: no commit record verifies`);
      const { found } = recovery;
      const buffered = found.producerPos - found.consumerPos;
      if (buffered > BigInt(maxEntries))
        throw new RingbufdError(
          'NEVER_FITS',
          `${buffered} bytes are in the ring of map "${map}": drain it first`,
        );
      const registry = new RegistryFile(resolve(dataDir));
      const content = await registry.read();
      if (header.maxEntries !== maxEntries)
        await rebuildJournal(path, header, recovery, { maxEntries, tableBytes: header.tableBytes });
      // The next start compares both sizes. Also when only this was left undone, by a crash in between.
      const entry = content.maps.find(({ name }) => name === map);
      if (entry !== undefined && entry.max_entries !== maxEntries) {
        entry.max_entries = maxEntries;
        await registry.write(content);
      }
      return { path, before: header.maxEntries, after: maxEntries, found, kept: entry !== undefined };
    } finally {
      await file.close();
    }
  } finally {
    await lock.release();
  }
}
