import type { ErrnoName } from '../../ring/index.js';

export interface CatalogueEntry {
  errno: ErrnoName;
  /** HTTP status, where it is not the one of the errno (errno-status.ts). */
  status?: number;
  title: string;
  advice: string;
  /** Whether the same request may succeed later without a change. */
  retryable?: boolean;
}

/** Checks the type, and forgets which entry it is. */
export function entry<const Entry extends CatalogueEntry>(value: Entry): CatalogueEntry {
  return value;
}
