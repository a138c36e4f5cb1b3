/** What frame sessions go by: which messages are frames, which ops a map takes, what a SUBMIT costs, how it is refused. */
import { isOneRecord } from '../ring/index.js';
import {
  decodeClientFrame,
  decodeClientJson,
  FRAME_HEADER_SIZE,
  isPlainOutput,
  Op,
  type ClientFrame,
  type FrameError,
} from '../wire/index.js';
import type { ErrorKey } from './errors.js';
import type { RefusalReason } from './map-counters.js';
import type { FrameDialect } from './outbox.js';

/** Ops that a map of each mode takes, beside WATCH and QUERY, which all take. */
export const opsOfMode: Record<'managed' | 'direct', ReadonlySet<number>> = {
  managed: new Set([Op.OUTPUT, Op.RESERVE, Op.SUBMIT, Op.DISCARD]),
  direct: new Set([Op.WRITE, Op.COMMIT]),
};

/** Bytes of a SUBMIT beside the payload that count towards the frame limit, at least. */
export const SUBMIT_OVERHEAD: Record<FrameDialect, number> = {
  binary: 8,
  json: '{"op":"submit","position":"18446744073709551615","sample":""}'.length - FRAME_HEADER_SIZE,
};

/** Refusals about reservations that a map counts. */
export const reservationReasons: Partial<Record<ErrorKey, RefusalReason>> = {
  NO_RESERVATION: 'reservation_unknown',
  RESERVATION_EXPIRED: 'reservation_expired',
  RESERVATION_SIZE: 'reservation_size',
};

/** Bytes of the longest frame for which an array of its own for the run would cost more than copying it. */
const MAX_SMALL_BYTES = 4096;

/** Whether a binary message is OUTPUT `seq`, without flags, with one good record of a few bytes. */
export function isSmallOutput(data: Uint8Array, seq: number, ringSize: number): boolean {
  return (
    data.length <= MAX_SMALL_BYTES &&
    isPlainOutput(data, seq) &&
    isOneRecord(data, FRAME_HEADER_SIZE, ringSize)
  );
}

const utf8 = new TextDecoder();

/** Reads one message of a client in the dialect of its connection. @param maxFrameBytes of a sample that JSON describes */
export function decodeMessage(
  dialect: FrameDialect,
  data: Uint8Array,
  isBinary: boolean,
  maxFrameBytes: number,
): ClientFrame | FrameError {
  if (dialect === 'binary') {
    if (isBinary) return decodeClientFrame(data);
    return wrongMessageType('a text message on ringbuf.v1, where frames are binary messages');
  }
  if (!isBinary) return decodeClientJson(utf8.decode(data), maxFrameBytes);
  return wrongMessageType('a binary message on ringbuf.v1.json, where frames are text messages');
}

function wrongMessageType(message: string): FrameError {
  return { error: 'FRAME_BAD_FIELD', message, op: 0, seq: 0n, errno: 'EPROTO' };
}
