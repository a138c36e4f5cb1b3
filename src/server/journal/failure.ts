import type { Clock } from '../clock.js';

/** A sync that failed: what the disk holds is unknown, whatever errno it was. */
export class SyncFailed extends Error {
  constructor(cause: unknown) {
    super(`fdatasync failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'SyncFailed';
  }
}

/** `ENOSPC`: the same write may succeed later. `EIO`: everything else, for good. */
export function classifyFailure(error: unknown): 'ENOSPC' | 'EIO' {
  if (error instanceof SyncFailed || !(error instanceof Error) || !('code' in error)) return 'EIO';
  return error.code === 'ENOSPC' || error.code === 'EDQUOT' ? 'ENOSPC' : 'EIO';
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** The pauses between tries of a write for which the disk has no room: they double up to a bound. */
export class Pauses {
  readonly #clock: Pick<Clock, 'after'>;
  #next = FIRST_PAUSE_MS;
  #wake: (() => void) | undefined;
  #hurried = false;

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
  }

  /** The write succeeded: the next trouble starts with a short pause again. */
  reset(): void {
    this.#next = FIRST_PAUSE_MS;
  }

  pause(): Promise<void> {
    if (this.#hurried) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.after(this.#next, () => this.#wake?.());
      this.#next = Math.min(2 * this.#next, LONGEST_PAUSE_MS);
      this.#wake = () => {
        cancel();
        this.#wake = undefined;
        resolve();
      };
    });
  }

  /** Ends the pause under way and makes none any more. */
  hurry(): void {
    this.#hurried = true;
    this.#wake?.();
  }
}
