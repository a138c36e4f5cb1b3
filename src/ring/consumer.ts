/**
 * The consumer's side: peek, release, drain. The rules are those of `__bpf_user_ringbuf_peek` and
 * `bpf_user_ringbuf_drain` (kernel/bpf/ringbuf.c), in their order.
 */
import { Dynptr } from './dynptr.js';
import { Errno } from './errno.js';
import {
  BPF_MAX_USER_RINGBUF_SAMPLES,
  BPF_RINGBUF_HDR_SZ,
  CONSUMER_POS_WORD,
  DATA_WORD,
  DISCARD_MASK,
  DYNPTR_MAX_SIZE,
  PRODUCER_POS_WORD,
  recordSize,
} from './layout.js';
import { peek } from './peek.js';
import { advance } from './position.js';
import type { SampleRun } from './sample-run.js';
import type { UserRing } from './user-ring.js';
import { isValidDrainFlags, shouldWake } from './wakeup.js';

// Numbers to the compiler, where imported bindings are not: see peek.ts.
const HEADER = BPF_RINGBUF_HDR_SZ;
const CONSUMER = CONSUMER_POS_WORD;
const CONSUMER_HIGH = CONSUMER_POS_WORD + 1;
const PRODUCER = PRODUCER_POS_WORD;
const DATA = DATA_WORD;
const DISCARD = DISCARD_MASK;
/**
 * Up to this size of a ring, a header with BUSY, DISCARD or a length that no dynptr can hold counts, as an unsigned number,
 * for more bytes than the ring has: one comparison with what is available finds them all.
 */
const LARGEST_PLAIN = DYNPTR_MAX_SIZE + 1;
/** recordSize() rounds up to 8 behind the header. */
const ROUND_UP = BPF_RINGBUF_HDR_SZ + 7;

/** The callback's answer: 0 = go on, 1 = stop after this sample. Anything else fails the drain with EINVAL. */
export type Verdict = 0 | 1;

/** Runs on each sample. The sample is dead once it returns. It must not be asynchronous. */
export type SampleCallback<Ctx> = (sample: Dynptr, ctx: Ctx) => Verdict;

/** What a drain has released, up to now. */
export interface ReleasedSoFar {
  /** Samples released. */
  drained: number;
  /** Discarded records skipped. */
  discarded: number;
  /** Bytes of these records. */
  discardedBytes: number;
}

/** What a drain did, beyond its return value. */
export interface DrainReport extends ReleasedSoFar {
  /** Whether the callback ended it with verdict 1. */
  stopped: boolean;
  /** Whether waiters are to be woken (wakeup.ts). */
  wakeup: boolean;
  /** What the callback threw, when the result is -EIO; a TypeError that names its answer, when that was neither 0 nor 1. */
  error: unknown;
}

/**
 * Told of each release of a drain in runs, just before it shows: whoever ends the draining thread at any moment can then
 * say what it had done, from the consumer position alone.
 */
export interface ReleaseLedger {
  /**
   * @param consumerLow low half of the consumer position behind the release
   * @param report samples and discards released by this drain, this release included
   */
  note(consumerLow: number, report: Readonly<DrainReport>): void;
}

export class Consumer {
  readonly #ring: UserRing;
  readonly #ledger: ReleaseLedger | undefined;
  readonly #managed: boolean;
  /** Word of the position up to which records may be seen. */
  readonly #producerWord: number;
  readonly #dynptr: Dynptr;
  /**
   * One drain at a time. A flag and not a lock, as in the kernel: a callback may run long, and one that drains its own
   * ring again must be refused at once instead of waiting for itself.
   */
  #busy = false;
  #turns = 0;
  #report: DrainReport = emptyReport();

  constructor(ring: UserRing, ledger?: ReleaseLedger) {
    this.#ring = ring;
    this.#ledger = ledger;
    this.#managed = ring.mode === 'managed';
    this.#producerWord = ring.visibleWord;
    this.#dynptr = new Dynptr(ring);
  }

  /** Whether a drain is under way. */
  get busy(): boolean {
    return this.#busy;
  }

