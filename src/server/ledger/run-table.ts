/**
 * Which producer the records in the ring belong to: one entry for each contiguous run of one producer, from the head of
 * the ring to its tail. An output costs a comparison and two additions, however many samples it has; only another
 * producer's turn makes a new entry.
 *
 *      consumer                                          producer
 *         ▼                                                 ▼
 *         │ a: 3 records │ b: 1 record │ a: 40 records       │
 *
 * A drain says how many samples, discards and bytes it has released, and not which: what lies before the new consumer
 * position is known run by run, since each entry counts its discards, and what is left over belongs to the run that the
 * position lies in.
 */
import type { Fate, LedgerLine } from './ledger-line.js';

/** Records of one producer that lie back to back, as far as they were not released. */
interface AttributedRun {
  line: LedgerLine;
  /** Low half of the position at which it began. */
  start: number;
  records: number;
  bytes: number;
  /** Records among them that are discards already, and their bytes. */
  discards: number;
  discardBytes: number;
}

/** What left the ring between two consumer positions. */
export interface Released {
  /** Samples that a handler answered for, or that became dead letters. */
  samples: number;
  discarded: number;
  discardedBytes: number;
  /** All of their records. */
  bytes: number;
}

/** Entries that were left behind and not yet cut off from the list, at most. */
const MAX_PASSED = 1024;

export class RunTable {
  readonly #unattributed: LedgerLine;
  readonly #max: number;
  /** From #head on; before it is what was released. Never empty: the tail is reused when all is released. */
  #runs: AttributedRun[];
  #head = 0;
  #tail: AttributedRun;
  #merged = 0;
  /** Entries to be used again: producers that take turns would make garbage with every frame. */
  readonly #spare: AttributedRun[] = [];

  /** @param max entries kept; beyond them the oldest ones become one entry of `unattributed` */
  constructor(unattributed: LedgerLine, max: number) {
    this.#unattributed = unattributed;
    this.#max = Math.max(2, max);
    this.#tail = newRun(unattributed, 0);
    this.#runs = [this.#tail];
  }

  /** Entries in use. */
  get size(): number {
    return this.#runs.length - this.#head;
  }

  /** Entries given up because there were too many. */
  get merged(): number {
    return this.#merged;
  }

  /** Records were stored behind all others. @param start low half of the position at which they begin */
  accepted(line: LedgerLine, records: number, bytes: number, start: number): void {
    const tail = this.#tail.line === line ? this.#tail : this.#switchTo(line, start);
    tail.records += records;
    tail.bytes += bytes;
  }

  /** A record that is in the ring was discarded. @param position low half */
  discarded(position: number, bytes: number): void {
    const run = this.#at(position);
    run.discards++;
    run.discardBytes += bytes;
  }

  /** The line that the record at `position` (low half) belongs to. */
  lineAt(position: number): LedgerLine {
    return this.#at(position).line;
  }

  /** Books what was released at the head of the ring. */
  released({ samples, discarded, discardedBytes, bytes }: Released, fate: Fate): void {
    for (;;) {
      const run = this.#runs[this.#head]!;
      if (run.bytes > bytes || run === this.#tail) {
        run.line.leave(fate, samples, bytes - discardedBytes);
        if (discarded > 0) run.line.discard(discarded, discardedBytes);
        run.records -= samples + discarded;
        run.bytes -= bytes;
        run.discards -= discarded;
        run.discardBytes -= discardedBytes;
        run.start = (run.start + bytes) | 0;
        return;
      }
      const own = run.records - run.discards;
      run.line.leave(fate, own, run.bytes - run.discardBytes);
      if (run.discards > 0) run.line.discard(run.discards, run.discardBytes);
      samples -= own;
      discarded -= run.discards;
      discardedBytes -= run.discardBytes;
      bytes -= run.bytes;
      this.#pass();
      if (bytes === 0 && samples === 0 && discarded === 0) return;
    }
  }

  /** What belonged to `line` belongs to `heir` from now on. */
  replace(line: LedgerLine, heir: LedgerLine): void {
    for (let index = this.#head; index < this.#runs.length; index++)
      if (this.#runs[index]!.line === line) this.#runs[index]!.line = heir;
  }

  #switchTo(line: LedgerLine, start: number): AttributedRun {
    if (this.#tail.records === 0) {
      this.#tail.line = line;
      this.#tail.start = start;
      return this.#tail;
    }
    if (this.size >= this.#max) this.#mergeOldest();
    this.#tail = this.#spare.pop() ?? newRun(line, start);
    this.#tail.line = line;
    this.#tail.start = start;
    this.#runs.push(this.#tail);
    return this.#tail;
  }

  /** The older half becomes one entry: the cost of it is spread over the entries that then have room. */
  #mergeOldest(): void {
    const end = this.#head + (this.size >> 1) + 1;
    const merged = newRun(this.#unattributed, this.#runs[this.#head]!.start);
    for (let index = this.#head; index < end; index++) {
      const run = this.#runs[index]!;
      merged.records += run.records;
      merged.bytes += run.bytes;
      merged.discards += run.discards;
      merged.discardBytes += run.discardBytes;
      if (run.line === this.#unattributed) continue;
      run.line.unattributedSamples += run.records;
      run.line.unattributedBytes += run.bytes;
      run.line.recordsOut += run.records;
      run.line.touch();
      this.#unattributed.acceptedSamples += run.records;
      this.#unattributed.acceptedBytes += run.bytes;
      this.#merged++;
    }
    this.#runs.splice(0, end, merged);
    this.#head = 0;
    this.#tail = this.#runs[this.#runs.length - 1]!;
  }

  #pass(): void {
    const passed = this.#runs[this.#head]!;
    // Its place in the list stays until the list is cut, and is not looked at any more.
    if (this.#spare.length < MAX_PASSED) this.#spare.push(emptied(passed));
    this.#head++;
    if (this.#head < MAX_PASSED || this.#head * 2 < this.#runs.length) return;
    this.#runs.splice(0, this.#head);
    this.#head = 0;
  }

  /** The last run that begins at or before a position. */
  #at(position: number): AttributedRun {
    let low = this.#head;
    let high = this.#runs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (((position - this.#runs[middle]!.start) | 0) >= 0) low = middle;
      else high = middle - 1;
    }
    return this.#runs[low]!;
  }
}

function emptied(run: AttributedRun): AttributedRun {
  run.records = run.bytes = run.discards = run.discardBytes = 0;
  return run;
}

function newRun(line: LedgerLine, start: number): AttributedRun {
  return { line, start, records: 0, bytes: 0, discards: 0, discardBytes: 0 };
}
