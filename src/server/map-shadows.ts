/** The shadows of one map (shadow.ts), and the copies that its drains leave them. */
import {
  BPF_RINGBUF_BUSY_BIT,
  BPF_RINGBUF_DISCARD_BIT,
  BPF_RINGBUF_HDR_SZ,
  DATA_OFFSET,
  recordSize,
  type UserRing,
} from '../ring/index.js';
import type { Clock } from './clock.js';
import type { DrainOutcome } from './drain-runner.js';
import type { RegisteredHandler } from './handler-table.js';
import type { MapCounters } from './map-counters.js';
import { DrainCtx } from './shadow-ctx.js';
import { Shadow, type ReleasedRun, type ShadowReport } from './shadow.js';

export interface MapShadowsDeps {
  map: string;
  incarnation: string;
  ring: UserRing;
  /** Bytes that the queue of each shadow takes: a power of two, whole pages. */
  queueBytes: number;
  counters: MapCounters;
  clock: Clock;
}

/** The head of the ring as it was before it was drained. */
interface Snapshot {
  position: bigint;
  bytes: Uint8Array;
}

export class MapShadows {
  readonly #deps: MapShadowsDeps;
  readonly #shadows = new Map<RegisteredHandler, Shadow>();
  #snapshot: Snapshot | undefined;
  /** Of the drain under way. */
  #ctx = new DrainCtx({});
  /** Samples of the drain under way that the shadows were offered. */
  #offered = 0;

  constructor(deps: MapShadowsDeps) {
    this.#deps = deps;
  }

  add(registered: RegisteredHandler): void {
    const { handler, spec } = registered;
    this.#shadows.set(registered, new Shadow({ ...this.#deps, handler, enabled: spec.enabled }));
  }

  /** A shadow may be called or not any more; nothing happens for a handler that is none. */
  enable(registered: RegisteredHandler, enabled: boolean): void {
    this.#shadows.get(registered)?.enable(enabled);
  }

  /** Resolves when the shadow is not called any more; nothing happens for a handler that is none. */
  async remove(registered: RegisteredHandler): Promise<void> {
    const shadow = this.#shadows.get(registered);
    this.#shadows.delete(registered);
    await shadow?.close();
  }

  /** How a shadow did; `undefined` for a handler that is none. */
  reportOf(registered: RegisteredHandler): ShadowReport | undefined {
    return this.#shadows.get(registered)?.report();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#shadows.keys()].map((registered) => this.remove(registered)));
  }

  /**
   * A drain begins. One copy of what lies at the head, as much as a shadow could take; none without a shadow.
   * @param ctx that it was called with
   */
  begun(ctx: unknown): void {
    this.#offered = 0;
    this.#ctx = new DrainCtx(ctx);
    this.#look();
  }

  /** A drain that spans several turns of the event loop has released something. */
  moved(): void {
    if (this.#shadows.size === 0) return;
    this.#handOver();
    this.#look();
  }

  /** A drain has ended: what it released is the shadows' now. */
  ended(outcome: DrainOutcome): void {
    if (this.#shadows.size === 0) return;
    this.#handOver();
    this.#snapshot = undefined;
    const unseen = outcome.drained - this.#offered;
    for (const shadow of this.#shadows.values()) {
      if (unseen > 0) shadow.skip(unseen);
      if (outcome.stopped) shadow.noteStop(this.#deps.ring.consumerPosition);
    }
  }

  #look(): void {
    this.#snapshot = undefined;
    if (this.#shadows.size === 0) return;
    const { ring } = this.#deps;
    const room = Math.max(...[...this.#shadows.values()].map((shadow) => shadow.room));
    const length = Math.min(room, ring.used);
    if (length === 0) return;
    const bytes = new Uint8Array(length);
    const start = ring.consumerLow & (ring.size - 1);
    const untilEnd = Math.min(length, ring.size - start);
    bytes.set(ring.bytes.subarray(DATA_OFFSET + start, DATA_OFFSET + start + untilEnd));
    bytes.set(ring.bytes.subarray(DATA_OFFSET, DATA_OFFSET + length - untilEnd), untilEnd);
    this.#snapshot = { position: ring.consumerPosition, bytes };
  }

  #handOver(): void {
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return;
    const released = Number(BigInt.asUintN(64, this.#deps.ring.consumerPosition - snapshot.position));
    const run = releasedRun(snapshot, released);
    if (run.bytes.length === 0) return;
    this.#offered += run.samples;
    for (const shadow of this.#shadows.values()) shadow.offer(run, this.#ctx);
  }
}

/** The records of a snapshot that were released since, as far as they were complete when it was taken. */
function releasedRun({ position, bytes }: Snapshot, released: number): ReleasedRun {
  const view = new DataView(bytes.buffer);
  const limit = Math.min(released, bytes.length);
  let end = 0;
  let samples = 0;
  while (end + BPF_RINGBUF_HDR_SZ <= limit) {
    const header = view.getUint32(end, true);
    const discarded = (header & BPF_RINGBUF_DISCARD_BIT) !== 0;
    if (!discarded && (header & BPF_RINGBUF_BUSY_BIT) !== 0) break;
    const size = recordSize(header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT));
    if (end + size > limit) break;
    if (!discarded) samples++;
    end += size;
  }
  return { position, bytes: bytes.subarray(0, end), samples };
}
