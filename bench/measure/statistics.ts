/** What a number is that was measured several times. */
export interface Sample {
  /** One value a try, in the order of the tries. */
  readonly values: readonly number[];
}

/** @throws RangeError for no values at all */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) throw new RangeError('no values to take the median of');
  return sorted.length % 2 === 1 ? upper : (sorted[middle - 1]! + upper) / 2;
}

/** Half the distance between the lowest and the highest value, as a share of the median: ±0.05 is five per cent. */
export function spread(values: readonly number[]): number {
  const middle = median(values);
  return middle === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / 2 / middle;
}

/**
 * Ratios try by try, and the median of those: what disturbs a whole try disturbs both sides of its ratio.
 * @throws RangeError when the tries do not pair
 */
export function ratioOf(above: readonly number[], below: readonly number[]): number {
  if (above.length !== below.length) throw new RangeError(`${above.length} tries against ${below.length}`);
  return median(above.map((value, index) => value / below[index]!));
}
