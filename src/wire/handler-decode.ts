import { BPF_RINGBUF_HDR_SZ, recordSize } from '../ring/layout.js';
import { readU16, readU32, readU64 } from './bytes.js';
import { FRAME_HEADER_SIZE, type FrameError, type FrameErrorCode } from './frames.js';
import {
  ANSWER_FAILED,
  ANSWER_STOP,
  DELIVER_PREFIX_SIZE,
  deliverBodySize,
  HandlerOp,
  ROLE_ACTIVE,
  type AttachedBody,
  type DeliverFrame,
  type HandlerClientFrame,
  type HandlerServerFrame,
} from './handler-frames.js';

const HEADER = FRAME_HEADER_SIZE;

/** Reads one binary message of an attached client. Nothing larger than the message is allocated; no input throws. */
export function decodeHandlerClientFrame(bytes: Uint8Array): HandlerClientFrame | FrameError {
  if (bytes.length < HEADER) return truncated(bytes);
  if (readU16(bytes, 2) !== 0)
    return refuse('FRAME_RESERVED_NOT_ZERO', 'bytes 2 and 3 of the header must be 0', bytes);
  const op = bytes[0]!;
  const flags = bytes[1]!;
  const arg = readU32(bytes, 4);
  const seq = readU64(bytes, 8);
  switch (op) {
    case HandlerOp.ANSWER:
      if (flags === ANSWER_FAILED) return { op, seq, failed: true, errno: arg, message: text(bytes, HEADER) };
      if ((flags & ~ANSWER_STOP) !== 0) return unknownFlags(bytes);
      if (bytes.length > HEADER) return bodyIs('empty', bytes);
      return { op, seq, failed: false, consumed: arg, stop: flags === ANSWER_STOP };
    case HandlerOp.CREDIT:
      if (flags !== 0) return unknownFlags(bytes);
      if (bytes.length > HEADER) return bodyIs('empty', bytes);
      return { op, seq, bytes: arg };
    default:
      return refuse('FRAME_UNKNOWN_OP', `op ${hex(op)} is not one that a handler sends`, bytes);
  }
}

/**
 * Reads one binary message of the daemon, for the SDK. Flag bits that it does not know, and bytes behind a body of fixed
 * size, are ignored: a newer daemon may have more to say.
 */
export function decodeHandlerServerFrame(bytes: Uint8Array): HandlerServerFrame | FrameError {
  if (bytes.length < HEADER) return truncated(bytes);
  const op = bytes[0]!;
  const arg = readU32(bytes, 4);
  const seq = readU64(bytes, 8);
  switch (op) {
    case HandlerOp.ATTACHED: {
      const body = parseObject(bytes.subarray(HEADER));
      if (body === undefined)
        return refuse('FRAME_BAD_JSON', 'the body of ATTACHED is not a JSON object', bytes);
      return { op, version: arg, body: body as unknown as AttachedBody };
    }
    case HandlerOp.DELIVER: {
      if (bytes.length < HEADER + DELIVER_PREFIX_SIZE) return bodyIs('a position, a ctx and a run', bytes);
      const ctxSize = readU32(bytes, HEADER + 8);
      const runAt = HEADER + deliverBodySize(ctxSize, 0);
      if (runAt > bytes.length) return bodyIs(`a ctx of ${ctxSize} bytes and a run`, bytes);
      const ctxAt = HEADER + DELIVER_PREFIX_SIZE;
      return {
        op,
        seq,
        samples: arg,
        position: readU64(bytes, HEADER),
        ctx: bytes.subarray(ctxAt, ctxAt + ctxSize),
        run: bytes.subarray(runAt),
      };
    }
    case HandlerOp.ROLE:
      return { op, seq, active: (bytes[1]! & ROLE_ACTIVE) !== 0 };
    case HandlerOp.CANCEL:
      return { op, seq, errno: arg };
    default:
      return refuse('FRAME_UNKNOWN_OP', `op ${hex(op)} is not one that the daemon sends`, bytes);
  }
}

/**
 * The payloads of a delivery, as views into its message.
 * @returns `undefined` when the run is not one of exactly `samples` records
 */
export function deliveredSamples(frame: DeliverFrame): Uint8Array[] | undefined {
  const { run } = frame;
  const samples: Uint8Array[] = [];
  let at = 0;
  while (at + BPF_RINGBUF_HDR_SZ <= run.length && samples.length < frame.samples) {
    const length = readU32(run, at);
    const start = at + BPF_RINGBUF_HDR_SZ;
    if (length > run.length - start) return undefined;
    samples.push(run.subarray(start, start + length));
    at += recordSize(length);
  }
  return at === run.length && samples.length === frame.samples ? samples : undefined;
}

function parseObject(body: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function text(bytes: Uint8Array, at: number): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(at));
}

function hex(op: number): string {
  return `0x${op.toString(16).padStart(2, '0')}`;
}

function truncated(bytes: Uint8Array): FrameError {
  return refuse(
    'FRAME_TRUNCATED',
    `a frame has a header of ${HEADER} bytes, this one has ${bytes.length} bytes`,
    bytes,
  );
}

function unknownFlags(bytes: Uint8Array): FrameError {
  return refuse(
    'FRAME_UNKNOWN_FLAGS',
    `flags 0x${bytes[1]!.toString(16)} are not flags that this op takes`,
    bytes,
  );
}

function bodyIs(expected: string, bytes: Uint8Array): FrameError {
  return refuse(
    'FRAME_BODY_SIZE',
    `the body of this op is ${expected}; it has ${bytes.length - HEADER} bytes`,
    bytes,
  );
}

function refuse(error: FrameErrorCode, message: string, bytes: Uint8Array): FrameError {
  const seq = bytes.length >= HEADER ? readU64(bytes, 8) : 0n;
  return { error, message, op: bytes[0] ?? 0, seq, errno: 'EPROTO' };
}
