import { structureCrc } from './checksum.js';
import type { JournalSnapshot, KeptProducer } from './journal.js';
import { commit, MAX_COMMIT_BYTES, MAX_RUNS, RUN_BYTES, table, TABLE_MAGIC } from './layout.js';
import { decodeEntries, encodeForgotten, encodeState } from './producer-entries.js';

/** Which table a commit's changes are relative to. Generation 0: none, the changes are everything. */
export interface TableReference {
  readonly generation: number;
  readonly crc: number;
}

export const NO_TABLE: TableReference = { generation: 0, crc: 0 };

/**
 * The producer states as they stand in the file: a full table, and what changed since. Every commit record holds all
 * those changes, so that it needs its table and nothing else; when they no longer fit, a new table is due.
 */
export class ProducerBook {
  readonly #states = new Map<string, Uint8Array>();
  /** By id: the entry that a commit record carries. */
  readonly #changes = new Map<string, Uint8Array>();
  #changesBytes = 0;
  #table: TableReference;

  constructor(states: Iterable<KeptProducer> = [], table: TableReference = NO_TABLE) {
    // Which of the recovered states are in the table does not matter: the first commit carries them all, or a new table.
    this.#table = table;
    for (const state of states) this.#change(state.id, encodeState(state), true);
  }

  get table(): TableReference {
    return this.#table;
  }

  /** Entries of the next commit record. */
  get changes(): readonly Uint8Array[] {
    return [...this.#changes.values()];
  }

  /** Whether the changes no longer fit into a commit record. */
  get tableIsDue(): boolean {
    return (
      this.#changesBytes > MAX_COMMIT_BYTES - commit.body - RUN_BYTES * MAX_RUNS ||
      this.#changes.size > 0xffff
    );
  }

  apply(snapshot: Pick<JournalSnapshot, 'producers' | 'forgotten'>): void {
    for (const id of snapshot.forgotten) this.#change(id, encodeForgotten(id), false);
    for (const state of snapshot.producers) this.#change(state.id, encodeState(state), true);
  }

  /** A full table of the next generation; from now on the changes are relative to it. */
  takeTable(): { bytes: Uint8Array; reference: TableReference } {
    const length = [...this.#states.values()].reduce(
      (sum, bytes) => sum + bytes.length,
      Number(table.entries),
    );
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    const generation = this.#table.generation + 1;
    view.setUint32(table.magic, TABLE_MAGIC, true);
    view.setBigUint64(table.generation, BigInt(generation), true);
    view.setUint32(table.count, this.#states.size, true);
    view.setUint32(table.length, length, true);
    let at: number = table.entries;
    for (const state of this.#states.values()) {
      bytes.set(state, at);
      at += state.length;
    }
    const crc = structureCrc(bytes, table.crc, length);
    view.setUint32(table.crc, crc, true);
    this.#table = { generation, crc };
    this.#changes.clear();
    this.#changesBytes = 0;
    return { bytes, reference: this.#table };
  }

  #change(id: string, bytes: Uint8Array, lives: boolean): void {
    if (lives) this.#states.set(id, bytes);
    else this.#states.delete(id);
    this.#changesBytes += bytes.length - (this.#changes.get(id)?.length ?? 0);
    this.#changes.set(id, bytes);
  }
}

/** The states in a table's bytes, or why it is not the one that is meant. */
export function decodeTable(bytes: Uint8Array, wanted: TableReference): KeptProducer[] | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(table.length, true);
  if (view.getUint32(table.magic, true) !== TABLE_MAGIC || length < table.entries || length > bytes.length)
    return 'this is not a producer table';
  if (view.getBigUint64(table.generation, true) !== BigInt(wanted.generation)) return 'another generation';
  const crc = structureCrc(bytes, table.crc, length);
  if (crc !== wanted.crc || crc !== view.getUint32(table.crc, true)) return 'the checksum is wrong';
  return decodeEntries(bytes.subarray(table.entries, length), view.getUint32(table.count, true)).flatMap(
    (found) => (found.kind === 'state' ? [found.state] : []),
  );
}
