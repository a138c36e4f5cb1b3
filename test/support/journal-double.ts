import {
  NO_SYNCS,
  NOTHING_IN_LOOP,
  type Durability,
  type Journal,
  type JournalHost,
  type JournalSnapshot,
  type JournalStore,
  type KeptProducer,
  type RecoveredMap,
} from '../../src/server/journal/journal.js';

/** Pause after a commit that found no room, in ms. */
const RETRY_MS = 5;

/** The bytes of a record that a journal holds: header and payload as they would be on a disk. */
interface Kept {
  incarnation: string;
  snapshot: JournalSnapshot;
  producers: Map<string, KeptProducer>;
  image: Uint8Array;
}

/**
 * A journal that commits when a test says so, or in the next turn of the event loop, and keeps what is committed in the
 * memory of the test. What is in a ring and not committed is gone when its daemon is.
 */
export class JournalDouble implements Journal {
  readonly durability: Durability;
  failed = false;
  readonly createdMs = undefined;
  readonly findings = [];
  readonly syncs = NO_SYNCS;
  readonly loop = NOTHING_IN_LOOP;
  /** Commits are made by {@link commit} only. */
  manual: boolean;
  /** Commits fail with it. */
  fault: 'ENOSPC' | 'EIO' | undefined;
  commits = 0;
  closed = false;
  readonly #incarnation: string;
  #kept: Kept | undefined;
  #host: JournalHost | undefined;
  #due = false;
  #retry: JournalSnapshot | undefined;
  readonly #ends = new Map<bigint, 'sample' | 'discard'>();
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(durability: Durability, incarnation: string, manual: boolean, kept?: Kept) {
    this.durability = durability;
    this.#incarnation = incarnation;
    this.manual = manual;
    this.#kept = kept;
  }

  /** What a restart would find. */
  get kept(): Kept | undefined {
    return this.#kept;
  }

  allocate(bytes: number): ArrayBuffer {
    return new ArrayBuffer(bytes);
  }

  attach(host: JournalHost): RecoveredMap | undefined {
    this.#host = host;
    const kept = this.#kept;
    if (kept === undefined) return undefined;
    const { ring } = host;
    const { producerPos, consumerPos, counters, runs } = kept.snapshot;
    ring.bytes.set(kept.image.subarray(8192), 8192);
    ring.producerPosition = producerPos;
    ring.consumerPosition = consumerPos;
    const buffered = { samples: 0, discards: 0, sampleBytes: 0 };
    for (let at = consumerPos; at < producerPos;) {
      const word = (8192 + Number(at % BigInt(ring.size))) / 4;
      const length = ring.words[word]! & 0x3fffffff;
      const size = (length + 15) & ~7;
      if (ring.words[word]! !== length) {
        ring.words[word] = length | (1 << 30);
        buffered.discards++;
      } else {
        buffered.samples++;
        buffered.sampleBytes += size;
      }
      at += BigInt(size);
    }
    return {
      incarnation: kept.incarnation,
      producerPos,
      consumerPos,
      producers: [...kept.producers.values()],
      counters,
      runs,
      quarantined: [],
      buffered,
    };
  }

  changed(): void {
    if (this.#due || this.failed) return;
    this.#due = true;
    if (!this.manual) setImmediate(() => this.commit());
  }

  rewritten(position: bigint, as: 'sample' | 'discard'): void {
    this.#ends.set(position, as);
    this.changed();
  }

  /** Begins a commit of what is due, which {@link commit} ends: what comes meanwhile belongs to the next one. */
  begin(): void {
    this.#due = false;
    this.#retry = this.#host!.snapshot();
  }

  /** One commit of what is due. @returns whether there was anything, and it went well */
  commit(): boolean {
    const host = this.#host!;
    if (this.failed || this.closed || (!this.#due && this.#retry === undefined)) return false;
    let snapshot = this.#retry;
    if (snapshot === undefined) {
      this.#due = false;
      snapshot = host.snapshot();
    }
    if (this.fault !== undefined) {
      this.#retry = snapshot;
      if (this.fault === 'EIO') this.failed = true;
      host.failed(this.fault, new Error(`${this.fault}: told by a test`));
      if (!this.failed && !this.manual) setTimeout(() => this.commit(), RETRY_MS).unref();
      if (this.failed) for (const { reject } of this.#waiting.splice(0)) reject(new Error('EIO'));
      return false;
    }
    this.#retry = undefined;
    this.#keep(host, snapshot);
    this.commits++;
    host.durable(snapshot);
    // More came meanwhile: the next turn takes it.
    if (this.#due && !this.manual) setImmediate(() => this.commit());
    if (!this.#due) for (const { resolve } of this.#waiting.splice(0)) resolve();
    return true;
  }

  settled(): Promise<void> {
    if (!this.#due && this.#retry === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  async close(): Promise<void> {
    while (this.commit());
    this.closed = true;
  }

  #keep(host: JournalHost, snapshot: JournalSnapshot): void {
    const { ring } = host;
    const producers = this.#kept?.producers ?? new Map<string, KeptProducer>();
    for (const id of snapshot.forgotten) producers.delete(id);
    for (const producer of snapshot.producers) producers.set(producer.id, producer);
    const image = ring.bytes.slice();
    const words = new Int32Array(image.buffer);
    for (const [position, end] of this.#ends) {
      const word = (8192 + Number(position % BigInt(ring.size))) / 4;
      const length = words[word]! & 0x3fffffff;
      if (position >= snapshot.consumerPos) words[word] = end === 'sample' ? length : length | (1 << 30);
    }
    this.#ends.clear();
    this.#kept = { incarnation: this.#incarnation, snapshot, producers, image };
  }
}

/** The journals of a test. They outlive the daemon: the next one finds what was committed. */
export class JournalStoreDouble implements JournalStore {
  readonly journals = new Map<string, JournalDouble>();
  manual: boolean;

  constructor(options: { manual?: boolean } = {}) {
    this.manual = options.manual ?? false;
  }

  /** The journal of a map that a daemon has open. */
  of(map: string): JournalDouble {
    const journal = this.journals.get(map);
    if (journal === undefined) throw new Error(`map ${map} has no journal`);
    return journal;
  }

  async open(
    map: string,
    { durability, incarnation }: { maxEntries: number; durability: Durability; incarnation: string },
  ): Promise<Journal> {
    const kept = this.journals.get(map)?.kept;
    const journal = new JournalDouble(durability, kept?.incarnation ?? incarnation, this.manual, kept);
    this.journals.set(map, journal);
    return journal;
  }

  async remove(map: string): Promise<void> {
    this.journals.delete(map);
  }

  async close(): Promise<void> {}
}