  /** What the last drain that was not refused at its start did. Complete once it has ended. */
  get report(): Readonly<DrainReport> {
    return this.#report;
  }

  /**
   * Runs `callback` on the samples from the consumer position on, and releases each after its callback answered.
   *
   * @param flags 0, BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP or both
   * @param maxTurns bound on loop turns, at most and by default 131072; a discarded record costs a turn
   * @returns samples handed to the callback and released, or
   *   -EINVAL (unknown flag, misaligned producer position, record past it, verdict other than 0 and 1),
   *   -EBUSY (a drain is under way), -E2BIG (record larger than the ring or a dynptr),
   *   -EIO (the callback threw: see `report.error`). What was released stays released; the bad record, or the sample
   *   whose callback failed, stays at the head.
   */
  drain<Ctx>(
    callback: SampleCallback<Ctx>,
    ctx: Ctx,
    flags = 0,
    maxTurns: number = BPF_MAX_USER_RINGBUF_SAMPLES,
  ): number {
    const refused = this.begin(flags);
    if (refused !== 0) return refused;
    const report = this.#report;
    const { words, size, shared } = this.#ring;
    const managed = this.#managed;
    const producerWord = this.#producerWord;
    const mask = size - 1;
    // A managed ring's producer position is sound, and without another thread nothing is to be synchronized: what is
    // left of peek for an ordinary record is one comparison.
    const plain = managed && !shared && producerWord === PRODUCER && size <= LARGEST_PLAIN;
    // A journalled ring, whose records were published before: what is published during a drain, peek finds.
    const isPublished = managed && !shared && producerWord !== PRODUCER && size <= LARGEST_PLAIN;
    const end = words[producerWord]!;
    const dynptr = this.#dynptr;
    let consumerLow = words[CONSUMER]!;
    let drained = 0;
    let discarded = 0;
    let error = 0;
    const turns = Math.min(maxTurns, BPF_MAX_USER_RINGBUF_SAMPLES);
    try {
      while (drained + discarded < turns) {
        let length = words[DATA + ((consumerLow & mask) >> 2)]!;
        const isReady =
          plain && (((length + ROUND_UP) & ~7) - 1) >>> 0 < (words[PRODUCER]! - consumerLow) >>> 0;
        if (
          !isReady &&
          !(isPublished && (((length + ROUND_UP) & ~7) - 1) >>> 0 < (end - consumerLow) >>> 0)
        ) {
          length = peek(words, size, managed, shared, producerWord, consumerLow, 0);
          if (length >= DISCARD) {
            report.discardedBytes += recordSize(length - DISCARD);
            this.#release(length - DISCARD);
            consumerLow = words[CONSUMER]!;
            discarded++;
            continue;
          }
          if (length < 0) {
            if (length !== -Errno.ENODATA) error = length;
            break;
          }
        }
        const verdict: number = callback(dynptr.aim((consumerLow + HEADER) | 0, length), ctx);
        if (verdict !== 0 && verdict !== 1) {
          // Never String(verdict): an object's own toString could throw, and change the errno.
          const answer = typeof verdict === 'number' ? verdict : typeof verdict;
          report.error = new TypeError(`the callback answered ${answer}, not 0 or 1`);
          error = -Errno.EINVAL;
          break;
        }
        // #release, with the low half in a variable: reading back its own last store would hold the loop up.
        const before = consumerLow;
        consumerLow = (before + ((length + ROUND_UP) & ~7)) | 0;
        if (consumerLow >>> 0 < before >>> 0) words[CONSUMER_HIGH] = (words[CONSUMER_HIGH]! + 1) | 0;
        if (shared) Atomics.store(words, CONSUMER, consumerLow);
        else words[CONSUMER] = consumerLow;
        drained++;
        if (verdict === 1) {
          report.stopped = true;
          break;
        }
      }
    } catch (thrown) {
      report.error = thrown;
      error = -Errno.EIO;
    }
    report.drained = drained;
    report.discarded = discarded;
    this.end(flags);
    return error !== 0 ? error : drained;
  }

