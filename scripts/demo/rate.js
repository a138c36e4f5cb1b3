// @ts-check
/** How fast a counter grows, per second, over the last `windowMs` milliseconds. */
export class Rate {
  /** @type {{ atMs: number, count: number }[]} */
  #points = [];
  #windowMs;

  /** @param {number} windowMs long enough to even out what comes in gusts */
  constructor(windowMs) {
    this.#windowMs = windowMs;
  }

  /**
   * @param {number} atMs
   * @param {number} count
   * @returns {number} the rate now
   */
  add(atMs, count) {
    this.#points.push({ atMs, count });
    while (this.#points.length > 2 && /** @type {number} */ (this.#points[1]?.atMs) <= atMs - this.#windowMs)
      this.#points.shift();
    const first = this.#points[0];
    return first === undefined || first.atMs === atMs
      ? 0
      : ((count - first.count) * 1000) / (atMs - first.atMs);
  }
}
