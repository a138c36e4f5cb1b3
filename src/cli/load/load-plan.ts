/** What one run of the load tester does, with every default filled in. Durations are milliseconds, sizes bytes. */
export interface LoadPlan {
  readonly url: string;
  readonly token: string | undefined;
  readonly map: string;
  /** Ring size of a map that has to be created. */
  readonly maxEntries: number;
  /** Durability of a map that has to be created. */
  readonly durability: 'memory' | 'written' | 'synced';
  /** Whether what the run created stays. */
  readonly keep: boolean;
  readonly producers: number;
  /** Samples a second of all producers together; `undefined`: as fast as they are acknowledged. */
  readonly rate: number | undefined;
  readonly sampleSize: number;
  /** Samples of one OUTPUT frame, at least 1. */
  readonly frameSamples: number;
  readonly durationMs: number;
  /** Bytes of records that one producer has unacknowledged at most. */
  readonly windowBytes: number;
  /** Share of the samples that go by RESERVE and SUBMIT, 0 to 1. */
  readonly reserveShare: number;
  /** Time between two cuts of a connection; `undefined`: none is cut. */
  readonly cutMs: number | undefined;
  /** Length of a stall of the drain; `undefined`: it is never stalled. */
  readonly stallMs: number | undefined;
  /** Producers that read their replies slowly. */
  readonly slowReaders: number;
  /** Drive POST /v1/maps/{map}/samples instead of WebSockets. */
  readonly rest: boolean;
  /** How long the end of a run may take: flushing, a daemon that is away, draining what is left. */
  readonly settleMs: number;
}

/** Where the results go besides the table. */
export interface LoadOutput {
  readonly json: boolean;
  readonly report: string | undefined;
}
