import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the journals of a data directory are. */
export function journalDirectory(dataDir: string): string {
  return join(dataDir, 'journal');
}

/** The journal of a map. */
export function journalPath(directory: string, map: string): string {
  return join(directory, `${map}.ring`);
}

/** Where damaged bytes of a map are kept. */
export function quarantineDirectory(directory: string, map: string): string {
  return join(directory, 'quarantine', map);
}

/** Where the file of a map is put that holds nothing that could be used. One for each map. */
export function unreadablePath(directory: string, map: string): string {
  return join(directory, 'unreadable', `${map}.ring`);
}

/** A rename or a removal is on the disk only when its directory is. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
