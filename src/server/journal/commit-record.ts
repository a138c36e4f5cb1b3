import { structureCrc } from './checksum.js';
import type { Durability, KeptCounters, KeptRun } from './journal.js';
import {
  commit,
  COMMIT_MAGIC,
  COMMIT_SIZES,
  COMMIT_SLOT_BYTES,
  commitSlotAt,
  RUN_BYTES,
  seal,
  SEAL_MAGIC,
  SECTOR_BYTES,
} from './layout.js';
import type { TableReference } from './producer-book.js';
import { decodeEntries, type ProducerEntry } from './producer-entries.js';

/** A moment of the map, as the file holds it. */
export interface CommitRecord {
  /** 0, 1, 2…, and never the same twice in one file. */
  readonly number: number;
  readonly producerPos: bigint;
  readonly consumerPos: bigint;
  /** The digest covers the records from here to producerPos. */
  readonly rangeStart: bigint;
  readonly digest: number;
  readonly durability: Exclude<Durability, 'memory'>;
  readonly counters: KeptCounters;
  readonly runs: readonly KeptRun[];
  readonly table: TableReference;
}

/** A commit record as it was read. */
export interface ReadCommit extends CommitRecord {
  readonly changes: readonly ProducerEntry[];
}

const DURABILITIES = ['memory', 'written', 'synced'] as const;
const COUNTERS = [
  'acceptedSamples',
  'acceptedBytes',
  'drainedSamples',
  'discardedSamples',
  'discardedBytes',
  'releasedBytes',
  'deadLetteredSamples',
  'deadLetteredBytes',
  'quarantinedSamples',
  'quarantinedBytes',
] as const satisfies readonly (keyof KeptCounters)[];

export const NO_COUNTERS: KeptCounters = {
  acceptedSamples: 0,
  acceptedBytes: 0,
  drainedSamples: 0,
  discardedSamples: 0,
  discardedBytes: 0,
  releasedBytes: 0,
  deadLetteredSamples: 0,
  deadLetteredBytes: 0,
  quarantinedSamples: 0,
  quarantinedBytes: 0,
};

/**
 * Both copies of a commit record, in one piece, for {@link commitSlotAt}; {@link completeCommit} makes them valid, once the
 * records that they speak of have been read.
 */
export function encodeCommit(
  record: Omit<CommitRecord, 'digest'>,
  changes: readonly Uint8Array[],
): Uint8Array {
  let length: number = commit.body + RUN_BYTES * record.runs.length;
  for (const bytes of changes) length += bytes.length;
  const size = COMMIT_SIZES.find((candidate) => length <= candidate);
  if (size === undefined) throw new RangeError(`a commit record of ${length} bytes`);
  const bytes = new Uint8Array(2 * size);
  const view = new DataView(bytes.buffer);
  view.setUint32(commit.magic, COMMIT_MAGIC, true);
  view.setBigUint64(commit.number, BigInt(record.number), true);
  view.setBigUint64(commit.producerPos, record.producerPos, true);
  view.setBigUint64(commit.consumerPos, record.consumerPos, true);
  view.setBigUint64(commit.rangeStart, record.rangeStart, true);
  view.setUint8(commit.durability, DURABILITIES.indexOf(record.durability));
  view.setUint16(commit.changes, changes.length, true);
  view.setUint32(commit.length, length, true);
  view.setUint32(commit.tableCrc, record.table.crc, true);
  view.setBigUint64(commit.tableGeneration, BigInt(record.table.generation), true);
  COUNTERS.forEach((name, index) =>
    view.setBigUint64(commit.counters + 8 * index, BigInt(record.counters[name]), true),
  );
  view.setUint32(commit.runs, record.runs.length, true);
  let at: number = commit.body;
  for (const { handle, bytes: size } of record.runs) {
    view.setUint32(at, handle, true);
    view.setUint32(at + 4, size, true);
    at += RUN_BYTES;
  }
  for (const change of changes) {
    bytes.set(change, at);
    at += change.length;
  }
  return bytes;
}

/**
 * Puts in what {@link encodeCommit} has left open.
 * @param digest of the records that the commit adds
 * @returns the same bytes
 */
