/** How long to wait after failures in a row: a pure rule, with chance handed in. */

export interface BackoffSettings {
  backoffMinMs: number;
  backoffMaxMs: number;
}

/**
 * Pause after the n-th failure in a row (1, 2, 3…): the minimum, doubled each time up to the maximum, of which a random
 * part between one half and all is taken, so that many who failed together do not come back in step.
 * @param random a number from 0 to below 1
 */
export function backoffDelay(failures: number, settings: BackoffSettings, random: number): number {
  const doubled = settings.backoffMinMs * 2 ** Math.min(failures - 1, 30);
  const full = Math.min(doubled, settings.backoffMaxMs);
  return full / 2 + (full / 2) * random;
}
