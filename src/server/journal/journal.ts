/**
 * What keeps a map across a crash, behind one small interface, so that a replicated journal can follow.
 *
 * Retention is the ring itself: a journal holds an image of the ring and nothing that grows. Whoever hosts the map says
 * that something {@link Journal.changed}; the journal then asks for a {@link JournalSnapshot}, brings the ring's bytes up
 * to it, the positions and the producers' states to the map's durability in one step, and says so by
 * {@link JournalHost.durable}. What changes meanwhile belongs to the next commit: one commit, and so one sync, serves
 * everything that came while the last one was under way, and never are two under way at once.
 */
import type { UserRing } from '../../ring/index.js';

/**
 * How far an acknowledgement goes.
 * `memory`: in the ring; gone with the process.
 * `written`: handed to the operating system; survives the end of the process.
 * `synced`: on the disk; survives a loss of power.
 */
export type Durability = 'memory' | 'written' | 'synced';

/** What is kept of a producer: durable together with the samples it belongs to. */
export interface KeptProducer {
  readonly id: string;
  /** Name of the token that first used the id. */
  readonly owner: string;
  /** Last OUTPUT accepted as a whole. */
  readonly lastSeq: number;
  /** Samples held of OUTPUT `lastSeq + 1`. */
  readonly partial: number;
  /** End of the last acknowledged record. */
  readonly ackedPos: bigint;
  readonly acceptedSamples: number;
  readonly acceptedBytes: number;
  /** When it was last connected, wall clock. Unit: ms since 1970. */
  readonly lastSeenMs: number;
  readonly books: KeptBooks;
}

/** The ledger of a producer: what was accepted up to the producer position of a commit, the rest up to the consumer position. */
export interface KeptBooks {
  /** What {@link KeptRun} calls the producer; 0: it has put nothing into the map. */
  readonly handle: number;
  /** Reservations that were neither submitted nor discarded. */
  readonly openReservations: number;
  readonly acceptedSamples: number;
  readonly acceptedBytes: number;
  readonly drainedSamples: number;
  readonly drainedBytes: number;
  readonly discardedSamples: number;
  readonly discardedBytes: number;
  readonly deadLetteredSamples: number;
  readonly deadLetteredBytes: number;
  readonly unattributedSamples: number;
  readonly unattributedBytes: number;
  /** 48 bits each; 0 where the map keeps none. */
  readonly acceptedHash: number;
  readonly drainedHash: number;
}

/** Records of one producer that lie back to back. */
export interface KeptRun {
  /** 0: of nobody who is kept. */
  readonly handle: number;
  readonly bytes: number;
}

/** The books of a map, which go on after a restart. Samples, unless the name says bytes. */
export interface KeptCounters {
  readonly acceptedSamples: number;
  readonly acceptedBytes: number;
  readonly drainedSamples: number;
  readonly discardedSamples: number;
  readonly discardedBytes: number;
  readonly releasedBytes: number;
  readonly deadLetteredSamples: number;
  readonly deadLetteredBytes: number;
  readonly quarantinedSamples: number;
  readonly quarantinedBytes: number;
}

/** A moment of a map, to be made durable as a whole. */
export interface JournalSnapshot {
  /** Every record before it is in the ring. */
  readonly producerPos: bigint;
  /** Everything before it was released. */
  readonly consumerPos: bigint;
  /** States that changed since the last snapshot. */
  readonly producers: readonly KeptProducer[];
  /** Producer ids that were forgotten since the last snapshot. */
  readonly forgotten: readonly string[];
  readonly counters: KeptCounters;
  /** Whose the records are from consumerPos to producerPos, at most MAX_RUNS. */
  readonly runs: readonly KeptRun[];
}

/** The syncs (fdatasync) of commits that have ended, whether they worked or not. */
export interface SyncTally {
  readonly count: number;
  /** Never two of a map at once: the share of the time in which one was under way follows from it. Unit: s. */
  readonly seconds: number;
}

export const NO_SYNCS: SyncTally = { count: 0, seconds: 0 };

/** What the event loop has done of the commits. */
export interface LoopTally {
  /** Carried out by it, and not by the journal's thread. */
  readonly commits: number;
  /** In writes of theirs, also of those that failed. Unit: s. */
  readonly seconds: number;
}

export const NOTHING_IN_LOOP: LoopTally = { commits: 0, seconds: 0 };

