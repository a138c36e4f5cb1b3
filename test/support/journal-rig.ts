import { createUserRing, DATA_OFFSET, Producer, recordSize, type UserRing } from '../../src/ring/index.js';
import { completeCommit, encodeCommit, NO_COUNTERS } from '../../src/server/journal/commit-record.js';
import { CommitWriter } from '../../src/server/journal/commit-writer.js';
import { Pauses } from '../../src/server/journal/failure.js';
import { FileJournal } from '../../src/server/journal/file-journal.js';
import { encodeHeader, type FileHeader } from '../../src/server/journal/file-header.js';
import type {
  Durability,
  JournalHost,
  JournalSnapshot,
  KeptCounters,
  KeptProducer,
  KeptRun,
} from '../../src/server/journal/journal.js';
import type { JournalFile } from '../../src/server/journal/journal-file.js';
import { commitSlotAt, fileSize, HEADER_COPIES_AT, tableBytesFor } from '../../src/server/journal/layout.js';
import { NO_BOOKS } from '../../src/server/journal/producer-entries.js';
import { NO_TABLE } from '../../src/server/journal/producer-book.js';
import { WasmRecordMemory } from '../../src/server/journal/record-memory.js';
import { recover, type Recovery } from '../../src/server/journal/recovery.js';
import { Staging } from '../../src/server/journal/staging.js';
import { systemClock } from '../../src/server/clock.js';

export const RING_BYTES = 4096;

/** What a record is to become, and what it holds. */
export interface ModelRecord {
  readonly position: bigint;
  readonly size: number;
  readonly kind: 'sample' | 'discard' | 'reservation';
  readonly payload: Uint8Array;
}

/** A moment of the map as its users know it. */
export interface ModelState {
  readonly producerPos: bigint;
  readonly consumerPos: bigint;
  readonly producers: ReadonlyMap<string, KeptProducer>;
  readonly counters: KeptCounters;
  readonly runs: readonly KeptRun[];
  /** From consumerPos on. */
  readonly records: readonly ModelRecord[];
}

/** The bytes of a journal file that holds nothing yet. */
export function emptyFile(options: {
  maxEntries?: number;
  producers?: number;
  durability?: 'written' | 'synced';
  salt?: number;
}): { bytes: Uint8Array; header: FileHeader } {
  const { maxEntries = RING_BYTES, producers = 40, durability = 'synced', salt = 1 } = options;
  const header: FileHeader = {
    map: 'm',
    incarnation: 'inc',
    maxEntries,
    tableBytes: tableBytesFor(producers),
    salt: Int32Array.of(salt, salt * 3, salt * 5, salt * 7),
    createdMs: 0,
  };
  const bytes = new Uint8Array(fileSize(maxEntries, header.tableBytes));
  for (const at of HEADER_COPIES_AT) bytes.set(encodeHeader(header), at);
  const first = {
    number: 0,
    producerPos: 0n,
    consumerPos: 0n,
    rangeStart: 0n,
    durability,
    counters: NO_COUNTERS,
    runs: [],
    table: NO_TABLE,
  };
  bytes.set(completeCommit(encodeCommit(first, []), 0), commitSlotAt(0));
  return { bytes, header };
}

/** Recovers; damaged bytes go into the list and nowhere else. */
export async function recoverFrom(file: JournalFile, header: FileHeader): Promise<Recovery> {
  const recovery = await recover(file, header, async (position, bytes, reason) => ({
    position,
    bytes: bytes.length,
    file: '',
    reason,
  }));
  if (recovery === undefined) throw new Error('no commit record verifies');
  return recovery;
}

let sharedRingMemory: WasmRecordMemory | undefined;

/** One for all, one after the other: each takes address space. */
function ringMemory(): WasmRecordMemory {
  sharedRingMemory ??= new WasmRecordMemory(DATA_OFFSET + RING_BYTES);
  new Uint8Array(sharedRingMemory.buffer).fill(0);
  return sharedRingMemory;
}

/**
 * A host that behaves as a map does: free space counts from what is durably released, a submit stays hidden until it is
 * durable, only durable records are released. Knows what it has acknowledged.
 */