  /**
   * Starts a drain that spans several {@link peekRun} and {@link releaseRun} calls, for a handler that answers later:
   * the busy flag is held until {@link end}.
   * @returns 0, -EINVAL (unknown flag bit, before anything else) or -EBUSY
   */
  begin(flags: number): number {
    if (!isValidDrainFlags(flags)) return -Errno.EINVAL;
    if (this.#busy) return -Errno.EBUSY;
    this.#busy = true;
    this.#turns = 0;
    this.#report = emptyReport();
    this.#dynptr.attach();
    return 0;
  }

  /**
   * Collects the ready samples from the head on, without releasing them. Discarded records at the head are skipped, as
   * in a drain; those between samples go when the samples before them go.
   *
   * @param run filled anew; holds at most its own capacity
   * @param maxBytes payload bounds the run, though one sample always fits
   * @param maxTurns bound on the loop turns of this drain, all its runs together; at most and by default 131072
   * @returns samples collected (0: nothing is ready), or -EINVAL / -E2BIG for a bad record at the head
   */
  peekRun(run: SampleRun, maxBytes: number, maxTurns = BPF_MAX_USER_RINGBUF_SAMPLES): number {
    run.clear();
    let ahead = 0;
    let samples = 0;
    let payload = 0;
    const turns = Math.min(maxTurns, BPF_MAX_USER_RINGBUF_SAMPLES);
    const { words, size, shared } = this.#ring;
    while (!run.full && this.#turns + run.records < turns) {
      const consumerLow = words[CONSUMER]!;
      const peeked = peek(words, size, this.#managed, shared, this.#producerWord, consumerLow, ahead);
      if (peeked >= DISCARD) {
        if (ahead === 0) this.#skip(peeked - DISCARD);
        else ahead += run.addDiscarded(peeked - DISCARD);
        continue;
      }
      if (peeked < 0) return samples > 0 || peeked === -Errno.ENODATA ? samples : peeked;
      if (samples > 0 && payload + peeked > maxBytes) break;
      ahead += run.addSample(consumerLow + ahead + HEADER, peeked);
      payload += peeked;
      samples++;
    }
    return samples;
  }

  /**
   * Releases the next `samples` samples of a run that {@link peekRun} collected, and the discards ahead of them; discards
   * behind them go with the next release or peek.
   */
  releaseRun(run: SampleRun, samples: number): void {
    for (let released = 0; released < samples && run.hasMore;) {
      const record = run.takeNext();
      if (run.isSample(record)) {
        this.#report.drained++;
        released++;
        this.#turns++;
        this.#releaseNoted(run.lengthOf(record));
      } else {
        this.#skip(run.lengthOf(record));
      }
    }
  }

  /**
   * Ends a drain: frees the busy flag, then decides about the wakeup, in this order.
   * @param elsewhere what a consumer in another thread has released between begin and end
   */
  end(flags: number, elsewhere?: ReleasedSoFar): void {
    if (elsewhere !== undefined) Object.assign(this.#report, elsewhere);
    this.#dynptr.kill();
    this.#busy = false;
    this.#report.wakeup = shouldWake(flags, this.#report.drained + this.#report.discarded);
  }

  /** Notes that the handler of a drain between begin and end asked to stop. */
  markStopped(): void {
    this.#report.stopped = true;
  }

  /** Gives a record's room back. Pairs with the producer's read of the consumer position in reserve. */
  #release(length: number): void {
    const { words, shared } = this.#ring;
    advance(words, CONSUMER, recordSize(length), shared);
  }

  #releaseNoted(length: number): void {
    if (this.#ledger !== undefined) {
      const low = this.#ring.words[CONSUMER]!;
      this.#ledger.note((low + recordSize(length)) | 0, this.#report);
    }
    this.#release(length);
  }

  #skip(length: number): void {
    this.#report.discardedBytes += recordSize(length);
    this.#report.discarded++;
    this.#turns++;
    this.#releaseNoted(length);
  }
}

function emptyReport(): DrainReport {
  return { drained: 0, discarded: 0, discardedBytes: 0, stopped: false, wakeup: false, error: undefined };
}