/** What opening a journal has found wrong beside damaged records, and what it did about it. */
export interface JournalFinding {
  /**
   * `header_repaired`: one of the two copies was damaged. `file_set_aside`: nothing in the file could be used, the map
   * starts empty.
   */
  readonly kind: 'header_repaired' | 'file_set_aside';
  /** In words. */
  readonly message: string;
  /** What was there before, below the data directory; empty when nothing had to be kept. */
  readonly file: string;
}

/** The map, as its journal sees it. */
export interface JournalHost {
  /**
   * Read by the journal from the moment that it was told of a {@link Journal.changed change}: a record is not written over
   * before it is released durably.
   */
  readonly ring: UserRing;
  /** The map as it is now; what changed is told once. */
  snapshot(): JournalSnapshot;
  /** Everything in a snapshot is at the map's durability now. Called in order. */
  durable(snapshot: JournalSnapshot): void;
  /**
   * A commit failed. `ENOSPC`: nothing was lost, the journal tries the same again by itself and calls `durable` once
   * there is room. `EIO`: what the disk holds is unknown; the journal writes nothing any more.
   */
  failed(errno: 'ENOSPC' | 'EIO', error: unknown): void;
}

/** Bytes that could not be verified after a crash, and were kept aside. */
export interface Quarantine {
  readonly position: bigint;
  readonly bytes: number;
  /** File that holds them, below the data directory. */
  readonly file: string;
  readonly reason: string;
}

/** What was found of a map. Positions, records and states are those of the newest commit that verifies. */
export interface RecoveredMap {
  readonly incarnation: string;
  readonly producerPos: bigint;
  readonly consumerPos: bigint;
  readonly producers: readonly KeptProducer[];
  readonly counters: KeptCounters;
  /** Whose the records are that are left. */
  readonly runs: readonly KeptRun[];
  /** What this recovery has set aside; the counters do not know of it yet. Each is one or more discards in the ring. */
  readonly quarantined: readonly Quarantine[];
  /** What is left in the ring. Reservations that were open count as discards, what is quarantined not at all. */
  readonly buffered: {
    readonly samples: number;
    readonly discards: number;
    /** Bytes of the samples with their headers and padding. */
    readonly sampleBytes: number;
  };
}

export interface Journal {
  readonly durability: Durability;
  /** Whether a commit failed with EIO: the map is read-only. */
  readonly failed: boolean;
  /** When the map was created, wall clock; `undefined` when nobody keeps that. Unit: ms since 1970. */
  readonly createdMs: number | undefined;
  /** What was wrong with it when it was opened, damaged records apart. */
  readonly findings: readonly JournalFinding[];
  /** Since it was opened. */
  readonly syncs: SyncTally;
  /** Since it was opened. */
  readonly loop: LoopTally;
  /**
   * Memory for the host's ring, where the journal can read it best: `bytes`, or more, all 0. For one ring.
   * @throws RangeError when there is none
   */
  allocate(bytes: number): ArrayBufferLike;
  /**
   * Brings the recovered content into the host's ring (records, positions) and starts to serve it. Records that were
   * reserved and not submitted are discards now. What is quarantined is a discard, too.
   * @returns what was found; `undefined` for a map that is new
   */
  attach(host: JournalHost): RecoveredMap | undefined;
  /** Something of the host changed; a commit is due. Cheap: called for every frame. */
  changed(): void;
  /**
   * The reservation at `position` has got its end: it is written as a sample, or as a discard, by the next commit,
   * whatever its header in the ring still says. So a host leaves BUSY set, and the record hidden from drains, until that
   * commit is durable. To be told of every reservation, also of one that no snapshot has held yet; its payload is
   * complete and does not change any more. Once the ring itself says the same, telling it does no harm.
   */
  rewritten(position: bigint, as: 'sample' | 'discard'): void;
  /** Resolves once everything that changed before the call is durable; rejects when the journal has failed. */
  settled(): Promise<void>;
  /** Commits what is left and lets go of the file. */
  close(): Promise<void>;
}

/** The journals of one data directory, whose lock the caller holds. */
export interface JournalStore {
  /**
   * The journal of a map: a new one, or the one that is there.
   * @throws RingbufdError when what is there has another size, or its header cannot be trusted
   */
  open(
    map: string,
    options: { maxEntries: number; durability: Durability; incarnation: string },
  ): Promise<Journal>;
  /** Removes everything of a map. */
  remove(map: string): Promise<void>;
  close(): Promise<void>;
}
