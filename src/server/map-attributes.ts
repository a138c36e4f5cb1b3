/** What a map is made with: what its creator says, and what the configuration says for all of them. */
import type { RingMode } from '../ring/index.js';
import type { Durability } from './journal/journal.js';
import type { LedgerMode } from './ledger/map-ledger.js';

/** What a map is created with; two maps are the same when these are. */
export interface MapAttributes {
  /** Bytes of the data area. */
  maxEntries: number;
  mode: RingMode;
  durability: Durability;
  ledger: LedgerMode;
}

/** The part of the configuration that maps need. */
export interface MapSettings {
  dataDir: string;
  /** Where modules of the operator's are; absent: there are none. */
  handlersDir?: string | undefined;
  /** Addresses that webhooks may reach besides public ones. */
  webhooks?: { readonly allow: readonly string[] } | undefined;
  leaseMs: number;
  stateTtlMs: number;
  maxProducers: number;
  maxReservationsPerConnection: number;
  maxHandlers: number;
  maxLedgerRuns: number;
  maxDiskBytes: number;
  /** Bytes that the queue of one shadow handler takes: a power of two, whole pages. */
  shadowQueueBytes: number;
}
