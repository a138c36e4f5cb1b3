import { writeU32, writeU64, writeU64Number } from './bytes.js';
import { startFrame } from './frame-header.js';
import {
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
  type ServerFrame,
} from './frames.js';

const HEADER = FRAME_HEADER_SIZE;

/** The bytes of a producer's frame, ready to be sent as one binary message. */
export function encodeClientFrame(frame: ClientFrame): Uint8Array {
  switch (frame.op) {
    case Op.OUTPUT: {
      const bytes = new Uint8Array(HEADER + frame.run.length);
      writeOutputHeader(bytes, frame.seq, frame.atomic, frame.resend);
      bytes.set(frame.run, HEADER);
      return bytes;
    }
    case Op.RESERVE:
      return startFrame(frame.op, 0, frame.size, frame.seq, 0);
    case Op.SUBMIT:
      return withPosition(
        startFrame(frame.op, 0, 0, frame.seq, 8 + frame.payload.length),
        frame.position,
        frame.payload,
      );
    case Op.DISCARD:
      return withPosition(startFrame(frame.op, 0, 0, frame.seq, 8), frame.position);
    case Op.WATCH:
      return startFrame(frame.op, frame.on ? WATCH_ON : 0, frame.minFree, frame.seq, 0);
    case Op.QUERY:
      return startFrame(frame.op, 0, 0, frame.seq, 0);
    case Op.WRITE:
      return withPosition(
        startFrame(frame.op, 0, 0, frame.seq, 8 + frame.bytes.length),
        frame.offset,
        frame.bytes,
      );
    case Op.COMMIT:
      return withPosition(startFrame(frame.op, 0, 0, frame.seq, 8), frame.producerPos);
  }
}

/**
 * Writes the header of an OUTPUT frame into the first 16 bytes of a buffer that has its run behind them: the SDK
 * builds a frame in place and sends it, and sends it again, without a copy.
 */
export function writeOutputHeader(bytes: Uint8Array, seq: number, atomic: boolean, resend: boolean): void {
  bytes[0] = Op.OUTPUT;
  bytes[1] = (atomic ? OUTPUT_ATOMIC : 0) | (resend ? OUTPUT_RESEND : 0);
  bytes[2] = 0;
  bytes[3] = 0;
  writeU32(bytes, 4, 0);
  writeU64Number(bytes, 8, seq);
}

/** The bytes of a daemon's frame, ready to be sent as one binary message. */
export function encodeServerFrame(frame: ServerFrame): Uint8Array {
  switch (frame.op) {
    case Op.WELCOME: {
      const body = new TextEncoder().encode(JSON.stringify(frame.body));
      const bytes = startFrame(frame.op, 0, frame.version, BigInt(frame.seq), body.length);
      bytes.set(body, HEADER);
      return bytes;
    }
    case Op.ACK: {
      const bytes = new Uint8Array(HEADER + 16);
      bytes[0] = Op.ACK;
      bytes[1] = DURABILITY_LEVELS.indexOf(frame.durability);
      writeU64Number(bytes, 8, frame.seq);
      return withPosition(bytes, frame.producerPos, frame.consumerPos);
    }
    case Op.ERROR: {
      const message = new TextEncoder().encode(frame.message);
      const bytes = startFrame(frame.op, frame.request, frame.errno, frame.seq, 24 + message.length);
      writeU32(bytes, HEADER, frame.accepted);
      writeU32(bytes, HEADER + 4, frame.retryAfterMs);
      writeU64(bytes, HEADER + 8, frame.producerPos);
      writeU64(bytes, HEADER + 16, frame.consumerPos);
      bytes.set(message, HEADER + 24);
      return bytes;
    }
    case Op.RESERVED:
      return withPosition(startFrame(frame.op, 0, 0, frame.seq, 8), frame.position);
    case Op.WAKEUP: {
      const flags =
        (frame.forced ? WAKEUP_FORCED : 0) |
        (frame.writable ? WAKEUP_WRITABLE : 0) |
        (frame.atOnce ? WAKEUP_AT_ONCE : 0);
      return withPosition(
        startFrame(frame.op, flags, frame.drained, frame.seq, 16),
        frame.producerPos,
        frame.consumerPos,
      );
    }
    case Op.INFO: {
      const bytes = startFrame(frame.op, 0, 0, frame.seq, 32);
      writeU64(bytes, HEADER, frame.availData);
      writeU64(bytes, HEADER + 8, frame.ringSize);
      writeU64(bytes, HEADER + 16, frame.consumerPos);
      writeU64(bytes, HEADER + 24, frame.producerPos);
      return bytes;
    }
    case Op.DONE:
      return withPosition(startFrame(frame.op, 0, 0, frame.seq, 16), frame.producerPos, frame.consumerPos);
  }
}

/** Fills a body that is a u64 followed by nothing, by another u64, or by bytes. */
function withPosition(bytes: Uint8Array, position: bigint, next?: bigint | Uint8Array): Uint8Array {
  writeU64(bytes, HEADER, position);
  if (typeof next === 'bigint') writeU64(bytes, HEADER + 8, next);
  else if (next !== undefined) bytes.set(next, HEADER + 8);
  return bytes;
}
