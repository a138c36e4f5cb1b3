import { mkdir, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Quarantine } from './journal.js';
import type { KeepAside } from './recovery.js';

/**
 * Keeps damaged bytes of one map as files, one a stretch, named by incarnation and position: who recovers twice writes
 * the same file twice.
 * @param directory made when it is needed
 * @param limit bytes that all files of the map may take; what does not fit is reported and not kept
 */
export function quarantineFiles(directory: string, incarnation: string, limit: number): KeepAside {
  return async (position, bytes, reason): Promise<Quarantine> => {
    const name = `${incarnation}-${position}.bin`;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const taken = await bytesIn(directory, name);
    const kept = { position, bytes: bytes.length, file: join(directory, name), reason };
    if (taken + bytes.length > limit)
      return { ...kept, file: '', reason: `${reason}; not kept, the quarantine of the map is full` };
    const file = await open(kept.file, 'w', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
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
