/**
 * When the turns of one producer are due. In an open model the schedule does not care how the daemon does: turn n is
 * due at a time that was fixed before the run, and its latency counts from that time, sent late or not. Without that, a
 * daemon that stands still for a second would spoil one measurement instead of all that should have been made meanwhile
 * (coordinated omission).
 */
export class TurnSchedule {
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #intervalMs: number | undefined;
  #next = 0;

  /**
   * @param startMs due time of the first turn
   * @param endMs no turn is due at or after it
   * @param intervalMs between two turns; `undefined`: a turn is always due
   */
  constructor(startMs: number, endMs: number, intervalMs: number | undefined) {
    this.#startMs = startMs;
    this.#endMs = endMs;
    this.#intervalMs = intervalMs;
  }

  /** When the next turn is due; `undefined`: there is none any more. Without an interval it is due now. */
  nextDueMs(nowMs: number): number | undefined {
    const due = this.#intervalMs === undefined ? nowMs : this.#startMs + this.#next * this.#intervalMs;
    return due < this.#endMs ? due : undefined;
  }

  /** The turn that `nextDueMs` told of was taken. */
  taken(): void {
    this.#next++;
  }

  /** Due times of the turns that should have been taken by `nowMs` and were not. None without an interval. */
  *missed(nowMs: number): Generator<number> {
    if (this.#intervalMs === undefined) return;
    for (;;) {
      const due = this.nextDueMs(nowMs);
      if (due === undefined || due > nowMs) return;
      this.#next++;
      yield due;
    }
  }
}
