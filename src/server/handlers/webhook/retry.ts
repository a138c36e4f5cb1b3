/** When a failed POST is tried again: pure rules, with time handed in. */

/** Whether the same request may succeed later: the server is slow (408), asks to wait (429) or is broken (5xx). */
export function isRetryableStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status <= 599);
}

const WEEKDAY = /^(mon|tue|wed|thu|fri|sat|sun)/i;

/**
 * Reads a Retry-After header: seconds, or a date in one of the three forms of HTTP.
 * @param wallMs wall time in ms, for the date
 * @returns ms from now, 0 for a date in the past; `undefined` without a header, or for one that says nothing
 */
export function retryAfterMs(header: string | undefined, wallMs: number): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1000;
  if (!WEEKDAY.test(text)) return undefined;
  // The oldest form names no zone and means GMT.
  const date = Date.parse(/GMT$/i.test(text) ? text : `${text} GMT`);
  return Number.isNaN(date) ? undefined : Math.max(0, date - wallMs);
}
