// @ts-check
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A tick every `everyMs` milliseconds, counted from 0, until `stop` is aborted. Whoever comes late for the next one, for
 * instance because it waited for room in the ring, skips what it missed: there is no use in old readings.
 * @param {number} everyMs
 * @param {AbortSignal} stop
 */
export async function* ticks(everyMs, stop) {
  let next = performance.now();
  for (let tick = 0; !stop.aborted; tick++) {
    yield tick;
    next = Math.max(next + everyMs, performance.now());
    await sleep(next - performance.now(), undefined, { signal: stop }).catch(() => undefined);
  }
}
