import { readU16, readU32, readU64 } from './bytes.js';
import {
  ACK_DURABILITY,
  DURABILITY_LEVELS,
  FRAME_HEADER_SIZE,
  Op,
  OUTPUT_ATOMIC,
  OUTPUT_RESEND,
  WAKEUP_AT_ONCE,
  WAKEUP_FORCED,
  WAKEUP_WRITABLE,
  WATCH_ON,
  type ClientFrame,
  type FrameError,
  type FrameErrorCode,
  type ServerFrame,
  type WelcomeBody,
} from './frames.js';

const POSITION_SIZE = 8;
const ERROR_BODY_SIZE = 24;

/**
 * Reads one binary message of a producer. Payloads are views into `bytes`; nothing larger than the message is
 * allocated, and no input throws.
 */
export function decodeClientFrame(bytes: Uint8Array): ClientFrame | FrameError {
  if (bytes.length < FRAME_HEADER_SIZE)
    return refuse(
      'FRAME_TRUNCATED',
      `a frame has a header of ${FRAME_HEADER_SIZE} bytes, this one has ${bytes.length} bytes`,
      bytes,
    );
  if (readU16(bytes, 2) !== 0)
    return refuse('FRAME_RESERVED_NOT_ZERO', 'bytes 2 and 3 of the header must be 0', bytes);
  const op = bytes[0]!;
  const flags = bytes[1]!;
  const arg = readU32(bytes, 4);
  const bodySize = bytes.length - FRAME_HEADER_SIZE;

  if (op === Op.OUTPUT) {
    if ((flags & ~(OUTPUT_ATOMIC | OUTPUT_RESEND)) !== 0) return unknownFlags(bytes);
    if (arg !== 0) return argNotZero(bytes);
    const high = readU32(bytes, 12);
    if (high >= 2 ** 21) return refuse('FRAME_SEQ_RANGE', 'a sequence number is at most 2^53-1', bytes);
    return {
      op,
      seq: high * 2 ** 32 + readU32(bytes, 8),
      atomic: (flags & OUTPUT_ATOMIC) !== 0,
      resend: (flags & OUTPUT_RESEND) !== 0,
      // Not subarray(): a Buffer's costs twice as much, once per frame.
      run: new Uint8Array(bytes.buffer, bytes.byteOffset + FRAME_HEADER_SIZE, bodySize),
    };
  }

  const seq = readU64(bytes, 8);
  if (op === Op.WATCH ? (flags & ~WATCH_ON) !== 0 : flags !== 0 && isClientOp(op)) return unknownFlags(bytes);
  switch (op) {
    case Op.RESERVE:
      return bodySize === 0 ? { op, seq, size: arg } : bodyIs('empty', bytes);
    case Op.WATCH:
      return bodySize === 0
        ? { op, seq, on: (flags & WATCH_ON) !== 0, minFree: arg }
        : bodyIs('empty', bytes);
    case Op.QUERY:
      if (arg !== 0) return argNotZero(bytes);
      return bodySize === 0 ? { op, seq } : bodyIs('empty', bytes);
    case Op.SUBMIT:
      if (arg !== 0) return argNotZero(bytes);
      if (bodySize < POSITION_SIZE) return bodyIs('a u64 position and the payload', bytes);
      return {
        op,
        seq,
        position: readU64(bytes, FRAME_HEADER_SIZE),
        payload: bytes.subarray(FRAME_HEADER_SIZE + POSITION_SIZE),
      };
    case Op.DISCARD:
      if (arg !== 0) return argNotZero(bytes);
      if (bodySize !== POSITION_SIZE) return bodyIs('a u64 position', bytes);
      return { op, seq, position: readU64(bytes, FRAME_HEADER_SIZE) };
    case Op.WRITE:
      if (arg !== 0) return argNotZero(bytes);
      if (bodySize < POSITION_SIZE) return bodyIs('a u64 offset and the bytes', bytes);
      return {
        op,
        seq,
        offset: readU64(bytes, FRAME_HEADER_SIZE),
        bytes: bytes.subarray(FRAME_HEADER_SIZE + POSITION_SIZE),
      };
    case Op.COMMIT:
      if (arg !== 0) return argNotZero(bytes);
      if (bodySize !== POSITION_SIZE) return bodyIs('a u64 position', bytes);
      return { op, seq, producerPos: readU64(bytes, FRAME_HEADER_SIZE) };
    default:
      return refuse(
        'FRAME_UNKNOWN_OP',
        `op 0x${op.toString(16).padStart(2, '0')} is not one that a producer sends`,
        bytes,
      );
  }
}

/**
 * Whether a message is the OUTPUT `seq` without flags, with its header in order: all that {@link decodeClientFrame} would
 * say of it, without an object for each.
 */
