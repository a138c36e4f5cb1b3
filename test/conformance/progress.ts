const EVERY_MS = 200;

/** A line on stderr that is written over again and again, on a terminal only. */
export class Progress {
  readonly #what: string;
  readonly #total: number;
  readonly #shows = process.stderr.isTTY;
  #done = 0;
  #shownAt = 0;

  constructor(what: string, total: number) {
    this.#what = what;
    this.#total = total;
  }

  step(): void {
    this.#done++;
    if (!this.#shows || Date.now() - this.#shownAt < EVERY_MS) return;
    this.#shownAt = Date.now();
    process.stderr.write(`\r\x1b[K${this.#what} ${this.#done}/${this.#total}`);
  }

  /** Leaves the line empty for what comes next. */
  end(): void {
    if (this.#shows) process.stderr.write('\r\x1b[K');
  }
}
