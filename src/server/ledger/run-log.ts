import { MAX_RUNS } from '../journal/layout.js';
import type { KeptRun } from '../journal/journal.js';

/**
 * Whose the records of a journalled map are, for its journal: from its last checkpoint on, whatever drains have released
 * since. So short that it fits into a commit; when producers take turns more often, the oldest half is nobody's.
 */
export class RunLog {
  #runs: { handle: number; bytes: number }[] = [];
  /** Where the first one begins. */
  #from: bigint;

  /** @param runs from `position` on */
  constructor(position: bigint, runs: readonly KeptRun[] = []) {
    this.#from = position;
    this.#runs = runs.map((run) => ({ ...run }));
  }

  /** Records were stored behind all others. */
  accepted(handle: number, bytes: number): void {
    const tail = this.#runs.at(-1);
    if (tail?.handle === handle) {
      tail.bytes += bytes;
      return;
    }
    if (this.#runs.length >= MAX_RUNS) this.#mergeOldest();
    this.#runs.push({ handle, bytes });
  }

  /** Forgets what lies before `position`. @returns the rest, in the order of the ring */
  from(position: bigint): KeptRun[] {
    let gone = Number(position - this.#from);
    this.#from = position;
    let passed = 0;
    for (const run of this.#runs) {
      if (run.bytes > gone) {
        run.bytes -= gone;
        break;
      }
      gone -= run.bytes;
      passed++;
    }
    if (passed > 0) this.#runs.splice(0, passed);
    return this.#runs.map((run) => ({ ...run }));
  }

  #mergeOldest(): void {
    const merged = this.#runs.splice(0, MAX_RUNS / 2);
    this.#runs.unshift({ handle: 0, bytes: merged.reduce((sum, { bytes }) => sum + bytes, 0) });
  }
}
