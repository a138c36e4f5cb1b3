import type { Clock } from '../../src/server/clock.js';

interface Timer {
  dueMs: number;
  fn: () => void;
}

/** A clock that a test turns by hand. `soon` waits for {@link runSoon}, or for the real event loop when told to. */
export class ManualClock implements Clock {
  #now: number;
  #timers: Timer[] = [];
  #soon: (() => void)[] = [];
  readonly #realSoon: boolean;

  /** @param options.realSoon `soon` runs after the real event loop's I/O: for a whole daemon on real sockets */
  constructor(options: { startMs?: number; realSoon?: boolean } = {}) {
    this.#now = options.startMs ?? 1000;
    this.#realSoon = options.realSoon ?? false;
  }

  nowMs(): number {
    return this.#now;
  }

  callbackMs(): number {
    return this.#now;
  }

  /** Wall time moves with the clock, from a fixed day on. */
  wallMs(): number {
    return Date.UTC(2030, 0, 1) + this.#now;
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { dueMs: this.#now + ms, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  soon(fn: () => void): void {
    if (this.#realSoon) setImmediate(fn);
    else this.#soon.push(fn);
  }

  /** Timers that are waiting. */
  get timers(): number {
    return this.#timers.length;
  }

  /** Callbacks that wait for the event loop. */
  get pendingSoon(): number {
    return this.#soon.length;
  }

  /** Moves time on and runs what falls due, in order; each callback sees the time at which it was due. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter(({ dueMs }) => dueMs <= end).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.dueMs);
      next.fn();
    }
    this.#now = end;
  }

  /** One turn of the event loop: runs what was there when it began. Returns how many callbacks that were. */
  runSoon(): number {
    const due = this.#soon;
    this.#soon = [];
    for (const fn of due) fn();
    return due.length;
  }

  /** Turns of the event loop until nothing waits; returns how many. */
  runAllSoon(): number {
    let turns = 0;
    while (this.#soon.length > 0) {
      if (turns++ > 100_000) throw new Error('the event loop never runs empty');
      this.runSoon();
    }
    return turns;
  }
}
