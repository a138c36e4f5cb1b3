import type { UserRing } from '../../ring/index.js';
import type { Clock } from '../clock.js';
import type { CommitPlan } from './commit-plan.js';
import type { ThreadCommitter } from './commit-thread.js';
import { CommitWriter, type CommitFile, type FileCommitter } from './commit-writer.js';
import { DirectFile } from './direct-file.js';
import type { DiskWaits } from './disk-waits.js';
import { NO_SYNCS, type LoopTally } from './journal.js';
import type { WritableFile } from './journal-file.js';
import type { RecordMemory, RingMemories } from './record-memory.js';
import { RingMirror } from './ring-mirror.js';
import type { Staging } from './staging.js';

export interface LoopCommitterOptions {
  /** Of the file, which stays open until the committer is closed. */
  fd: number;
  /** Of durability `written`: the event loop does not wait for syncs. */
  kind: CommitFile;
  staging: Staging;
  memories: RingMemories;
  waits: DiskWaits;
  clock: Pick<Clock, 'nowMs'>;
  /** Opens the file in the journal's thread. */
  openInThread: () => ThreadCommitter;
}

/**
 * Carries out the commits of a `written` map in the event loop: to hand a commit to the operating system takes less of its
 * time than to tell a thread of it and to hear that it is done, and the ACK leaves in the same turn. While the disk makes
 * those wait who write to it ({@link DiskWaits}), the journal's thread does it.
 */
export class LoopCommitter implements FileCommitter {
  readonly syncs = NO_SYNCS;
  readonly #options: LoopCommitterOptions;
  readonly #writer: CommitWriter;
  /** The thread carries out the commits. */
  #away: { readonly thread: ThreadCommitter; readonly mirror: RingMirror } | undefined;
  /** Of the ring, unless that was moved. */
  #memory: RecordMemory | undefined;
  #isClosed = false;
  #commits = 0;
  #writeMs = 0;

  constructor(options: LoopCommitterOptions) {
    const { fd, kind, staging } = options;
    this.#options = options;
    this.#writer = new CommitWriter(this.#timed(new DirectFile(fd)), kind, staging, ({ buffer }) =>
      buffer === this.#memory?.buffer ? this.#memory.code : undefined,
    );
  }

  get loop(): LoopTally {
    return { commits: this.#commits, seconds: this.#writeMs / 1000 };
  }

  /** Without a memory of {@link RingMemories}, commits copy the records before they write them. */
  allocate(bytes: number): ArrayBuffer {
    this.#memory = this.#options.memories.take(bytes);
    return this.#memory?.buffer ?? new ArrayBuffer(bytes);
  }

  /** In the event loop there is nobody who could write ahead. */
  ahead(start: bigint, end: bigint, ring: UserRing): void {
    if (this.#away === undefined) return;
    const { thread, mirror } = this.#away;
    mirror.follow(ring, end);
    thread.ahead(start, end, mirror.ring);
  }

  async commit(plan: CommitPlan, ring: UserRing): Promise<void> {
    if (this.#isClosed) throw new Error('the journal is closed');
    if (ring.buffer !== this.#memory?.buffer) this.#leaveMemory();
    if (!this.#options.waits.mayWrite && this.#goAway(plan, ring)) {
      const { thread, mirror } = this.#away!;
      mirror.followPlan(ring, plan);
      await thread.commit(plan, mirror.ring);
      return;
    }
    // The thread may still write ahead: what it writes must not come behind what is written here.
    if (this.#away !== undefined) await this.#comeBack();
    await this.#writer.commit(plan, ring);
    this.#commits++;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#comeBack();
    this.#leaveMemory();
  }

  /** @returns whether the thread can do it: not where there is no memory for its copy of the ring, or no thread */
  #goAway({ rangeStart }: CommitPlan, { size }: UserRing): boolean {
    if (this.#away !== undefined) return true;
    try {
      const mirror = new RingMirror(size, rangeStart);
      this.#away = { mirror, thread: this.#options.openInThread() };
      return true;
    } catch {
      // A slow disk is no reason to fail a map that is well.
      return false;
    }
  }

  /** The ring is not in it any more. */
  #leaveMemory(): void {
    if (this.#memory === undefined) return;
    this.#memory = undefined;
    this.#options.memories.giveBack();
  }

  async #comeBack(): Promise<void> {
    const away = this.#away;
    this.#away = undefined;
    await away?.thread.close();
  }

  #timed(file: DirectFile): WritableFile {
    const { waits, clock } = this.#options;
    return {
      write: (at, bytes) => {
        const fromMs = clock.nowMs();
        const written = file.write(at, bytes);
        const toMs = clock.nowMs();
        this.#writeMs += toMs - fromMs;
        waits.wrote(bytes.length, fromMs, toMs);
        return written;
      },
      sync: () => file.sync(),
    };
  }
}
