/** One drain, in the thread of a handler: on the ring itself, one sample after the other, each released once answered for. */
import { Consumer, Errno, recordSize, SampleRun, type UserRing } from '../../../ring/index.js';
import type { DrainLedger } from './drain-ledger.js';
import { SampleTooBig, type LoadedCode } from './loaded-code.js';
import type { ThreadError } from './thread-messages.js';

/** Records looked at ahead of the first one that is released. */
const RUN_RECORDS = 256;
/** A sample that took longer, in ms, may have allocated much: the memory is looked at before it is released. */
const QUICK_SAMPLE_MS = 0.02;
/** Room given back between two reports: a part of the ring, so that blocked producers go on before it is empty. */
const RING_PARTS = 8;

export interface LoopRequest {
  /** Consumer position at which the drain begins. */
  position: bigint;
  maxTurns: number;
  /** No further sample is begun after so many milliseconds. */
  softLimitMs: number;
}

export interface LoopDeps {
  ring: UserRing;
  ledger: DrainLedger;
  code: LoadedCode;
  /** Called now and then while the drain moves on. */
  onProgress: () => void;
  /** Lets what the last sample has left behind come to light; rejects with it. */
  settle: () => Promise<void>;
  /** Bytes held outside the heap, and how many may be. Absent: as many as the code's own limits allow. */
  external?: { bytes: () => number; max: number };
}

export interface LoopResult {
  /** 0, or a negative errno. */
  ret: number;
  stopped: boolean;
  /** Its time was used up: there may be more samples. */
  cut?: boolean;
  error?: ThreadError;
  /** The thread holds too much memory, or has lost its way: it is not to be used again. */
  unfit?: boolean;
}

/** Ends a drain with an errno. */
class DrainFailure extends Error {
  readonly errno: number;
  constructor(errno: number, message: string) {
    super(message);
    this.errno = errno;
  }
}

export class DrainLoop {
  readonly #deps: LoopDeps;
  readonly #consumer: Consumer;
  readonly #run: SampleRun;
  /** A position, and the bytes from there to the sample at hand: a BigInt is made only for code that asks. */
  #base = 0n;
  #baseLow = 0;
  #ahead = 0;

  constructor(deps: LoopDeps) {
    this.#deps = deps;
    this.#consumer = new Consumer(deps.ring, deps.ledger);
    this.#run = new SampleRun(deps.ring, RUN_RECORDS);
  }

  /** Where the record of the sample at hand starts. */
  get position(): bigint {
    return BigInt.asUintN(64, this.#base + BigInt(this.#ahead));
  }

  /** Drains until nothing is ready, the code asks to stop or fails, or a bound is reached. Never rejects. */
  async drain(request: LoopRequest): Promise<LoopResult> {
    const end = performance.now() + request.softLimitMs;
    const consumer = this.#consumer;
    this.#deps.ledger.begin();
    this.#base = request.position;
    this.#baseLow = this.#deps.ring.consumerLow;
    consumer.begin(0);
    try {
      for (;;) {
        const ready = consumer.peekRun(this.#run, Infinity, request.maxTurns);
        if (ready < 0) return { ret: ready, stopped: false };
        if (ready === 0) return { ret: 0, stopped: false };
        const stopped = await this.#handleRun(end);
        this.#checkMemory();
        if (stopped !== undefined) return { ret: 0, stopped, cut: !stopped };
      }
    } catch (thrown) {
      return failed(thrown);
    } finally {
      consumer.end(0);
    }
  }

  /** @returns whether the drain ends here, and if so whether the code has asked for it */
  async #handleRun(endMs: number): Promise<boolean | undefined> {
    const { code, ring, ledger, onProgress } = this.#deps;
    const run = this.#run;
    const part = ring.size / RING_PARTS;
    let reported = ring.consumerLow;
    let before = performance.now();
    this.#rebase();
    for (let record = 0; record < run.records; record++) {
      if (!run.isSample(record)) {
        this.#ahead += recordSize(run.lengthOf(record));
        continue;
      }
      const verdict = code.onSample(run.sampleAt(record));
      if (verdict !== 0 && verdict !== 1) {
        // A promise as the answer may reject on top of it: that changes nothing about the answer.
        if (code.takeUnsettled?.()) await this.#deps.settle().catch(() => undefined);
        throw new DrainFailure(Errno.EINVAL, wrongAnswer(verdict));
      }
      if (code.takeUnsettled?.()) await this.#deps.settle();
      const now = performance.now();
      if (now - before > QUICK_SAMPLE_MS) this.#checkMemory();
      before = now;
      this.#consumer.releaseRun(run, 1);
      this.#ahead += recordSize(run.lengthOf(record));
      if (((ring.consumerLow - reported) | 0) >= part) {
        reported = ring.consumerLow;
        onProgress();
      }
      if (verdict === 1) return true;
      if (now >= endMs || ledger.endAsked) return false;
    }
    return undefined;
  }

  /** Once a run, whose bytes are fewer than 2^32. */
  #rebase(): void {
    const low = this.#deps.ring.consumerLow;
    this.#base += BigInt((low - this.#baseLow) >>> 0);
    this.#baseLow = low;
    this.#ahead = 0;
  }

  #checkMemory(): void {
    const { external } = this.#deps;
    if (external === undefined) return;
    const bytes = external.bytes();
    if (bytes > external.max)
      throw new DrainFailure(Errno.EIO, `the handler holds ${bytes} bytes in buffers, over its memory_mb`);
  }
}

function wrongAnswer(verdict: unknown): string {
  if (typeof verdict === 'number') return `the handler answered ${verdict}, not 0 or 1`;
  const isPromise = typeof verdict === 'object' && verdict !== null && 'then' in verdict;
  return `the handler answered ${isPromise ? 'a promise' : typeof verdict}, not 0 or 1`;
}

function failed(thrown: unknown): LoopResult {
  if (thrown instanceof SampleTooBig) return { ret: -Errno.E2BIG, stopped: false, error: describe(thrown) };
  if (thrown instanceof DrainFailure)
    return {
      ret: -thrown.errno,
      stopped: false,
      error: { name: 'Error', message: thrown.message },
      // After an answer that is neither 0 nor 1 the code's state is sound; after too much memory it is not.
      unfit: thrown.errno === Errno.EIO,
    };
  return { ret: -Errno.EIO, stopped: false, error: describe(thrown), unfit: true };
}

/** Never lets what was thrown run code of its own outside the try: a getter or toString may throw too. */
export function describe(thrown: unknown): ThreadError {
  try {
    if (thrown instanceof Error) return { name: String(thrown.name), message: clip(String(thrown.message)) };
    return { name: typeof thrown, message: clip(String(thrown)) };
  } catch {
    return { name: 'unknown', message: 'an error that cannot be shown' };
  }
}

function clip(text: string): string {
  return text.length > 2000 ? `${text.slice(0, 2000)}…` : text;
}
