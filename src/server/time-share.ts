/**
 * One map's share of the event loop's time: deficit round robin. Each round grants every map in the queue the same time;
 * what a turn took is charged. Who overdrew waits out as many rounds as that takes, so that in the long run maps that always
 * have something to drain get the same time each, whatever one of their samples costs.
 */

/** Granted time that a map could not use yet, as a multiple of one grant: more lapses. */
const MAX_SAVED_GRANTS = 16;
/** Of that, what one turn may take, as a multiple of one grant: bounds what the others wait for. */
const MAX_TURN_GRANTS = 2;

export class TimeShare {
  readonly #grantMs: number;
  /** Time that the map may take, in ms; below 0 it has taken more than it was granted. */
  #balanceMs = 0;
  /** When it left the queue. */
  #leftAtMs: number | undefined;

  /** @param grantMs what one round grants, in ms */
  constructor(grantMs: number) {
    this.#grantMs = grantMs;
  }

  /** Time granted and not taken yet, in ms. */
  get balanceMs(): number {
    return this.#balanceMs;
  }

  /** What the next turn should take, in ms. */
  get turnMs(): number {
    return Math.min(this.#balanceMs, MAX_TURN_GRANTS * this.#grantMs);
  }

  /** Whether the map may have a turn now. */
  get mayTurn(): boolean {
    return this.#balanceMs > 0;
  }

  /** Rounds that have to go by before it may have a turn; 0 = with the next one. */
  get roundsToWait(): number {
    return this.#balanceMs > 0 ? 0 : Math.floor(-this.#balanceMs / this.#grantMs);
  }

  /** @param rounds that have gone by */
  grant(rounds = 1): void {
    this.#balanceMs = Math.min(this.#balanceMs + rounds * this.#grantMs, MAX_SAVED_GRANTS * this.#grantMs);
  }

  charge(ms: number): void {
    this.#balanceMs -= ms;
  }

  /**
   * The map has nothing to drain, or waits for its handler: what it was granted lapses, what it overdrew does not.
   * @param fairMs what a map that always has something to drain could have had up to now, from whatever beginning
   */
  leave(fairMs: number): void {
    this.#balanceMs = Math.min(this.#balanceMs, 0);
    this.#leftAtMs ??= fairMs;
  }

  /** It is in the queue again: what it overdrew is paid by what it could have had meanwhile. */
  rejoin(fairMs: number): void {
    if (this.#leftAtMs === undefined) return;
    if (this.#balanceMs < 0)
      this.#balanceMs = Math.min(0, this.#balanceMs + Math.max(0, fairMs - this.#leftAtMs));
    this.#leftAtMs = undefined;
  }
}
