import { addToDigest, RecordChecksum } from './checksum.js';
import { decodeSeal, readSlot, tornCopies, type ReadCommit } from './commit-record.js';
import type { FileHeader } from './file-header.js';
import type { KeptProducer } from './journal.js';
import { readPadded, type JournalFile } from './journal-file.js';
import {
  COMMIT_SLOT_BYTES,
  COMMIT_SLOTS,
  commitSlotAt,
  dataAt,
  SECTOR_BYTES,
  sealAt,
  tableAt,
} from './layout.js';
import { decodeTable } from './producer-book.js';
import { RecordScan, scanInSteps } from './record-scan.js';
import { lowHalf, type RecordKind } from './record-words.js';

/** Told how far the recovery of a journal is: bytes done, of so many. First everything is read, then it is verified. */
export type OnProgress = (phase: 'reading' | 'verifying', done: number, total: number) => void;

/** Bytes of one read: what a slow disk takes a fraction of a second for. */
const READ_BYTES = 8 * 1024 * 1024;

/**
 * Numbers behind the newest commit that may have been used in vain: each loss of power can cost two. What is further away
 * is a flipped bit, and would use up numbers for nothing.
 */
const MOST_NUMBERS_LOST = 1024;

/** A stretch of records, as the scan of the chosen commit found it. */
export interface ScannedRecord {
  readonly offset: number;
  readonly bytes: number;
  readonly kind: RecordKind | 'damaged';
}

/** The commit that a file stands for. */
export interface ChosenCommit {
  readonly commit: ReadCommit;
  readonly states: readonly KeptProducer[];
  /** The records from consumerPos to producerPos, as they are on disk. */
  readonly words: Int32Array;
  /** Numbers of newer commits that a crash cut short. */
  readonly rejected: readonly number[];
  /**
   * Where in the file the first sectors are of a commit that no copy holds as a whole: a later one of the same number could
   * complete them.
   */
  readonly tornAt: readonly number[];
  /** The highest number in the file. */
  readonly newestNumber: number;
  /** Damage outside the records, in words. */
  readonly notes: readonly string[];
}

/**
 * Finds the newest commit that counts. Reads only.
 *
 * A commit counts when it is known to have been complete: its records verify and give its digest, or it has its seal, or
 * a newer commit is there (which is only begun behind a durable one), or its durability is `written` (a commit record is
 * then handed to the operating system behind everything that it covers). What does not verify in a commit that counts
 * is damage; in one that does not, a torn tail.
 * @returns undefined when no commit record verifies
 */
export async function chooseCommit(
  file: JournalFile,
  header: FileHeader,
  onProgress: OnProgress = () => undefined,
): Promise<ChosenCommit | undefined> {
  const commits: ReadCommit[] = [];
  const torn: { at: number; number: number }[] = [];
  for (let slot = 0; slot < COMMIT_SLOTS; slot++) {
    const bytes = await readPadded(file, commitSlotAt(slot), COMMIT_SLOT_BYTES);
    for (const { at, number } of tornCopies(bytes))
      if (number % COMMIT_SLOTS === slot) torn.push({ at: commitSlotAt(slot) + at, number });
    const found = readSlot(bytes);
    if (found !== undefined && isPossible(found, header)) commits.push(found);
  }
  commits.sort((a, b) => b.number - a.number);
  const newest = commits[0];
  if (newest === undefined) return undefined;
  const sealed =
    newest.durability === 'written' ||
    decodeSeal(await readPadded(file, sealAt(newest.number), SECTOR_BYTES)) === newest.number;
  const unfinished = torn.filter(
    ({ number }) => number > newest.number && number < newest.number + MOST_NUMBERS_LOST,
  );
  const tornAt = unfinished.map(({ at }) => at);
  const newestNumber = Math.max(newest.number, ...unfinished.map(({ number }) => number));
  const choice = await readCommit(file, header, newest, onProgress);
  const older = commits[1];
  if (sealed || older === undefined || (choice.isComplete && choice.notes.length === 0))
    return { ...choice, rejected: [], tornAt, newestNumber };
  return {
    ...(await readCommit(file, header, older, onProgress)),
    rejected: [newest.number],
    tornAt,
    newestNumber,
  };
}