export class JournalRig implements JournalHost {
  readonly ring: UserRing;
  readonly journal: FileJournal;
  readonly failures: string[] = [];
  /** Called with the state of a snapshot, and with it again once it is durable. */
  onSnapshot: (state: ModelState) => void = () => {};
  onDurable: (state: ModelState) => void = () => {};
  readonly #producer: Producer;
  readonly #records: ModelRecord[] = [];
  readonly #producers = new Map<string, KeptProducer>();
  readonly #changed = new Set<string>();
  readonly #forgotten = new Set<string>();
  readonly #states = new Map<JournalSnapshot, ModelState>();
  #counters: KeptCounters = NO_COUNTERS;
  #durableConsumer: bigint;
  #durableProducer: bigint;
  /** Submitted or discarded, and BUSY in the ring until that is durable. */
  #hidden = new Map<bigint, 'sample' | 'discard'>();

  /** @param options.isInLoop records are written from the ring's memory: one such rig at a time, its file writes at once */
  constructor(
    file: JournalFile,
    header: FileHeader,
    recovery: Recovery,
    options: { durability?: Exclude<Durability, 'memory'>; sliceBytes?: number; isInLoop?: boolean } = {},
  ) {
    const { durability = 'synced', sliceBytes = 1024, isInLoop = false } = options;
    const { maxEntries } = header;
    const memory = isInLoop ? ringMemory() : undefined;
    this.ring = createUserRing(
      { maxEntries },
      { mode: 'managed', ...(memory && { memory: () => memory.buffer }) },
    );
    this.#producer = new Producer(this.ring);
    const writer = new CommitWriter(
      file,
      { durability, ...header },
      new Staging(sliceBytes),
      () => memory?.code,
    );
    this.journal = new FileJournal({
      header,
      durability,
      recovery,
      // The event loop writes nothing ahead, see loop-committer.ts.
      committer: isInLoop ? { ahead: () => {}, commit: (plan, ring) => writer.commit(plan, ring) } : writer,
      // A ring of the rig's size never holds what the daemon calls enough.
      aheadBytes: 256,
      pauses: new Pauses({ after: (_, fn) => systemClock.after(1, fn) }),
      close: () => file.close(),
    });
    const found = this.journal.attach(this);
    this.#durableConsumer = found?.consumerPos ?? 0n;
    this.#durableProducer = found?.producerPos ?? 0n;
    for (const state of found?.producers ?? []) this.#producers.set(state.id, state);
    this.#counters = found?.counters ?? NO_COUNTERS;
    this.#records.push(...recordsOf(this.ring));
  }

