import { DATA_OFFSET } from '../../ring/index.js';
import { CommitPlanner, type CommitPlan } from './commit-plan.js';
import type { Committer, FileCommitter } from './commit-writer.js';
import type { FileHeader } from './file-header.js';
import {
  NO_SYNCS,
  NOTHING_IN_LOOP,
  type Durability,
  type Journal,
  type JournalFinding,
  type JournalHost,
  type JournalSnapshot,
  type LoopTally,
  type RecoveredMap,
  type SyncTally,
} from './journal.js';
import { classifyFailure, type Pauses } from './failure.js';
import type { Recovery } from './recovery.js';
import { BUSY_MASK, DISCARD_MASK, LENGTH_MASK, lowHalf } from './record-words.js';

export interface FileJournalOptions {
  header: FileHeader;
  durability: Exclude<Durability, 'memory'>;
  /** What was found; a new file is a recovery of nothing. */
  recovery: Recovery;
  findings?: readonly JournalFinding[];
  /** Carries out the commits, and may count what that takes. */
  committer: Committer & Partial<Pick<FileCommitter, 'syncs' | 'loop' | 'allocate'>>;
  /** Bytes of records for which the committer is told that they are there; by default {@link AHEAD_BYTES}. */
  aheadBytes?: number;
  pauses: Pauses;
  /** Lets go of the file. */
  close: () => Promise<void>;
}

/** For less it is not worth while to wake a thread. */
const AHEAD_BYTES = 32 * 1024;

/** Then others get their turn. */
const MOST_COMMITS_IN_A_TURN = 8;

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

/** How an open reservation ends on disk, by its position. */
export type Endings = Map<bigint, 'sample' | 'discard'>;

/**
 * A map's journal in one file. It asks for a snapshot when there is something to commit and no commit is under way, so
 * that one commit serves everything that came meanwhile; see commit-plan.ts for how it becomes a commit, and
 * commit-writer.ts for what that is on disk.
 */
export class FileJournal implements Journal {
  readonly durability: Exclude<Durability, 'memory'>;
  readonly createdMs: number;
  readonly findings: readonly JournalFinding[];
  readonly #options: Omit<FileJournalOptions, 'recovery'>;
  /** Until it is attached: it holds the records. */
  #recovery: Recovery | undefined;
  #host: JournalHost | undefined;
  #planner: CommitPlanner | undefined;
  #endings: Endings = new Map();
  #dirty = false;
  #scheduled = false;
  #running: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;
  #current: Waiter[] = [];
  #next: Waiter[] = [];

  constructor(options: FileJournalOptions) {
    this.durability = options.durability;
    this.createdMs = options.header.createdMs;
    this.findings = options.findings ?? [];
    const { recovery, ...others } = options;
    this.#recovery = recovery;
    this.#options = others;
  }

  get failed(): boolean {
    return this.#failure !== undefined;
  }

  get syncs(): SyncTally {
    return this.#options.committer.syncs ?? NO_SYNCS;
  }

  get loop(): LoopTally {
    return this.#options.committer.loop ?? NOTHING_IN_LOOP;
  }

  allocate(bytes: number): ArrayBufferLike {
    return this.#options.committer.allocate?.(bytes) ?? new ArrayBuffer(bytes);
  }

  attach(host: JournalHost): RecoveredMap | undefined {
    const recovery = this.#recovery;
    if (recovery === undefined) throw new Error('this journal has a host already');
    const { header } = this.#options;
    if (host.ring.size !== header.maxEntries)
      throw new RangeError(`the ring has ${host.ring.size} bytes, the journal ${header.maxEntries}`);
    this.#host = host;
    this.#recovery = undefined;
    this.#planner = new CommitPlanner(this.durability, header.tableBytes, recovery);
    if (recovery.found === undefined) return undefined;
    const { records, start, repairs } = recovery;
    const { bytes, size } = host.ring;
    const offset = lowHalf(start) & (size - 1);
    const first = Math.min(records.length, size - offset);
    bytes.set(records.subarray(0, first), DATA_OFFSET + offset);
    bytes.set(records.subarray(first), DATA_OFFSET);
    host.ring.producerPosition = recovery.found.producerPos;
    host.ring.consumerPosition = recovery.found.consumerPos;
    // What recovery made of the records is brought to the disk by the first commit.
    for (const position of repairs) this.#endings.set(position, 'discard');
    this.changed();
    return recovery.found;
  }

