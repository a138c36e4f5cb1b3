import { Worker } from 'node:worker_threads';
import type { UserRing } from '../../ring/index.js';
import { builtModule } from '../built-module.js';
import type { CommitPlan } from './commit-plan.js';
import type { CommitFile, FileCommitter } from './commit-writer.js';
import { SyncFailed } from './failure.js';
import { NO_SYNCS, NOTHING_IN_LOOP, type SyncTally } from './journal.js';
import { ShownRecords } from './shown-records.js';
import type { ThreadAnswer, ThreadFailure, ThreadRequest } from './thread-messages.js';

interface Pending {
  resolve(): void;
  reject(error: Error): void;
}

/**
 * What is committed through the thread, until it is closed: then the thread forgets the file. Whoever comes later is
 * refused here: what the thread throws ends it, and with it the commits of all other files.
 */
export type ThreadCommitter = FileCommitter;

/**
 * A thread that carries out those commits of a store that have to wait for a disk: it takes the records out of rings in
 * shared memory, checksums them and writes them, so that the event loop only plans.
 */
export class CommitThread {
  readonly #worker: Worker;
  /** Commits that are under way, and files that are being closed, by file. */
  readonly #pending = new Map<number, Pending>();
  /** By file, of those that are open. */
  readonly #syncs = new Map<number, SyncTally>();
  #files = 0;
  /** Why the thread has ended. */
  #ended: Error | undefined;

  constructor() {
    this.#worker = new Worker(builtModule('thread-entry.js', import.meta.url), {
      name: 'journal',
      // Neither the daemon's arguments nor what its environment may hold of secrets.
      argv: [],
      execArgv: [],
      env: {},
    });
    this.#worker.on('message', ({ file, syncs, error }: ThreadAnswer) => {
      this.#syncs.set(file, syncs);
      const pending = this.#pending.get(file);
      this.#pending.delete(file);
      if (error === undefined) pending?.resolve();
      else pending?.reject(errorOf(error));
    });
    this.#worker.on('error', (error) => this.#end(error));
    this.#worker.on('exit', (code) =>
      this.#end(new Error(`the journal's thread has ended with code ${code}`)),
    );
  }

  /** @param fd of the file, which stays open until its committer is closed */
  open(fd: number, kind: CommitFile): ThreadCommitter {
    const file = this.#files++;
    let sent: ArrayBufferLike | undefined;
    let shown: ShownRecords | undefined;
    let isClosed = false;
    this.#post({ type: 'open', file, fd, kind });
    const shownOf = (ring: UserRing): ShownRecords => {
      if (shown !== undefined && ring.buffer === sent) return shown;
      // Of its own for each ring: the thread may still look at the last one's.
      shown = new ShownRecords();
      sent = ring.buffer;
      this.#post({ type: 'ring', file, ring: sharedBuffer(ring), shown: shown.buffer });
      return shown;
    };
    const syncs = (): SyncTally => this.#syncs.get(file) ?? NO_SYNCS;
    return {
      get syncs() {
        return syncs();
      },
      loop: NOTHING_IN_LOOP,
      allocate: (bytes) => new SharedArrayBuffer(bytes),
      ahead: (start, end, ring) => {
        if (isClosed) return;
        if (shownOf(ring).show(start, end)) this.#post({ type: 'ahead', file, start, end });
      },
      commit: async (plan, ring) => {
        if (isClosed) throw new Error('the journal is closed');
        shownOf(ring);
        await this.#commit(file, plan);
      },
      close: () => {
        isClosed = true;
        return this.#forget(file);
      },
    };
  }

  /** What is committed through it fails from now on. */
  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** Ends the thread. What is under way fails. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #commit(file: number, plan: CommitPlan): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      this.#pending.set(file, { resolve, reject });
      this.#post({ type: 'commit', file, plan });
    });
  }

  #forget(file: number): Promise<void> {
    if (this.#ended !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#syncs.delete(file);
        resolve();
      };
      // A thread that has ended is through with the file, too.
      this.#pending.set(file, { resolve: done, reject: done });
      this.#post({ type: 'close', file });
    });
  }

  #post(request: ThreadRequest): void {
    this.#worker.postMessage(request);
  }

  /** What the disk holds of the commits under way is unknown. */
  #end(why: Error): void {
    this.#ended ??= why;
    for (const pending of this.#pending.values()) pending.reject(this.#ended);
    this.#pending.clear();
  }
}

function sharedBuffer({ buffer }: UserRing): SharedArrayBuffer {
  if (buffer instanceof SharedArrayBuffer) return buffer;
  throw new TypeError('the thread reads rings in shared memory only');
}

function errorOf({ message, code, syncFailed }: ThreadFailure): Error {
  const error = Object.assign(new Error(message), { code });
  return syncFailed ? new SyncFailed(error) : error;
}
