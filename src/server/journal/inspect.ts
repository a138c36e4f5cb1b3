import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RecordChecksum } from './checksum.js';
import { chooseCommit, type ChosenCommit } from './commit-choice.js';
import { DirectoryLock } from './directory-lock.js';
import { headerName, readHeader, type FileHeader, type ReadHeader } from './file-header.js';
import type { Durability, KeptCounters, KeptProducer } from './journal.js';
import { DiskFile } from './journal-file.js';
import { journalDirectory } from './journal-paths.js';
import { scanRecords } from './record-scan.js';
import { LENGTH_MASK, type RecordKind } from './record-words.js';

export interface InspectedRecord {
  readonly position: bigint;
  readonly kind: RecordKind;
  /** Bytes of the payload. */
  readonly length: number;
}

/** Bytes that do not verify. */
export interface InspectedDamage {
  readonly position: bigint;
  readonly bytes: number;
}

/** Everything that a journal file says, and what is wrong with it. */
export interface JournalReport {
  readonly file: string;
  readonly header: FileHeader;
  /** A daemon has the data directory: what is told here may have changed meanwhile. */
  readonly live: boolean;
  readonly commit: {
    readonly number: number;
    readonly durability: Durability;
    readonly producerPos: bigint;
    readonly consumerPos: bigint;
  };
  /** Number of a newer commit that is not complete: cut short by a crash, or under way. */
  readonly incomplete: number | undefined;
  readonly counters: KeptCounters;
  readonly producers: readonly KeptProducer[];
  readonly records: Readonly<Record<RecordKind, number>>;
  /** Payload bytes of the samples. */
  readonly sampleBytes: number;
  /** The first records, at most as many as were asked for. */
  readonly list: readonly InspectedRecord[];
  readonly damage: readonly InspectedDamage[];
  /** Damage outside the records, in words. */
  readonly notes: readonly string[];
}

/** A file that could not be read as a journal. */
export interface UnreadableJournal {
  readonly file: string;
  readonly problem: string;
}

/** Reads of a live file until damage counts: what a commit is writing over right now looks damaged once. */
const LIVE_READS = 5;

/**
 * Looks at one journal file or at all of a data directory. Reads only, also beside a running daemon.
 * @param path a file, a data directory, or its journal directory
 * @param limit records that are listed of each file
 * @throws Error when there is nothing at `path`
 */
export async function inspectJournals(
  path: string,
  limit: number,
): Promise<(JournalReport | UnreadableJournal)[]> {
  const found = await stat(path);
  const files = found.isDirectory() ? await journalsIn(path) : [path];
  const reports = [];
  for (const file of files) reports.push(await inspectFile(file, limit));
  return reports;
}

async function journalsIn(path: string): Promise<string[]> {
  const inside = await stat(journalDirectory(path)).catch(() => undefined);
  const directory = inside?.isDirectory() === true ? journalDirectory(path) : path;
  const names = await readdir(directory);
  return names
    .filter((name) => name.endsWith('.ring'))
    .sort()
    .map((name) => join(directory, name));
}

async function inspectFile(path: string, limit: number): Promise<JournalReport | UnreadableJournal> {
  const directory = dirname(path);
  const live = basename(directory) === 'journal' && (await DirectoryLock.isHeld(dirname(directory)));
  let file: DiskFile;
  try {
    file = await DiskFile.open(path, 'read');
  } catch (error) {
    return { file: path, problem: error instanceof Error ? error.message : String(error) };
  }
  try {
    const header = await readHeader(file);
    if (typeof header === 'string') return { file: path, problem: header };
    let report: JournalReport | undefined;
    for (let read = 0; read < (live ? LIVE_READS : 1); read++) {
      const chosen = await chooseCommit(file, header.fields);
      if (chosen === undefined) return { file: path, problem: 'no commit record verifies' };
      const next = reportOf(path, header, live, chosen, limit);
      report = { ...next, damage: next.damage.filter((damage) => isKnown(damage, report)) };
      if (next.damage.length === 0) break;
    }
    return report ?? { file: path, problem: 'it was not read' };
  } catch (error) {
    return { file: path, problem: error instanceof Error ? error.message : String(error) };
  } finally {
    await file.close();
  }
}

/** Whether an earlier read has seen the same damage; the first one is believed. */
function isKnown(damage: InspectedDamage, earlier: JournalReport | undefined): boolean {
  return (
    earlier === undefined ||
    earlier.damage.some(({ position, bytes }) => position === damage.position && bytes === damage.bytes)
  );
}

function reportOf(
  file: string,
  { fields: header, damagedAt }: ReadHeader,
  live: boolean,
  { commit, states, words, rejected, notes }: ChosenCommit,
  limit: number,
): JournalReport {
  const records = { sample: 0, discard: 0, reservation: 0 };
  const list: InspectedRecord[] = [];
  const damage: InspectedDamage[] = [];
  let sampleBytes = 0;
  scanRecords(words, commit.consumerPos, new RecordChecksum(header.salt), (offset, bytes, kind) => {
    const position = commit.consumerPos + BigInt(offset);
    if (kind === 'damaged') {
      damage.push({ position, bytes });
      return;
    }
    const length = words[offset >> 2]! & LENGTH_MASK;
    records[kind]++;
    if (kind === 'sample') sampleBytes += length;
    if (list.length < limit) list.push({ position, kind, length });
  });
  return {
    file,
    header,
    live,
    commit,
    incomplete: rejected[0],
    counters: commit.counters,
    producers: states,
    records,
    sampleBytes,
    list,
    damage,
    notes: [...damagedAt.map((at) => `${headerName(at)} does not verify: the next start mends it`), ...notes],
  };
}
