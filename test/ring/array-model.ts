/**
 * The ring as a plain array of records: what the ring must do, with no bytes, no masks and no halves in sight. The bytes
 * in use are the sum of what the records take, so that the model cannot share an arithmetic mistake with the ring.
 */

const EIO = 5;
const E2BIG = 7;
const EBUSY = 16;
const EINVAL = 22;
const ENOSPC = 28;
const TOP = 2n ** 64n;

export interface ModelRecord {
  length: number;
  /** Bytes in the ring: header, payload, padding. */
  total: number;
  state: 'busy' | 'ready' | 'discarded';
  /** Undefined until it was filled: then its bytes are whatever the ring held before. */
  payload: Uint8Array | undefined;
}

/** What the callback of a drain does at its calls, counted from 1. */
export interface CallbackScript {
  /** Verdict 1 at this call; 0 = never. */
  stopAt: number;
  failure?: { call: number; kind: 'throws' | 'answers 2' };
  /** A sample that the callback itself puts into the ring. */
  output?: { call: number; payload: Uint8Array };
}

export interface ModelReport {
  drained: number;
  discarded: number;
  stopped: boolean;
  wakeup: boolean;
}

export class ArrayModel {
  /** From the head on. */
  readonly records: ModelRecord[] = [];
  consumer: bigint;
  producer: bigint;
  report: ModelReport = { drained: 0, discarded: 0, stopped: false, wakeup: false };
  #busy = false;
  #turns = 0;

  constructor(
    readonly size: number,
    readonly mode: 'managed' | 'direct',
    start: bigint,
  ) {
    this.consumer = start;
    this.producer = start;
  }

  get used(): number {
    return this.records.reduce((sum, record) => sum + record.total, 0);
  }

  get free(): number {
    return this.size - this.used;
  }

  /** Open reservations, oldest first. */
  get open(): ModelRecord[] {
    return this.records.filter((record) => record.state === 'busy');
  }

  reserve(length: number): number {
    if (!Number.isInteger(length) || length < 0) return -EINVAL;
    if (length >= 2 ** 30) return -E2BIG;
    const total = Math.ceil((8 + length) / 8) * 8;
    if (total > this.size) return -E2BIG;
    if (total > this.free) return -ENOSPC;
    this.records.push({ length, total, state: 'busy', payload: undefined });
    this.producer = (this.producer + BigInt(total)) % TOP;
    return 0;
  }

  output(payload: Uint8Array): number {
    const result = this.reserve(payload.length);
    if (result === 0) Object.assign(this.records.at(-1)!, { state: 'ready', payload });
    return result;
  }

  outputRun(payloads: readonly Uint8Array[]): number {
    const total = payloads.reduce((sum, payload) => sum + Math.ceil((8 + payload.length) / 8) * 8, 0);
    if (total > this.free) return -ENOSPC;
    for (const payload of payloads) this.output(payload);
    return 0;
  }

  begin(flags: number): number {
    if (![0, 1, 2, 3].includes(flags)) return -EINVAL;
    if (this.#busy) return -EBUSY;
    this.#busy = true;
    this.#turns = 0;
    this.report = { drained: 0, discarded: 0, stopped: false, wakeup: false };
    return 0;
  }

  end(flags: number): void {
    this.#busy = false;
    const { drained, discarded } = this.report;
    this.report.wakeup = flags >= 2 || (flags === 0 && drained + discarded > 0);
  }

  drain(script: CallbackScript, flags: number, maxTurns: number): { ret: number; seen: ModelRecord[] } {
    const refused = this.begin(flags);
    if (refused !== 0) return { ret: refused, seen: [] };
    const seen: ModelRecord[] = [];
    let error = 0;
    while (this.#turns < maxTurns && !this.report.stopped) {
      const head = this.#visibleHead();
      if (head === undefined || head.state === 'busy') break;
      if (head.state === 'ready') {
        seen.push(head);
        if (script.output?.call === seen.length) this.output(script.output.payload);
        if (script.failure?.call === seen.length) {
          error = script.failure.kind === 'throws' ? -EIO : -EINVAL;
          break;
        }
        this.report.stopped = script.stopAt === seen.length;
      }
      this.#releaseHead();
    }
    this.end(flags);
    return { ret: error !== 0 ? error : this.report.drained, seen };
  }

  /** The records of the run that a peekRun of these bounds collects, after the discards before it went. */
  peekRun(capacity: number, maxBytes: number, maxTurns: number): ModelRecord[] {
    while (this.#turns < maxTurns && this.#visibleHead()?.state === 'discarded') this.#releaseHead();
    if (this.#visibleHead() === undefined) return [];
    const run: ModelRecord[] = [];
    for (const record of this.records.slice(0, Math.min(capacity, maxTurns - this.#turns))) {
      if (record.state === 'busy') break;
      const payload = samplesOf([...run, record]).reduce((sum, sample) => sum + sample.length, 0);
      if (record.state === 'ready' && payload > maxBytes && samplesOf(run).length > 0) break;
      run.push(record);
    }
    return run;
  }

  /** Releases samples from the head on, and the discards before each. */
  release(samples: number): void {
    for (let left = samples; left > 0;) {
      if (this.records[0]!.state === 'ready') left--;
      this.#releaseHead();
    }
  }

  /**
   * Positions wrap at 2^64. A managed ring goes on, since it knows that the producer is ahead; a direct one compares as
   * the kernel does, for which a consumer position at or above the producer's means an empty ring.
   */
  #visibleHead(): ModelRecord | undefined {
    return this.mode === 'direct' && this.consumer >= this.producer ? undefined : this.records[0];
  }

  #releaseHead(): void {
    const head = this.records.shift()!;
    this.consumer = (this.consumer + BigInt(head.total)) % TOP;
    if (head.state === 'ready') this.report.drained++;
    else this.report.discarded++;
    this.#turns++;
  }
}

export function samplesOf(records: readonly ModelRecord[]): ModelRecord[] {
  return records.filter((record) => record.state === 'ready');
}
