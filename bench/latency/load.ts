/** An open load of one connection. */
export interface Load {
  /** Sends a second. */
  readonly rate: number;
  readonly seconds: number;
}

/** When the first, the median and the last of many were reached, in ms. */
export interface Spread {
  readonly first: number;
  readonly median: number;
  readonly last: number;
}

/** @param arrivals in the order in which they came */
export function spreadOf(arrivals: readonly number[]): Spread {
  const middle = arrivals[arrivals.length >> 1];
  if (middle === undefined) throw new RangeError('nobody was reached');
  return { first: arrivals[0]!, median: middle, last: arrivals[arrivals.length - 1]! };
}
