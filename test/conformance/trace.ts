/**
 * A trace: what a kernel's user ring buffer did, op by op. `recorder/` writes them; traces/README.md describes the fields.
 *
 * Positions are u64 and therefore decimal strings. Errno results are negative numbers. `flags` is a JSON number: only
 * values that a double holds exactly are to be trusted.
 */
export interface Trace {
  name: string;
  max_entries: number;
  ops: TraceOp[];
}

/** Where both ends stood right after the op. */
interface Positions {
  cons: string;
  prod: string;
}

/** `ret` 0 comes with an `id`; the payload was then filled with the byte of {@link payloadByte}. */
export interface ReserveOp extends Positions {
  op: 'reserve';
  size: number;
  ret: number;
  id?: number;
}

export interface CommitOp extends Positions {
  op: 'submit' | 'discard';
  id: number;
}

/** Bytes stored into the data area, which is mapped twice in a row: `off` + length may pass its end, and wraps. */
export interface WriteOp extends Positions {
  op: 'write';
  off: number;
  hex: string;
}

/** The producer position stored as it is. */
export interface ProdposOp extends Positions {
  op: 'prodpos';
  pos: string;
}

/** A sample's length and its first {@link SAMPLE_HEAD} bytes in hex. */
export type TraceSample = [length: number, head: string];

interface DrainFields extends Positions {
  flags: number;
  /** -1: the callback always returned 0; k: it returned 1 at its k-th call and at every later one; 0: at every call. */
  stop_after: number;
  ret: number;
  calls: number;
  /** Whether an edge-triggered epoll saw a wakeup. Says nothing where `writable` is false. */
  wakeup_event: boolean;
  writable: boolean;
}

export interface DrainOp extends DrainFields {
  op: 'drain';
  /** The first {@link SAMPLES_KEPT}. */
  samples: TraceSample[];
}

/** A drain whose callback drains the same map again. */
export interface DrainNestedOp extends DrainFields {
  op: 'drain_nested';
  /** Flags of the inner drain; 0 when absent. */
  nested_flags?: number;
  /** What the last inner call returned; 0 when there was none. */
  nested_ret: number;
  samples: [];
}

export interface PollOp extends Positions {
  op: 'poll';
  writable: boolean;
}

/** The creation of a map beside the traced one. */
export interface CreateOp extends Positions {
  op: 'create';
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  ret: number;
}

export type TraceOp =
  ReserveOp | CommitOp | WriteOp | ProdposOp | DrainOp | DrainNestedOp | PollOp | CreateOp;

/** Samples that a drain op lists. */
export const SAMPLES_KEPT = 4096;
/** Bytes of each that it shows. */
export const SAMPLE_HEAD = 16;

/** The byte that fills the payload of reservation `id`. */
export function payloadByte(id: number): number {
  return (id * 37 + 11) & 255;
}

/**
 * Whether a managed map takes the trace's producer: it writes no headers and positions of its own making, and ends each
 * reservation at most once.
 */
export function isManaged(trace: Trace): boolean {
  const ended = new Set<number>();
  for (const op of trace.ops) {
    if (op.op === 'write' || op.op === 'prodpos') return false;
    if (op.op === 'submit' || op.op === 'discard') {
      if (ended.has(op.id)) return false;
      ended.add(op.id);
    }
  }
  return true;
}

/** The verdict of a drain op's callback at its `call`-th call, from 1. */
export function verdictAt(stopAfter: number, call: number): 0 | 1 {
  return stopAfter >= 0 && call >= stopAfter ? 1 : 0;
}

/**
 * Whether a drain woke its waiters. Where the ring was writable after it, the trace shows it. Elsewhere the kernel's rule
 * decides, from the trace alone: FORCE wakes, NO does not, and otherwise a consumer position that moved does.
 *
 * @param consumerBefore the consumer position before the drain
 */
export function wakeupOf(op: DrainOp | DrainNestedOp, consumerBefore: string): boolean {
  if (op.writable) return op.wakeup_event;
  if (op.flags > 3) return false;
  if (op.flags & 2) return true;
  return (op.flags & 1) === 0 && op.cons !== consumerBefore;
}
