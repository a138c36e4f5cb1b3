import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createUserRing } from '../../ring/index.js';
import { systemClock } from '../clock.js';
import { CommitWriter } from './commit-writer.js';
import { newSalt, writeEmptyJournal } from './empty-journal.js';
import { Pauses } from './failure.js';
import { FileJournal } from './file-journal.js';
import type { FileHeader } from './file-header.js';
import type { JournalHost } from './journal.js';
import { DiskFile } from './journal-file.js';
import { syncDirectory } from './journal-paths.js';
import { NO_TABLE } from './producer-book.js';
import type { Recovery } from './recovery.js';
import { Staging } from './staging.js';

/**
 * Writes what was recovered into a new file with another ring size or other room for producers, and puts it in the place
 * of the old one in one step. Positions and incarnation stay.
 * @param path of the old file, which stays as it is when this throws
 * @throws RangeError when the content does not fit
 */
export async function rebuildJournal(
  path: string,
  header: FileHeader,
  recovery: Recovery,
  sizes: { maxEntries: number; tableBytes: number },
): Promise<void> {
  const { found, last } = recovery;
  if (found === undefined) throw new Error('nothing was recovered');
  const buffered = found.producerPos - found.consumerPos;
  if (buffered > BigInt(sizes.maxEntries))
    throw new RangeError(`${buffered} bytes are in the ring, the new one has ${sizes.maxEntries}`);
  const newHeader: FileHeader = { ...header, ...sizes, salt: newSalt() };
  const unfinished = `${path}.new`;
  await rm(unfinished, { force: true });
  const file = await DiskFile.open(unfinished, 'create');
  try {
    const empty = await writeEmptyJournal(file, newHeader, last.durability);
    const { consumerPos } = found;
    // As if the ring had been emptied just here: the first commit then writes everything that it holds.
    const start = {
      ...empty,
      producerPos: consumerPos,
      consumerPos,
      rangeStart: consumerPos,
      table: NO_TABLE,
    };
    const { durability } = last;
    const journal = new FileJournal({
      header: newHeader,
      durability,
      recovery: { ...recovery, last: start, newestNumber: empty.number },
      committer: new CommitWriter(file, { durability, ...newHeader }, new Staging()),
      pauses: new Pauses(systemClock),
      // It is closed below, whatever happens.
      close: () => Promise.resolve(),
    });
    journal.attach(hostOf(recovery, sizes.maxEntries));
    await journal.close();
    if (journal.failed) throw new Error('the new file could not be written');
    await file.sync();
    await rename(unfinished, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** A map that stands still. */
function hostOf({ found }: Recovery, maxEntries: number): JournalHost {
  if (found === undefined) throw new Error('nothing was recovered');
  const { producerPos, consumerPos, producers, counters, runs } = found;
  let failure: Error | undefined;
  return {
    ring: createUserRing({ maxEntries }, { mode: 'managed' }),
    snapshot: () => ({ producerPos, consumerPos, producers, forgotten: [], counters, runs }),
    durable: () => {
      if (failure !== undefined) throw failure;
    },
    failed: (errno, error) => void (failure = new Error(errno, { cause: error })),
  };
}
