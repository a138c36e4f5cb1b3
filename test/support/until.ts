/**
 * Waits, with a bound, until `condition` holds; returns what it answered.
 * @throws Error naming `what` when it did not happen within `timeoutMs`
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  what = condition.toString(),
  timeoutMs = 5000,
): Promise<NonNullable<T>> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`did not happen within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
