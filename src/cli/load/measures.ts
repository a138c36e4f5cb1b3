/** Numbers with units, as people write them on a command line and read them in a table. */

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const sizeUnits: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** `10`, `10s`, `500ms`, `2m`: milliseconds; a number alone is seconds. `undefined` for anything else. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim());
  return match === null ? undefined : Number(match[1]) * durationUnits[match[2] ?? 's']!;
}

/** `4096`, `64k`, `1MiB`: bytes, with powers of 1024. `undefined` for anything else. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+)\s*([kmg]?)(?:i?b)?$/i.exec(text.trim());
  return match === null ? undefined : Number(match[1]) * sizeUnits[match[2]!.toLowerCase()]!;
}

/** A whole number with separators between thousands: `1,234,567`. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Three significant digits and a unit: `1.23 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? String(Math.round(value)) : significant(value)} ${units[unit]!}`;
}

/** Milliseconds with a unit that suits them: `850 µs`, `1.25 ms`, `3.4 s`. */
export function formatMs(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  return ms < 1000 ? `${significant(ms)} ms` : `${significant(ms / 1000)} s`;
}

/** A share of 1 in percent: `12.5 %`. */
export function formatShare(share: number): string {
  return `${(share * 100).toFixed(share < 0.0995 && share > 0 ? 1 : 0)} %`;
}

function significant(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
