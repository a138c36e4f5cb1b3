/**
 * What a handler in another thread emits: for each target map a run in ring format, in shared memory, as long as the
 * credit that was granted for it. Nothing of it counts before the sample that caused it is released (drain-ledger.ts).
 */
import { BPF_RINGBUF_HDR_SZ, DYNPTR_MAX_SIZE, Errno, recordSize } from '../../../ring/index.js';
import type { DrainLedger } from './drain-ledger.js';

export class EmitLog {
  readonly buffer: SharedArrayBuffer;
  readonly #targets: readonly string[];
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Bytes that the log of one target has room for. */
  readonly #capacity: number;
  #credit: readonly number[] = [];

  /** @param capacity bytes for each target */
  constructor(
    targets: readonly string[],
    capacity: number,
    buffer = new SharedArrayBuffer(targets.length * capacity),
  ) {
    this.buffer = buffer;
    this.#targets = targets;
    this.#capacity = capacity;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
  }

  /** Before a drain, in the thread that drains. @param credit bytes granted for each target, records counted whole */
  begin(credit: readonly number[]): void {
    this.#credit = credit;
  }

  /**
   * Adds a sample. In the thread that drains.
   * @returns 0, or -ENOENT (the handler's config does not name the map), -E2BIG (no dynptr would hold it), -ENOSPC (no
   *   credit left in this drain)
   */
  append(ledger: DrainLedger, map: string, payload: Uint8Array): number {
    const target = this.#targets.indexOf(map);
    if (target < 0) return -Errno.ENOENT;
    if (payload.length > DYNPTR_MAX_SIZE) return -Errno.E2BIG;
    const used = ledger.emitted[target]!;
    const size = recordSize(payload.length);
    if (used + size > Math.min(this.#credit[target] ?? 0, this.#capacity)) return -Errno.ENOSPC;
    const at = target * this.#capacity + used;
    this.#view.setUint32(at, payload.length, true);
    this.#view.setUint32(at + 4, 0, true);
    this.#bytes.set(payload, at + BPF_RINGBUF_HDR_SZ);
    this.#bytes.fill(0, at + BPF_RINGBUF_HDR_SZ + payload.length, at + size);
    ledger.emitted[target] = used + size;
    return 0;
  }

  /** The run of a target between two places of its log, copied. In the thread that watches. */
  run(target: number, from: number, to: number): Uint8Array {
    return this.#bytes.slice(target * this.#capacity + from, target * this.#capacity + to);
  }
}
