/**
 * Byte layout of a journal file. The only offset literals of src/server/journal; docs/DURABILITY.md draws the same.
 *
 *   byte      0          4096       8192      12288            143360                    I
 *             | header A | header B | seals   | 4 commit slots | 4 producer tables       | ring image
 *             |          |          | 4 x 512 | 4 x 32768      | 4 x table_bytes         | 8192 + max_entries
 *
 *   I = 143360 + 4 x table_bytes. Everything is little-endian. The ring image is the kernel's (src/ring/layout.ts), but
 *   for the word behind each record's header word, the pad: here it holds the record's checksum (checksum.ts).
 *
 * The file has this size from its creation on, and never another one.
 */
import { DATA_OFFSET } from '../../ring/index.js';

/** 2: ledgers of producers, and whose the records are. 3: checksums in four lanes. */
export const FORMAT_VERSION = 3;

/** What a disk writes as a whole, or not at all. */
export const SECTOR_BYTES = 512;

/** "RBUFJRNL" */
export const HEADER_MAGIC = 0x4c4e524a46554252n;
export const HEADER_BYTES = SECTOR_BYTES;
export const HEADER_COPIES_AT = [0, 4096] as const;
/** Fields of the header. */
export const header = {
  magic: 0,
  version: 8,
  /** CRC-32 of the 512 bytes with this field 0. */
  crc: 12,
  maxEntries: 16,
  tableBytes: 20,
  createdMs: 24,
  /** Four random u32: what makes this file's checksums its own. */
  salt: 32,
  mapLength: 48,
  incarnationLength: 49,
  map: 64,
  incarnation: 128,
} as const;
export const NAME_BYTES = 64;

/** One sector a commit slot: written once the commit in the slot is durable. */
const SEALS_AT = 8192;
/** "RBSL" */
export const SEAL_MAGIC = 0x4c534252;
export const seal = { magic: 0, crc: 4, number: 8 } as const;

const COMMITS_AT = 12288;
/** Commits take turns. Two would do: one more is never written over while it is the newest durable one. */
export const COMMIT_SLOTS = 4;
export const COMMIT_SLOT_BYTES = 32768;
/** A commit record takes the smallest of these that holds it; its second copy starts right behind. */
export const COMMIT_SIZES = [512, 1024, 2048, 4096, 16384] as const;
export const MAX_COMMIT_BYTES = 16384;
/** "RBCM" */
export const COMMIT_MAGIC = 0x4d434252;
/** Fields of a commit record. */
export const commit = {
  magic: 0,
  /** CRC-32 of the first `length` bytes with this field 0. */
  crc: 4,
  number: 8,
  producerPos: 16,
  consumerPos: 24,
  /** Where the records that this commit added start; its digest covers those from there on. */
  rangeStart: 32,
  digest: 40,
  durability: 44,
  changes: 46,
  length: 48,
  tableCrc: 52,
  /** Generation of the producer table that the changes are relative to; 0 = none. */
  tableGeneration: 56,
  /** Ten u64, in the order of KeptCounters. */
  counters: 64,
  /** Number of runs: {u32 handle, u32 bytes} each, whose the records in the ring are. */
  runs: 144,
  /** The runs, and behind them the producer entries, see `entry`. */
  body: 152,
} as const;

/** "RBPT" */
export const TABLE_MAGIC = 0x54504252;
const TABLES_AT = COMMITS_AT + COMMIT_SLOTS * COMMIT_SLOT_BYTES;
/** Fields of a producer table. */
export const table = {
  magic: 0,
  /** CRC-32 of the first `length` bytes with this field 0. */
  crc: 4,
  generation: 8,
  count: 16,
  length: 20,
  entries: 24,
} as const;

/** Fields of a producer's entry; id and owner follow as UTF-8, and zeros up to a multiple of 8. */
export const entry = {
  kind: 0,
  idLength: 1,
  ownerLength: 2,
  partial: 4,
  lastSeq: 8,
  ackedPos: 16,
  acceptedSamples: 24,
  acceptedBytes: 32,
  lastSeenMs: 40,
  handle: 48,
  openReservations: 52,
  /** Twelve u64, in the order of KeptBooks. */
  books: 56,
  strings: 152,
} as const;
export const ENTRY_STATE = 1;
export const ENTRY_FORGOTTEN = 2;
/** Runs of records that a commit record holds at most. */
export const MAX_RUNS = 256;
export const RUN_BYTES = 8;

/** Bytes of the largest entry: names have at most 64 characters. */
const ENTRY_MAX_BYTES = entry.strings + 2 * NAME_BYTES;

export function sealAt(commitNumber: number): number {
  return SEALS_AT + (commitNumber % COMMIT_SLOTS) * SECTOR_BYTES;
}

export function commitSlotAt(commitNumber: number): number {
  return COMMITS_AT + (commitNumber % COMMIT_SLOTS) * COMMIT_SLOT_BYTES;
}

/** Bytes of one table that holds `producers` states, whole pages. */
export function tableBytesFor(producers: number): number {
  return Math.ceil((table.entries + producers * ENTRY_MAX_BYTES) / 4096) * 4096;
}

/** Tables take turns, too, and each is there twice. */
export function tableAt(generation: number, copy: 0 | 1, tableBytes: number): number {
  return TABLES_AT + ((generation % 2) * 2 + copy) * tableBytes;
}

/** Where the kernel's ring image starts. */
export function imageAt(tableBytes: number): number {
  return TABLES_AT + 4 * tableBytes;
}

/** Where the data area of the ring image starts. */
export function dataAt(tableBytes: number): number {
  return imageAt(tableBytes) + DATA_OFFSET;
}

/** Bytes of the whole file. */
export function fileSize(maxEntries: number, tableBytes: number): number {
  return dataAt(tableBytes) + maxEntries;
}
