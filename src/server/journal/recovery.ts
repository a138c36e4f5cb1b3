import { RecordChecksum } from './checksum.js';
import { chooseCommit, type ChosenCommit, type OnProgress } from './commit-choice.js';
import { encodeSeal, type CommitRecord } from './commit-record.js';
import { BPF_RINGBUF_HDR_SZ, DYNPTR_MAX_SIZE } from '../../ring/index.js';
import type { FileHeader } from './file-header.js';
import type { KeptProducer, Quarantine, RecoveredMap } from './journal.js';
import type { JournalFile } from './journal-file.js';
import { COMMIT_SIZES, commitSlotAt, sealAt, SECTOR_BYTES } from './layout.js';
import { RecordScan, scanInSteps } from './record-scan.js';
import { BUSY_MASK, DISCARD_MASK } from './record-words.js';

/** What a journal starts from. */
export interface Recovery {
  /** `undefined`: the file is new. */
  readonly found: RecoveredMap | undefined;
  /** The commit that stands. */
  readonly last: CommitRecord;
  /** The highest commit number that the file has seen. */
  readonly newestNumber: number;
  readonly states: readonly KeptProducer[];
  /** Ring bytes from `start` on. */
  readonly records: Uint8Array;
  readonly start: bigint;
  /** Records that are discards now and not yet on disk. */
  readonly repairs: readonly bigint[];
}

/** Keeps damaged bytes, on disk before it resolves. */
export type KeepAside = (position: bigint, bytes: Uint8Array, reason: string) => Promise<Quarantine>;

const REASON = 'the checksum does not match';

/** Bytes of the longest discard that a drain skips. */
const LONGEST_DISCARD = BPF_RINGBUF_HDR_SZ + (DYNPTR_MAX_SIZE & ~7);

/**
 * Takes a file up again after whatever happened to it: cuts a torn tail, keeps damaged stretches aside and makes
 * discards of them and of reservations. The file itself changes as little as that takes: the rest is the first commit's.
 * @returns undefined when no commit record verifies
 */
export async function recover(
  file: JournalFile,
  header: FileHeader,
  keepAside: KeepAside,
  onProgress: OnProgress = () => undefined,
): Promise<Recovery | undefined> {
  const chosen = await chooseCommit(file, header, onProgress);
  if (chosen === undefined) return undefined;
  for (const number of chosen.rejected) await eraseCommit(file, number);
  for (const at of chosen.tornAt) await file.write(at, new Uint8Array(SECTOR_BYTES));
  if (chosen.commit.durability === 'synced') {
    // What was read may be in the page cache only; what is said to be kept has to be on the disk. And the seal has to be
    // there, behind all that it vouches for, before the first commit changes a record that the digest covers.
    await file.sync();
    await file.write(sealAt(chosen.commit.number), encodeSeal(chosen.commit.number));
    await file.sync();
  }
  return { ...(await mend(chosen, header, keepAside, onProgress)), last: chosen.commit };
}

/** A commit that was cut short must not count once a newer one makes it look like a durable one. */
async function eraseCommit(file: JournalFile, number: number): Promise<void> {
  const zeros = new Uint8Array(SECTOR_BYTES);
  for (const at of [0, ...COMMIT_SIZES]) await file.write(commitSlotAt(number) + at, zeros);
}

async function mend(
  chosen: ChosenCommit,
  header: FileHeader,
  keepAside: KeepAside,
  onProgress: OnProgress,
): Promise<Omit<Recovery, 'last'>> {
  const { commit, words, states } = chosen;
  const start = commit.consumerPos;
  const buffered = { samples: 0, discards: 0, sampleBytes: 0 };
  const repairs: bigint[] = [];
  const damaged: { offset: number; bytes: number }[] = [];
  const scan = new RecordScan(words, start, new RecordChecksum(header.salt), (offset, bytes, kind) => {
    const word = offset >> 2;
    if (kind === 'damaged') {
      damaged.push({ offset, bytes });
      return;
    }
    words[word + 1] = 0;
    if (kind === 'sample') {
      buffered.samples++;
      buffered.sampleBytes += bytes;
      return;
    }
    buffered.discards++;
    if (kind === 'discard') return;
    words[word] = (words[word]! & ~BUSY_MASK) | DISCARD_MASK;
    repairs.push(start + BigInt(offset));
  });
  await scanInSteps(scan, (done) => onProgress('verifying', done, words.byteLength));
  const records = new Uint8Array(words.buffer);
  const quarantined: Quarantine[] = [];
  for (const { offset, bytes } of damaged) {
    const stretch = records.subarray(offset, offset + bytes);
    quarantined.push(await keepAside(start + BigInt(offset), stretch.slice(), REASON));
    stretch.fill(0);
    for (let done = 0; done < bytes; done += LONGEST_DISCARD) {
      const total = Math.min(bytes - done, LONGEST_DISCARD);
      words[(offset + done) >> 2] = (total - BPF_RINGBUF_HDR_SZ) | DISCARD_MASK;
      repairs.push(start + BigInt(offset + done));
    }
  }
  return {
    found: {
      incarnation: header.incarnation,
      producerPos: commit.producerPos,
      consumerPos: commit.consumerPos,
      producers: states,
      counters: commit.counters,
      runs: commit.runs,
      quarantined,
      buffered,
    },
    newestNumber: chosen.newestNumber,
    states,
    records,
    start,
    repairs,
  };
}
