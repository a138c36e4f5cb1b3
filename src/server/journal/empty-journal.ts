import { randomBytes } from 'node:crypto';
import { completeCommit, encodeCommit, NO_COUNTERS, type CommitRecord } from './commit-record.js';
import { encodeHeader, type FileHeader } from './file-header.js';
import type { DiskFile, JournalFile } from './journal-file.js';
import { commitSlotAt, fileSize, HEADER_COPIES_AT, imageAt, tableAt } from './layout.js';
import { NO_TABLE } from './producer-book.js';

const ZEROS = new Uint8Array(1024 * 1024);

/** A salt that no other file has. */
export function newSalt(): Int32Array {
  return new Int32Array(new Uint8Array(randomBytes(16)).buffer);
}

/**
 * Writes a journal that holds nothing yet. All but the producer tables, of which most maps need little, is written and
 * not left as holes: a map that could be created does not run out of disk later.
 *
 * The headers are on the disk when this resolves, whatever the durability: they are written once, and no later commit
 * could bring them back.
 */
export async function writeEmptyJournal(
  file: DiskFile,
  header: FileHeader,
  durability: 'written' | 'synced',
): Promise<CommitRecord> {
  const size = fileSize(header.maxEntries, header.tableBytes);
  await file.truncate(size);
  await writeZeros(file, 0, tableAt(0, 0, header.tableBytes));
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
    runs: [],
    table: NO_TABLE,
  };
  await file.write(commitSlotAt(0), completeCommit(encodeCommit(last, []), last.digest));
  if (durability === 'written') await file.sync();
  await writeZeros(file, imageAt(header.tableBytes), size);
  if (durability === 'synced') await file.sync();
  return last;
}

async function writeZeros(file: JournalFile, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += ZEROS.length)
    await file.write(at, ZEROS.subarray(0, Math.min(ZEROS.length, to - at)));
}
