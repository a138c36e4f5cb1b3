import { median, spread } from '../measure/statistics.js';
import type { Cell, Column } from './results.js';

/** `12,345.6`: digits in groups of three. */
export function formatNumber(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** The median, and the spread of the tries when there is one to speak of: `6.03 ±1 %`. */
export function formatCell(cell: Cell | undefined, column: Column): string {
  if (cell === undefined || cell.values.length === 0) return '';
  const text = formatNumber(median(cell.values), column.digits);
  if (cell.values.length < 2) return text;
  return `${text} ±${Math.round(spread(cell.values) * 100)} %`;
}
