/** What a handler in a thread may emit in one drain, and how it gets into the target maps. */
import { recordSize } from '../../../ring/index.js';
import { EmitLog } from './emit-log.js';

/** A map that is emitted into. Provided by whoever hosts maps. */
export interface EmitTarget {
  /**
   * Holds room in the ring, so that what is emitted is certain to fit.
   * @param bytes most that is asked for
   * @returns bytes granted, 0 to `bytes`
   */
  grant(bytes: number): number;
  /** Stores a run into the room held. @param records samples in the run */
  store(run: Uint8Array, records: number): void;
  /** Gives back what is left of the room held. */
  settle(): void;
}

export class EmitCredit {
  readonly #names: readonly string[];
  readonly #bytes: number;
  readonly #lookUp: (map: string) => EmitTarget | undefined;
  #log: EmitLog;
  #targets: (EmitTarget | undefined)[] = [];
  /** Bytes of each log that are stored already. */
  #applied: number[] = [];
  #emittedBytes = 0;

  /** @param bytes most that one drain may emit into each target */
  constructor(names: readonly string[], bytes: number, lookUp: (map: string) => EmitTarget | undefined) {
    this.#names = names;
    this.#bytes = bytes;
    this.#lookUp = lookUp;
    this.#log = new EmitLog(names, bytes);
  }

  /** The memory that the thread writes into. */
  get buffer(): SharedArrayBuffer {
    return this.#log.buffer;
  }

  /** Bytes stored in target maps so far, records counted whole. */
  get emittedBytes(): number {
    return this.#emittedBytes;
  }

  /** For a new thread. */
  replaceLog(): void {
    this.#log = new EmitLog(this.#names, this.#bytes);
  }

  /** Asks the targets for room. @returns bytes granted for each */
  begin(): number[] {
    this.#targets = this.#names.map((name) => this.#lookUp(name));
    this.#applied = this.#names.map(() => 0);
    return this.#targets.map((target) => target?.grant(this.#bytes) ?? 0);
  }

  /** Stores what belongs to released samples. @param emitted bytes of each log up to the last of them */
  apply(emitted: readonly number[]): void {
    for (const [index, target] of this.#targets.entries()) {
      const from = this.#applied[index]!;
      const to = emitted[index]!;
      if (target === undefined || to <= from) continue;
      const run = this.#log.run(index, from, to);
      target.store(run, countRecords(run));
      this.#applied[index] = to;
      this.#emittedBytes += to - from;
    }
  }

  /** The last {@link apply} of a drain; what is left of the credit goes back. */
  end(emitted: readonly number[]): void {
    this.apply(emitted);
    for (const target of this.#targets) target?.settle();
    this.#targets = [];
  }
}

function countRecords(run: Uint8Array): number {
  const view = new DataView(run.buffer, run.byteOffset, run.byteLength);
  let records = 0;
  for (let at = 0; at < run.length; at += recordSize(view.getUint32(at, true))) records++;
  return records;
}