/** Whether any commit was ever sealed here: only a journal that was synced does that. */
export async function hasSeal(file: JournalFile): Promise<boolean> {
  for (let slot = 0; slot < COMMIT_SLOTS; slot++) {
    if (decodeSeal(await readPadded(file, sealAt(slot), SECTOR_BYTES)) !== undefined) return true;
  }
  return false;
}

function isPossible({ producerPos, consumerPos }: ReadCommit, { maxEntries }: FileHeader): boolean {
  const used = producerPos - consumerPos;
  return used >= 0n && used <= BigInt(maxEntries) && producerPos % 8n === 0n && consumerPos % 8n === 0n;
}

async function readCommit(file: JournalFile, header: FileHeader, commit: ReadCommit, onProgress: OnProgress) {
  const words = await readRecords(file, header, commit, onProgress);
  const notes: string[] = [];
  const states = await readStates(file, header, commit, notes);
  return { commit, states, words, notes, isComplete: await isComplete(words, header, commit) };
}

/** Whether the records that a commit added are all there, and are those that it added. */
async function isComplete(words: Int32Array, header: FileHeader, commit: ReadCommit): Promise<boolean> {
  const { rangeStart, producerPos, consumerPos } = commit;
  const from = Number((rangeStart > consumerPos ? rangeStart : consumerPos) - consumerPos);
  const added = words.subarray(from >> 2);
  let digest = 0;
  let whole = true;
  const scan = new RecordScan(
    added,
    producerPos - BigInt(added.byteLength),
    new RecordChecksum(header.salt),
    (offset, _, kind) => {
      if (kind === 'damaged') whole = false;
      else digest = addToDigest(digest, added[(offset >> 2) + 1]!);
    },
    0,
  );
  await scanInSteps(scan, () => undefined);
  return whole && digest === commit.digest;
}

async function readRecords(
  file: JournalFile,
  header: FileHeader,
  commit: ReadCommit,
  onProgress: OnProgress,
): Promise<Int32Array> {
  const bytes = new Uint8Array(Number(commit.producerPos - commit.consumerPos));
  const data = dataAt(header.tableBytes);
  const offset = lowHalf(commit.consumerPos) & (header.maxEntries - 1);
  for (let done = 0; done < bytes.length;) {
    const at = (offset + done) & (header.maxEntries - 1);
    const length = Math.min(bytes.length - done, header.maxEntries - at, READ_BYTES);
    // A file that was cut short has zeros there: they do not verify.
    await file.read(data + at, bytes.subarray(done, done + length));
    done += length;
    onProgress('reading', done, bytes.length);
  }
  return new Int32Array(bytes.buffer);
}

async function readStates(
  file: JournalFile,
  header: FileHeader,
  { table, changes }: ReadCommit,
  notes: string[],
): Promise<KeptProducer[]> {
  const states = new Map<string, KeptProducer>();
  if (table.generation > 0) {
    const found = await readTable(file, header, table);
    if (typeof found === 'string') notes.push(`producer table ${table.generation}: ${found}`);
    else for (const state of found) states.set(state.id, state);
  }
  for (const change of changes)
    if (change.kind === 'forgotten') states.delete(change.id);
    else states.set(change.state.id, change.state);
  return [...states.values()];
}

async function readTable(
  file: JournalFile,
  { tableBytes }: FileHeader,
  wanted: ReadCommit['table'],
): Promise<KeptProducer[] | string> {
  let reason = '';
  for (const copy of [0, 1] as const) {
    const bytes = new Uint8Array(tableBytes);
    await file.read(tableAt(wanted.generation, copy, tableBytes), bytes);
    const found = decodeTable(bytes, wanted);
    if (typeof found !== 'string') return found;
    reason = found;
  }
  return reason;
}
