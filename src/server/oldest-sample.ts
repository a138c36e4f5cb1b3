/** Marks kept at most; when they are used up, about half of them go, evenly over the time they span. */
const MAX_MARKS = 64;
/** Between two marks, in ms, as long as there are few. */
const FINEST_RESOLUTION_MS = 1;

/**
 * Tells how long the oldest sample of a managed ring has been waiting, without a timestamp per sample: it notes at which
 * producer position it was when. Positions are low halves; a managed ring never spans more than 2^30 bytes.
 */
export class OldestSample {
  #positions: number[] = [];
  #times: number[] = [];
  #resolutionMs = FINEST_RESOLUTION_MS;

  /** Notes that a record starting at producer position `low` (low half) is stored at `nowMs`. */
  note(low: number, nowMs: number): void {
    const last = this.#times.length - 1;
    if (last >= 0 && nowMs - this.#times[last]! < this.#resolutionMs) return;
    if (last + 1 === MAX_MARKS) this.#thin();
    this.#positions.push(low);
    this.#times.push(nowMs);
  }

  /** Forgets what lies before the consumer position `low`. */
  trim(low: number): void {
    let passed = 0;
    while (passed + 1 < this.#positions.length && ((this.#positions[passed + 1]! - low) | 0) <= 0) passed++;
    if (passed > 0) {
      this.#positions.splice(0, passed);
      this.#times.splice(0, passed);
    }
    // A backlog that made the marks coarse has been drained.
    if (this.#times.length === 1) this.#resolutionMs = FINEST_RESOLUTION_MS;
  }

  /** Forgets everything: the ring is empty. */
  clear(): void {
    this.#positions.length = 0;
    this.#times.length = 0;
    this.#resolutionMs = FINEST_RESOLUTION_MS;
  }

  /** Milliseconds that the oldest sample has waited; 0 when there is none. Exact to the resolution of the marks. */
  ageMs(nowMs: number): number {
    return this.#times.length === 0 ? 0 : Math.max(0, nowMs - this.#times[0]!);
  }

  #thin(): void {
    const span = this.#times[this.#times.length - 1]! - this.#times[0]!;
    this.#resolutionMs = Math.max(2 * this.#resolutionMs, (2 * span) / MAX_MARKS);
    let nextMs = -Infinity;
    const kept = this.#times.map((ms) => {
      if (ms < nextMs) return false;
      nextMs = ms + this.#resolutionMs;
      return true;
    });
    this.#positions = this.#positions.filter((_, index) => kept[index]);
    this.#times = this.#times.filter((_, index) => kept[index]);
  }
}
