import { wakeupOf, type Trace, type TraceOp, type TraceSample } from './trace.js';

/** What an op did somewhere else than on the kernel: the fields of its trace op that could be seen there. */
export interface Outcome {
  ret?: number;
  id?: number;
  calls?: number;
  nested_ret?: number;
  samples?: readonly TraceSample[];
  cons: string;
  prod: string;
  writable?: boolean;
  /** Whether waiters were woken, whether or not an epoll could have seen it. */
  wakeup_event?: boolean;
}

/** The first place where a trace and its replay part. */
export interface Difference {
  trace: string;
  /** Counted from 0. */
  index: number;
  op: TraceOp['op'];
  /** `samples[2].length` and `samples[2].head` are of the third sample. */
  field: string;
  expected: string;
  actual: string;
  /** Which replay it was. */
  way: string;
}

/** What became of one trace in one replay. */
export interface Replay {
  trace: string;
  /** Ops in the trace. */
  ops: number;
  /** Ops before the first difference: all of them where there is none. */
  identical: number;
  difference?: Difference;
}

/** The order in which fields are compared: what an op answered, before what it left behind. */
const FIELDS = ['ret', 'id', 'calls', 'nested_ret', 'cons', 'prod', 'writable', 'wakeup_event'] as const;

/** Compares one op with its outcome. `ignoreWakeups` leaves out wakeup_event. */
export function findDifference(
  trace: Trace,
  index: number,
  outcome: Outcome,
  way: string,
  ignoreWakeups = false,
): Difference | undefined {
  const op = trace.ops[index]!;
  const difference = (field: string, expected: unknown, actual: unknown): Difference => ({
    trace: trace.name,
    index,
    op: op.op,
    field,
    expected: show(expected),
    actual: show(actual),
    way,
  });
  for (const field of FIELDS) {
    if (field === 'wakeup_event' && ignoreWakeups) continue;
    const actual = outcome[field];
    const expected = expectedOf(trace, index, field);
    if (actual !== undefined && actual !== expected) return difference(field, expected, actual);
  }
  if (outcome.samples === undefined || op.op !== 'drain') return undefined;
  const count = Math.min(op.samples.length, outcome.samples.length);
  for (let i = 0; i < count; i++) {
    const [expectedLength, expectedHead] = op.samples[i]!;
    const [length, head] = outcome.samples[i]!;
    if (length !== expectedLength) return difference(`samples[${i}].length`, expectedLength, length);
    if (head !== expectedHead.toLowerCase()) return difference(`samples[${i}].head`, expectedHead, head);
  }
  return op.samples.length === outcome.samples.length
    ? undefined
    : difference('samples.length', op.samples.length, outcome.samples.length);
}

function expectedOf(trace: Trace, index: number, field: (typeof FIELDS)[number]): unknown {
  const op = trace.ops[index]!;
  if (field === 'wakeup_event') {
    if (op.op !== 'drain' && op.op !== 'drain_nested') return undefined;
    return wakeupOf(op, trace.ops[index - 1]?.cons ?? '0');
  }
  return (op as unknown as Record<string, unknown>)[field];
}

/** One line for a person. */
export function describeDifference(difference: Difference): string {
  const { trace, index, op, field, expected, actual, way } = difference;
  return `${trace}: op ${index} (${op}), ${field}: Linux ${expected}, here ${actual} (${way})`;
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
}