  get free(): number {
    return this.ring.size - Number(this.ring.producerPosition - this.#durableConsumer);
  }

  /** The state as it is now. */
  get state(): ModelState {
    return {
      producerPos: this.ring.producerPosition,
      consumerPos: this.ring.consumerPosition,
      producers: new Map(this.#producers),
      counters: this.#counters,
      // Whatever is told is kept: two numbers that change with each record stand for it.
      runs:
        this.ring.producerPosition === 0n
          ? []
          : [{ handle: this.#records.length, bytes: Number(this.ring.producerPosition & 0xffffn) }],
      records: [...this.#records],
    };
  }

  get openReservations(): bigint[] {
    return this.#records.filter(({ kind }) => kind === 'reservation').map(({ position }) => position);
  }

  /** Stores samples of a producer as one OUTPUT; false when they do not fit. */
  output(id: string, payloads: Uint8Array[]): boolean {
    const total = payloads.reduce((sum, payload) => sum + recordSize(payload.length), 0);
    if (total > this.free) return false;
    for (const payload of payloads) {
      const position = this.ring.producerPosition;
      this.#producer.output(payload);
      this.#records.push({ position, size: recordSize(payload.length), kind: 'sample', payload });
    }
    const before = this.#producers.get(id);
    this.#producers.set(id, {
      id,
      owner: `owner of ${id}`.slice(0, 64),
      lastSeq: (before?.lastSeq ?? 0) + 1,
      partial: payloads.length % 3,
      ackedPos: this.ring.producerPosition,
      acceptedSamples: (before?.acceptedSamples ?? 0) + payloads.length,
      acceptedBytes: (before?.acceptedBytes ?? 0) + total,
      lastSeenMs: 7,
      books: {
        ...NO_BOOKS,
        handle: 1 + (before?.books.handle ?? 0),
        openReservations: payloads.length,
        acceptedHash: 2 ** 47 + total,
        unattributedBytes: total,
      },
    });
    this.#changed.add(id);
    this.#forgotten.delete(id);
    this.#counters = {
      ...this.#counters,
      acceptedSamples: this.#counters.acceptedSamples + payloads.length,
      acceptedBytes: this.#counters.acceptedBytes + total,
    };
    this.journal.changed();
    return true;
  }

  forget(id: string): void {
    if (!this.#producers.delete(id)) return;
    this.#changed.delete(id);
    this.#forgotten.add(id);
    this.journal.changed();
  }

  reserve(size: number): bigint | undefined {
    if (recordSize(size) > this.free) return undefined;
    const position = this.ring.producerPosition;
    this.#producer.reserve(size);
    this.#records.push({
      position,
      size: recordSize(size),
      kind: 'reservation',
      payload: new Uint8Array(size),
    });
    this.journal.changed();
    return position;
  }

  /** Ends a reservation; the ring says BUSY until that is durable. */
  end(position: bigint, as: 'sample' | 'discard', payload: Uint8Array = new Uint8Array()): void {
    const index = this.#records.findIndex((record) => record.position === position);
    const record = this.#records[index];
    if (record?.kind !== 'reservation') throw new Error(`no reservation at ${position}`);
    const filled = payload.slice(0, record.payload.length);
    const whole = new Uint8Array(record.payload.length);
    whole.set(filled);
    if (as === 'sample') this.#producer.fill(Number(position) & (this.ring.size - 1), whole);
    this.#records[index] = { ...record, kind: as, payload: whole };
    this.#hidden.set(position, as);
    this.journal.rewritten(position, as);
  }

  /** Releases up to `count` durable records from the head. */
  release(count: number): void {
    for (let released = 0; released < count; released++) {
      const [head] = this.#records;
      if (head === undefined || head.kind === 'reservation' || this.#hidden.has(head.position)) break;
      if (head.position + BigInt(head.size) > this.#durableProducer) break;
      this.#records.shift();
      this.ring.consumerPosition = head.position + BigInt(head.size);
    }
    this.journal.changed();
  }

  snapshot(): JournalSnapshot {
    const state = this.state;
    const snapshot: JournalSnapshot = {
      producerPos: state.producerPos,
      consumerPos: state.consumerPos,
      producers: [...this.#changed].map((id) => this.#producers.get(id)!),
      forgotten: [...this.#forgotten],
      counters: state.counters,
      runs: state.runs,
    };
    this.#changed.clear();
    this.#forgotten.clear();
    this.#states.set(snapshot, state);
    this.onSnapshot(state);
    return snapshot;
  }

  durable(snapshot: JournalSnapshot): void {
    const state = this.#states.get(snapshot)!;
    this.#states.delete(snapshot);
    this.#durableConsumer = snapshot.consumerPos;
    this.#durableProducer = snapshot.producerPos;
    for (const record of state.records) {
      const as = this.#hidden.get(record.position);
      if (as === undefined || record.kind === 'reservation') continue;
      const offset = Number(record.position) & (this.ring.size - 1);
      if (as === 'sample') this.#producer.submit(offset);
      else this.#producer.discard(offset);
      this.#hidden.delete(record.position);
    }
    this.onDurable(state);
  }

  failed(errno: 'ENOSPC' | 'EIO'): void {
    this.failures.push(errno);
  }
}

/** The records of a ring from its consumer to its producer position, read by hand. */
export function recordsOf(ring: UserRing): ModelRecord[] {
  const records: ModelRecord[] = [];
  const view = new DataView(ring.buffer, 8192);
  const byte = (position: bigint): number => Number(position) & (ring.size - 1);
  for (let position = ring.consumerPosition; position < ring.producerPosition;) {
    const header = view.getUint32(byte(position), true);
    const length = header & 0x3fffffff;
    const size = recordSize(length);
    const kind = (header & 0x40000000) !== 0 ? 'discard' : header >= 0x80000000 ? 'reservation' : 'sample';
    if (view.getUint32(byte(position + 4n), true) !== 0) throw new Error(`the pad at ${position} is not 0`);
    const payload = Uint8Array.from({ length }, (_, index) =>
      view.getUint8(byte(position + 8n + BigInt(index))),
    );
    records.push({ position, size, kind, payload });
    position += BigInt(size);
  }
  return records;
}

/** A snapshot of a ring of which nothing else is known. */
export function momentOf(ring: UserRing): JournalSnapshot {
  return {
    producerPos: ring.producerPosition,
    consumerPos: ring.consumerPosition,
    producers: [],
    forgotten: [],
    counters: NO_COUNTERS,
    runs: [],
  };
}
