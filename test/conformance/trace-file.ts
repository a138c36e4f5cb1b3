import { readFileSync } from 'node:fs';
import type { Trace, TraceOp } from './trace.js';

const MAX_U64 = 2n ** 64n - 1n;
const MAX_U32 = 2 ** 32 - 1;
const LARGEST_RING = 2 ** 30;

type Check = (value: unknown) => boolean;

const isInteger: Check = (value) => Number.isInteger(value);
const isErrno: Check = (value) => Number.isInteger(value) && (value as number) <= 0;
const isU32: Check = (value) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_U32;
const isNatural: Check = (value) => Number.isInteger(value) && (value as number) >= 0;
const isBoolean: Check = (value) => typeof value === 'boolean';
const isHex: Check = (value) => typeof value === 'string' && /^([0-9a-f]{2})*$/i.test(value);
const isU64: Check = (value) =>
  typeof value === 'string' && /^[0-9]{1,20}$/.test(value) && BigInt(value) <= MAX_U64;
const isSamples: Check = (value) =>
  Array.isArray(value) &&
  value.every(
    (sample: unknown) =>
      Array.isArray(sample) && sample.length === 2 && isNatural(sample[0]) && isHex(sample[1]),
  );

const drainFields: Record<string, Check> = {
  flags: isNatural,
  stop_after: isInteger,
  ret: isInteger,
  calls: isNatural,
  wakeup_event: isBoolean,
  writable: isBoolean,
  samples: isSamples,
};

/** The fields of each op beside `cons` and `prod`. */
const FIELDS: Record<TraceOp['op'], Record<string, Check>> = {
  reserve: { size: isU32, ret: isErrno },
  submit: { id: isNatural },
  discard: { id: isNatural },
  write: { off: isNatural, hex: isHex },
  prodpos: { pos: isU64 },
  drain: drainFields,
  drain_nested: { ...drainFields, nested_ret: isInteger },
  poll: { writable: isBoolean },
  create: { key_size: isU32, value_size: isU32, max_entries: isU32, map_flags: isU32, ret: isErrno },
};

/** A trace file that cannot be used. The message names the file and, where it can, the line. */
export class TraceFileError extends Error {
  override name = 'TraceFileError';
}

/** Reads a trace file: one trace a line, empty lines skipped. */
export function readTraceFile(path: string): Trace[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new TraceFileError(`${path}: cannot be read: ${(error as Error).message}`);
  }
  const traces = text
    .split('\n')
    .flatMap((line, i) => (line.trim() === '' ? [] : [parseTrace(line, `${path}:${i + 1}`)]));
  if (traces.length === 0) throw new TraceFileError(`${path}: holds no trace`);
  return traces;
}

/** @param where what a complaint begins with */
export function parseTrace(line: string, where: string): Trace {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new TraceFileError(`${where}: not JSON: ${(error as Error).message}`);
  }
  const complaint = complaintAboutTrace(value);
  if (complaint) throw new TraceFileError(`${where}: ${complaint}`);
  return value as Trace;
}

function complaintAboutTrace(value: unknown): string | undefined {
  if (!isObject(value)) return 'not an object';
  const { name, max_entries: size, ops } = value;
  if (typeof name !== 'string' || name === '') return 'a trace has a "name"';
  if (!isU32(size) || !isRingSize(size as number))
    return `"max_entries" is a power of two from 4096 to ${LARGEST_RING}, not ${JSON.stringify(size)}`;
  if (!Array.isArray(ops)) return 'a trace has a list of "ops"';
  let reservations = 0;
  for (const [i, op] of (ops as unknown[]).entries()) {
    const complaint = complaintAboutOp(op, size as number, reservations);
    if (complaint) return `op ${i}: ${complaint}`;
    const { op: kind, ret } = op as TraceOp & { ret?: number };
    if (kind === 'reserve' && ret === 0) reservations++;
  }
  return undefined;
}

function complaintAboutOp(op: unknown, size: number, reservations: number): string | undefined {
  if (!isObject(op)) return 'not an object';
  if (typeof op.op !== 'string' || !Object.hasOwn(FIELDS, op.op))
    return `no such op: ${JSON.stringify(op.op)}`;
  const fields = { ...FIELDS[op.op as TraceOp['op']], cons: isU64, prod: isU64 };
  for (const [field, check] of Object.entries(fields))
    if (!check(op[field])) return `${op.op} with "${field}" ${JSON.stringify(op[field]) ?? 'missing'}`;
  const { id, off, hex, ret, nested_flags } = op as {
    id?: number;
    off: number;
    hex: string;
    ret?: number;
    nested_flags?: unknown;
  };
  switch (op.op) {
    case 'reserve':
      return ret === 0 && id !== reservations
        ? `reserve with "id" ${id}, and not the next, ${reservations}`
        : undefined;
    case 'submit':
    case 'discard':
      return id! >= reservations ? `no reservation has the id ${id} yet` : undefined;
    case 'write':
      return off + hex.length / 2 > 2 * size ? 'write beyond the second mapping' : undefined;
    case 'drain_nested':
      return nested_flags === undefined || isNatural(nested_flags)
        ? undefined
        : `drain_nested with "nested_flags" ${JSON.stringify(nested_flags)}`;
    default:
      return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isRingSize(size: number): boolean {
  return size >= 4096 && size <= LARGEST_RING && Number.isInteger(Math.log2(size));
}
