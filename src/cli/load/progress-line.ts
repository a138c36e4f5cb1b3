import type { LoadBooks } from './load-books.js';
import { formatCount, formatMs, formatShare } from './measures.js';
import type { TimelinePoint } from './timeline.js';

/** Goes to the start of the line and clears it. */
const CLEAR = '\r\u001b[K';

/** One line on a terminal that is written over and over while a run lasts. */
export class ProgressLine {
  readonly #write: (text: string) => void;
  readonly #columns: number;
  readonly #durationMs: number;

  /** @param columns width of the terminal: a longer line would wrap and leave its pieces behind */
  constructor(write: (text: string) => void, columns: number, durationMs: number) {
    this.#write = write;
    this.#columns = columns;
    this.#durationMs = durationMs;
  }

  show(point: TimelinePoint, books: LoadBooks): void {
    this.#write(CLEAR + progressText(point, books, this.#durationMs).slice(0, this.#columns - 1));
  }

  clear(): void {
    this.#write(CLEAR);
  }
}

/** What the line says. */
export function progressText(point: TimelinePoint, books: LoadBooks, durationMs: number): string {
  const { atMs, latency } = point;
  const parts = [
    `${formatMs(Math.min(atMs, durationMs))} of ${formatMs(durationMs)}`,
    `${formatCount(point.acknowledgedPerS)} samples/s`,
    point.isReachable ? `ring ${formatShare(point.fill ?? 0)}` : 'the daemon does not answer',
    latency !== undefined && `p50 ${formatMs(latency.p50)}`,
    latency !== undefined && `p99 ${formatMs(latency.p99)}`,
    books.cuts > 0 && `${formatCount(books.cuts)} cut`,
    books.stalls > 0 && `${formatCount(books.stalls)} stalls`,
    books.errors.size > 0 &&
      `${formatCount([...books.errors.values()].reduce((sum, count) => sum + count, 0))} errors`,
  ];
  return parts.filter((part) => part !== false).join('  ');
}