  changed(): void {
    this.#dirty = true;
    if (this.#failure !== undefined) return;
    this.#writeAhead();
    if (this.#scheduled || this.#running !== undefined) return;
    this.#scheduled = true;
    // After the input of this turn of the event loop: its frames share a commit.
    setImmediate(() => {
      this.#scheduled = false;
      this.#start();
    });
  }

  /**
   * The records of one turn of the event loop, which may be many, are on their way before it ends. Behind a commit that
   * syncs they would only have to wait.
   */
  #writeAhead(): void {
    if (this.#running !== undefined && this.durability === 'synced') return;
    const { ring } = this.#host!;
    const low = ring.producerLow;
    if (((low - ring.shownLow) | 0) < (this.#options.aheadBytes ?? AHEAD_BYTES)) return;
    ring.shownLow = low;
    this.#options.committer.ahead(this.#planner!.end, ring.producerPosition, ring);
  }

  rewritten(position: bigint, as: 'sample' | 'discard'): void {
    this.#endings.set(position, as);
    this.changed();
  }

  settled(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(asError(this.#failure.error));
    const list = this.#dirty ? this.#next : this.#current;
    if (!this.#dirty && this.#running === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => list.push({ resolve, reject }));
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#options.pauses.hurry();
    try {
      this.#start();
      await this.#running;
      // Of EIO the host knows.
      if (this.#failure !== undefined && classifyFailure(this.#failure.error) === 'ENOSPC')
        throw asError(this.#failure.error);
    } finally {
      await this.#options.close();
    }
  }

  #start(): void {
    if (this.#running !== undefined || !this.#dirty || this.#failure !== undefined) return;
    this.#running = this.#commitAll();
  }

  async #commitAll(): Promise<void> {
    const host = this.#host;
    const planner = this.#planner;
    // Never in the turn of the caller, who keeps the promise of this.
    await Promise.resolve();
    try {
      if (host === undefined || planner === undefined) return;
      let commits = 0;
      while (this.#dirty) {
        this.#dirty = false;
        const endings = this.#endings;
        this.#endings = new Map();
        this.#current = this.#next;
        this.#next = [];
        const snapshot = host.snapshot();
        host.ring.shownLow = lowHalf(snapshot.producerPos);
        await this.#commit(planner.plan(snapshot, headerWords(endings, host, snapshot)), host);
        host.durable(snapshot);
        const done = this.#current;
        this.#current = [];
        for (const waiter of done) waiter.resolve();
        // What follows a commit may ask for the next one, in the same turn where the event loop carries them out. Without a
        // next one this ends at once: whoever asked while nobody commits would wait for ever.
        if (++commits % MOST_COMMITS_IN_A_TURN === 0 && this.#dirty)
          await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      // In the same turn in which the loop found nothing to do: a change behind it starts the next one.
      this.#running = undefined;
    }
  }

  /** What the disk holds is unknown now: nothing is written any more, whatever a later try might say. */
  #fail(error: unknown): void {
    this.#failure = { error };
    if (classifyFailure(error) === 'EIO') this.#host?.failed('EIO', error);
    const waiters = [...this.#current, ...this.#next];
    this.#current = [];
    this.#next = [];
    for (const waiter of waiters) waiter.reject(asError(error));
  }

  /** Tries a commit until the disk has room for it. */
  async #commit(plan: CommitPlan, host: JournalHost): Promise<void> {
    const { committer, pauses } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        await committer.commit(plan, host.ring);
        if (tries > 1) pauses.reset();
        return;
      } catch (error) {
        if (classifyFailure(error) !== 'ENOSPC') throw error;
        if (tries === 1) host.failed('ENOSPC', error);
        // Who closes cannot wait for somebody to free the disk.
        if (this.#closing !== undefined && tries > 1) throw error;
        await pauses.pause();
      }
    }
  }
}

/** The header words that a commit gives to reservations which have ended; those behind the snapshot wait for the next. */
function headerWords(endings: Endings, host: JournalHost, snapshot: JournalSnapshot): Map<bigint, number> {
  const { words, size } = host.ring;
  const result = new Map<bigint, number>();
  for (const [position, as] of endings) {
    if (position < snapshot.consumerPos) continue;
    const header = words[(DATA_OFFSET + (lowHalf(position) & (size - 1))) >> 2]!;
    result.set(
      position,
      as === 'sample' ? header & ~(BUSY_MASK | DISCARD_MASK) : (header & LENGTH_MASK) | DISCARD_MASK,
    );
  }
  return result;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
