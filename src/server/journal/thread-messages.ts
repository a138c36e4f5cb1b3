/** What the daemon and the thread that carries out its commits (thread-entry.ts) say to each other. */
import type { CommitPlan } from './commit-plan.js';
import type { CommitFile } from './commit-writer.js';
import type { SyncTally } from './journal.js';

/** Numbers name files, and are not used again. */
export type ThreadRequest =
  | { readonly type: 'open'; readonly file: number; readonly fd: number; readonly kind: CommitFile }
  /** The ring of a file, and the memory of its `ShownRecords`; from now on, as it may be moved. */
  | {
      readonly type: 'ring';
      readonly file: number;
      readonly ring: SharedArrayBuffer;
      readonly shown: SharedArrayBuffer;
    }
  /** What `ahead` of a committer says, when the thread does not look by itself; not answered. */
  | { readonly type: 'ahead'; readonly file: number; readonly start: bigint; readonly end: bigint }
  /** Carried out on the ring. Answered by a {@link ThreadAnswer}; one for each file at a time. */
  | { readonly type: 'commit'; readonly file: number; readonly plan: CommitPlan }
  /** Nothing follows for this file. Answered; from then on its descriptor may be closed, which is not the thread's to do. */
  | { readonly type: 'close'; readonly file: number };

export interface ThreadAnswer {
  readonly file: number;
  /** Of this file, since it was opened. */
  readonly syncs: SyncTally;
  readonly error?: ThreadFailure;
}

/** An error, as it can be sent. */
export interface ThreadFailure {
  readonly message: string;
  /** As Node.js names it: ENOSPC. */
  readonly code: string | undefined;
  readonly syncFailed: boolean;
}
