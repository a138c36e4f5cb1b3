import { mkdir, open, readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { RingbufdError } from '../errors.js';
import { classifyFailure } from './failure.js';
import type { Quarantine } from './journal.js';
import { journalDirectory, quarantineDirectory } from './journal-paths.js';
import type { KeepAside } from './recovery.js';

/**
 * Keeps damaged bytes of one map as files, one a stretch, named by incarnation and position: who recovers twice writes
 * the same file twice.
 * The folder is made when it is needed. Files are named from the data directory on: where that is, is nobody's business.
 * @param limit bytes that all files of the map may take; what does not fit is reported and not kept
 */
export function quarantineFiles(dataDir: string, map: string, incarnation: string, limit: number): KeepAside {
  const directory = quarantineDirectory(journalDirectory(dataDir), map);
  return async (position, bytes, reason): Promise<Quarantine> => {
    const name = `${incarnation}-${position}.bin`;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const taken = await bytesIn(directory, name);
    const path = join(directory, name);
    const kept = { position, bytes: bytes.length, file: relative(dataDir, path), reason };
    if (taken + bytes.length > limit)
      return { ...kept, file: '', reason: `${reason}; not kept, the quarantine of the map is full` };
    try {
      const file = await open(path, 'w', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      // Nothing is lost yet: the journal holds the bytes until they are kept here.
      if (classifyFailure(error) === 'ENOSPC')
        throw new RingbufdError(
          'JOURNAL_SPACE',
          `${bytes.length} damaged bytes of map "${map}" have to be kept in ${kept.file}`,
          { cause: error },
        );
      throw error;
    }
    return kept;
  };
}

async function bytesIn(directory: string, except: string): Promise<number> {
  let sum = 0;
  for (const name of await readdir(directory))
    if (name !== except) sum += (await stat(join(directory, name))).size;
  return sum;
}
