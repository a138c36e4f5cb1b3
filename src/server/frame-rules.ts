/** What frame sessions go by: which ops a map takes, what a SUBMIT costs, how its refusals are counted. */
import { FRAME_HEADER_SIZE, Op } from '../wire/index.js';
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