export function completeCommit(bytes: Uint8Array, digest: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(commit.length, true);
  view.setInt32(commit.digest, digest, true);
  view.setUint32(commit.crc, structureCrc(bytes, commit.crc, length), true);
  bytes.copyWithin(bytes.length / 2, 0, length);
  return bytes;
}

/** The commit in a slot's bytes: its newest copy that verifies. */
export function readSlot(slot: Uint8Array): ReadCommit | undefined {
  let newest: ReadCommit | undefined;
  for (const at of [0, ...COMMIT_SIZES]) {
    const found = decodeCommit(slot.subarray(at));
    if (found !== undefined && (newest === undefined || found.number > newest.number)) newest = found;
  }
  return newest;
}

/** A copy whose first sector is there and which does not verify: what a loss of power has left of a write. */
export interface TornCopy {
  /** Where in the slot it begins. */
  readonly at: number;
  /** Nothing that a checksum vouches for. */
  readonly number: number;
}

export function tornCopies(slot: Uint8Array): TornCopy[] {
  const view = new DataView(slot.buffer, slot.byteOffset, slot.byteLength);
  const torn: TornCopy[] = [];
  /** What lies in a copy that verifies is not the start of another one, whatever it looks like. */
  let wholeUntil = 0;
  for (const at of [0, ...COMMIT_SIZES]) {
    if (at < wholeUntil || view.getUint32(at + commit.magic, true) !== COMMIT_MAGIC) continue;
    if (decodeCommit(slot.subarray(at)) === undefined)
      torn.push({ at, number: Number(view.getBigUint64(at + commit.number, true)) });
    else wholeUntil = at + view.getUint32(at + commit.length, true);
  }
  return torn;
}

function decodeCommit(bytes: Uint8Array): ReadCommit | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(commit.length, true);
  if (view.getUint32(commit.magic, true) !== COMMIT_MAGIC || length < commit.body || length > bytes.length)
    return undefined;
  if (view.getUint32(commit.crc, true) !== structureCrc(bytes, commit.crc, length)) return undefined;
  const durability = DURABILITIES[view.getUint8(commit.durability)];
  if (durability === undefined || durability === 'memory') return undefined;
  const u64 = (at: number): bigint => view.getBigUint64(at, true);
  const counters = { ...NO_COUNTERS } as Record<keyof KeptCounters, number>;
  COUNTERS.forEach((name, index) => (counters[name] = Number(u64(commit.counters + 8 * index))));
  const entries = commit.body + RUN_BYTES * view.getUint32(commit.runs, true);
  if (entries > length) return undefined;
  const runs: KeptRun[] = [];
  for (let at: number = commit.body; at < entries; at += RUN_BYTES)
    runs.push({ handle: view.getUint32(at, true), bytes: view.getUint32(at + 4, true) });
  return {
    number: Number(u64(commit.number)),
    producerPos: u64(commit.producerPos),
    consumerPos: u64(commit.consumerPos),
    rangeStart: u64(commit.rangeStart),
    digest: view.getInt32(commit.digest, true),
    durability,
    counters,
    runs,
    table: {
      generation: Number(u64(commit.tableGeneration)),
      crc: view.getUint32(commit.tableCrc, true),
    },
    changes: decodeEntries(bytes.subarray(entries, length), view.getUint16(commit.changes, true)),
  };
}

/** The sector that says that a commit is durable. */
export function encodeSeal(number: number): Uint8Array {
  const bytes = new Uint8Array(SECTOR_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(seal.magic, SEAL_MAGIC, true);
  view.setBigUint64(seal.number, BigInt(number), true);
  view.setUint32(seal.crc, structureCrc(bytes, seal.crc, SECTOR_BYTES), true);
  return bytes;
}

/** The commit number that a seal's sector names. */
export function decodeSeal(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(seal.magic, true) !== SEAL_MAGIC) return undefined;
  if (view.getUint32(seal.crc, true) !== structureCrc(bytes, seal.crc, SECTOR_BYTES)) return undefined;
  return Number(view.getBigUint64(seal.number, true));
}

/** Where a slot is, for reading it whole. */
export function slotRange(index: number): { at: number; bytes: number } {
  return { at: commitSlotAt(index), bytes: COMMIT_SLOT_BYTES };
}