export function isPlainOutput(bytes: Uint8Array, seq: number): boolean {
  return (
    bytes.length >= FRAME_HEADER_SIZE &&
    bytes[0] === Op.OUTPUT &&
    (bytes[1]! | bytes[2]! | bytes[3]! | bytes[4]! | bytes[5]! | bytes[6]! | bytes[7]!) === 0 &&
    readU32(bytes, 12) * 2 ** 32 + readU32(bytes, 8) === seq
  );
}

/**
 * Reads one binary message of the daemon, for the SDK. As forgiving as it can be towards a newer daemon: flag bits and
 * trailing body bytes that it does not know are ignored.
 */
export function decodeServerFrame(bytes: Uint8Array): ServerFrame | FrameError {
  if (bytes.length < FRAME_HEADER_SIZE)
    return refuse(
      'FRAME_TRUNCATED',
      `a frame has a header of ${FRAME_HEADER_SIZE} bytes, this one has ${bytes.length} bytes`,
      bytes,
    );
  const op = bytes[0]!;
  const flags = bytes[1]!;
  const arg = readU32(bytes, 4);
  const seq = readU64(bytes, 8);
  const body = FRAME_HEADER_SIZE;
  const bodySize = bytes.length - body;
  switch (op) {
    case Op.WELCOME: {
      const welcome = parseWelcome(bytes.subarray(body));
      if (welcome === undefined)
        return refuse('FRAME_BAD_JSON', 'the body of WELCOME is not a JSON object', bytes);
      return { op, version: arg, seq: Number(seq), body: welcome };
    }
    case Op.ACK:
      if (bodySize < 2 * POSITION_SIZE) return bodyIs('two positions', bytes);
      return {
        op,
        seq: Number(seq),
        durability: DURABILITY_LEVELS[flags & ACK_DURABILITY] ?? 'memory',
        producerPos: readU64(bytes, body),
        consumerPos: readU64(bytes, body + 8),
      };
    case Op.ERROR: {
      if (bodySize < ERROR_BODY_SIZE) return bodyIs('two counts, two positions and a message', bytes);
      return {
        op,
        request: flags,
        errno: arg,
        seq,
        accepted: readU32(bytes, body),
        retryAfterMs: readU32(bytes, body + 4),
        producerPos: readU64(bytes, body + 8),
        consumerPos: readU64(bytes, body + 16),
        message: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(body + ERROR_BODY_SIZE)),
      };
    }
    case Op.RESERVED:
      if (bodySize < POSITION_SIZE) return bodyIs('a position', bytes);
      return { op, seq, position: readU64(bytes, body) };
    case Op.WAKEUP:
      if (bodySize < 2 * POSITION_SIZE) return bodyIs('two positions', bytes);
      return {
        op,
        forced: (flags & WAKEUP_FORCED) !== 0,
        writable: (flags & WAKEUP_WRITABLE) !== 0,
        atOnce: (flags & WAKEUP_AT_ONCE) !== 0,
        drained: arg,
        seq,
        producerPos: readU64(bytes, body),
        consumerPos: readU64(bytes, body + 8),
      };
    case Op.INFO:
      if (bodySize < 4 * POSITION_SIZE) return bodyIs('four u64', bytes);
      return {
        op,
        seq,
        availData: readU64(bytes, body),
        ringSize: readU64(bytes, body + 8),
        consumerPos: readU64(bytes, body + 16),
        producerPos: readU64(bytes, body + 24),
      };
    case Op.DONE:
      if (bodySize < 2 * POSITION_SIZE) return bodyIs('two positions', bytes);
      return { op, seq, producerPos: readU64(bytes, body), consumerPos: readU64(bytes, body + 8) };
    default:
      return refuse(
        'FRAME_UNKNOWN_OP',
        `op 0x${op.toString(16).padStart(2, '0')} is not one that the daemon sends`,
        bytes,
      );
  }
}

function isClientOp(op: number): boolean {
  return op >= Op.OUTPUT && op <= Op.COMMIT;
}

function parseWelcome(body: Uint8Array): WelcomeBody | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as WelcomeBody)
      : undefined;
  } catch {
    return undefined;
  }
}

function unknownFlags(bytes: Uint8Array): FrameError {
  return refuse(
    'FRAME_UNKNOWN_FLAGS',
    `flags 0x${bytes[1]!.toString(16)} has bits that this op does not know`,
    bytes,
  );
}

function argNotZero(bytes: Uint8Array): FrameError {
  return refuse('FRAME_RESERVED_NOT_ZERO', 'arg must be 0 in this op', bytes);
}

function bodyIs(expected: string, bytes: Uint8Array): FrameError {
  return refuse(
    'FRAME_BODY_SIZE',
    `the body of this op is ${expected}; it has ${bytes.length - FRAME_HEADER_SIZE} bytes`,
    bytes,
  );
}

function refuse(error: FrameErrorCode, message: string, bytes: Uint8Array): FrameError {
  const whole = bytes.length >= FRAME_HEADER_SIZE;
  return { error, message, op: bytes[0] ?? 0, seq: whole ? readU64(bytes, 8) : 0n, errno: 'EPROTO' };
}
