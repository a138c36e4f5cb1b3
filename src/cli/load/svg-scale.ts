/** Where a value lies on an axis, and what is written beside it. */
export interface Scale {
  /** 0 to 1 along the axis. */
  readonly at: (value: number) => number;
  readonly ticks: readonly { readonly value: number; readonly label: string }[];
}

/** An axis from 0 to at least `most`, with round numbers on it. */
export function linearScale(most: number, label: (value: number) => string, wantedTicks = 5): Scale {
  const step = roundStep(Math.max(most, Number.MIN_VALUE) / wantedTicks);
  const end = Math.max(step, Math.ceil(most / step - 1e-9) * step);
  const count = Math.round(end / step);
  return {
    at: (value) => value / end,
    ticks: Array.from({ length: count + 1 }, (_, index) => ({
      value: index * step,
      label: label(index * step),
    })),
  };
}

/** An axis of exactly this length, for a time that has an end. */
export function boundedScale(most: number, label: (value: number) => string, wantedTicks = 6): Scale {
  const step = roundStep(most / wantedTicks);
  const ticks = [];
  for (let value = 0; value <= most * (1 + 1e-9); value += step) ticks.push({ value, label: label(value) });
  return { at: (value) => value / most, ticks };
}

/** A logarithmic axis over whole decades that hold `least` and `most`. */
export function logScale(least: number, most: number, label: (value: number) => string): Scale {
  const from = Math.floor(Math.log10(least));
  const to = Math.max(from + 1, Math.ceil(Math.log10(most) - 1e-9));
  return {
    at: (value) => (Math.log10(Math.max(value, 10 ** from)) - from) / (to - from),
    ticks: Array.from({ length: to - from + 1 }, (_, index) => {
      const value = 10 ** (from + index);
      return { value, label: label(value) };
    }),
  };
}

/** Percentiles by their distance from 100 %: each nine takes the same room, so that the tail can be read. */
export function ninesScale(lastPercent: number): Scale {
  const nines = (percent: number): number => -Math.log10(Math.max(1 - percent / 100, 1e-7));
  const end = Math.max(nines(lastPercent), 1);
  return {
    at: (percent) => nines(percent) / end,
    ticks: [50, 90, 99, 99.9, 99.99, 99.999, 99.9999]
      .filter((percent) => nines(percent) <= end + 1e-9)
      .map((percent) => ({ value: percent, label: `${percent}%` })),
  };
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10);
}
