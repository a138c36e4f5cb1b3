import { Errno, errnoName, type ErrnoName } from '../ring/errno.js';
import { CloseCode, opName, type ErrorFrame } from '../wire/index.js';

/** What happened, in the SDK's own terms. The errno says what kind of failure it is; codes are never reused. */
export type RingbufErrorCode =
  /** The daemon refused the request; the errno is its own. */
  | 'REFUSED'
  /** The daemon, or something on the way to it, refused the connection. */
  | 'CONNECT_REFUSED'
  /** The connection ended. */
  | 'DISCONNECTED'
  /** There is no connection at the moment, and this request does not wait for one. */
  | 'NOT_CONNECTED'
  /** The connection ended while the daemon's answer was awaited: it may have been done or not. */
  | 'OUTCOME_UNKNOWN'
  | 'TIMED_OUT'
  /** The producer was closed by its user. */
  | 'CLOSED'
  /** Too many bytes or requests wait already: see `maxQueuedBytes`, `maxPendingRequests`. */
  | 'QUEUE_FULL'
  /** A sample, run or payload that could never pass the daemon's limits. Nothing was sent. */
  | 'TOO_BIG'
  /** An argument that cannot be right. Nothing was sent. */
  | 'BAD_ARGUMENT'
  /** The reservation's connection ended, or it was submitted or discarded before. */
  | 'RESERVATION_GONE'
  /** The map's content was lost or the map was created anew: old positions mean nothing any more. */
  | 'NEW_INCARNATION'
  /** The other side does not speak the protocol. */
  | 'PROTOCOL'
  /** `reconnect.maxAttempts` failed in a row. */
  | 'RECONNECT_EXHAUSTED';

export interface RingbufErrorDetails {
  /** Whether the same call may succeed later. */
  retryable?: boolean;
  /** Milliseconds to wait before a retry; 0 = no advice. */
  retryAfterMs?: number;
  /** Samples of the output that were stored. */
  accepted?: number;
  /** Further samples may have been stored or not: nobody can tell. */
  outcomeUnknown?: boolean;
  /** WebSocket close code, where one was the cause. */
  closeCode?: number;
  /** HTTP status, where one was the cause. */
  status?: number;
  cause?: unknown;
}

/** Every failure that the SDK reports, except the reason of a caller's own AbortSignal, which is passed on as it is. */
export class RingbufError extends Error {
  readonly errno: ErrnoName;
  readonly code: RingbufErrorCode;
  readonly retryable: boolean;
  readonly retryAfterMs: number;
  readonly accepted: number;
  readonly outcomeUnknown: boolean;
  readonly closeCode: number | undefined;
  readonly status: number | undefined;

  constructor(errno: ErrnoName, code: RingbufErrorCode, message: string, details: RingbufErrorDetails = {}) {
    super(`${errno}: ${message}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'RingbufError';
    this.errno = errno;
    this.code = code;
    this.retryable = details.retryable ?? false;
    this.retryAfterMs = details.retryAfterMs ?? 0;
    this.accepted = details.accepted ?? 0;
    this.outcomeUnknown = details.outcomeUnknown ?? false;
    this.closeCode = details.closeCode;
    this.status = details.status;
  }
}

/** Errors after which the same request may succeed without anybody repairing anything. */
const retryableErrnos = new Set<ErrnoName>(['EAGAIN', 'EBUSY', 'ENOSPC', 'ENOMEM', 'ETIMEDOUT']);

/** The error that an ERROR frame stands for. */
export function errorFromFrame(frame: ErrorFrame): RingbufError {
  const errno = errnoName(frame.errno) ?? 'EIO';
  const op = opName(frame.request) ?? 'a frame';
  const text = frame.message === '' ? `the daemon refused ${op}` : `${op}: ${frame.message}`;
  return new RingbufError(errno, 'REFUSED', text, {
    retryable: retryableErrnos.has(errno),
    retryAfterMs: frame.retryAfterMs,
    accepted: frame.accepted,
  });
}

const closeErrnos = new Map<number, ErrnoName>([
  [CloseCode.SLOW_CLIENT, 'EAGAIN'],
  [CloseCode.DRAINING, 'EAGAIN'],
  [CloseCode.TOO_MANY, 'EAGAIN'],
  [CloseCode.UNAUTHENTICATED, 'EPERM'],
  [CloseCode.FORBIDDEN, 'EPERM'],
  [CloseCode.NO_MAP, 'ENOENT'],
  [CloseCode.PROTOCOL_ERROR, 'EPROTO'],
  [CloseCode.REPLACED, 'ESTALE'],
  [CloseCode.DISCONNECTED, 'EPERM'],
  [CloseCode.DIRECT_TAKEN, 'EBUSY'],
]);

/** The error for a closed connection: the errno named in the reason, else the close code's, else EIO. */
export function errorFromClose(code: number, reason: string, retryable: boolean): RingbufError {
  const errno = errnoIn(reason) ?? closeErrnos.get(code) ?? 'EIO';
  const because = reason === '' ? '' : `: ${reason}`;
  return new RingbufError(errno, 'DISCONNECTED', `the connection was closed with ${code}${because}`, {
    retryable,
    closeCode: code,
  });
}

function errnoIn(text: string): ErrnoName | undefined {
  const name = /\bE[A-Z0-9]{2,}\b/.exec(text)?.[0];
  return name !== undefined && Object.hasOwn(Errno, name) ? (name as ErrnoName) : undefined;
}

const statusErrnos = new Map<number, ErrnoName>([
  [400, 'EINVAL'],
  [401, 'EPERM'],
  [403, 'EPERM'],
  [404, 'ENOENT'],
  [408, 'ETIMEDOUT'],
  [409, 'EBUSY'],
  [410, 'ESTALE'],
  [413, 'E2BIG'],
  [429, 'EAGAIN'],
  [502, 'EAGAIN'],
  [503, 'EAGAIN'],
  [504, 'ETIMEDOUT'],
  [507, 'ENOMEM'],
]);

/** The error for an upgrade that was answered with an HTTP status. `body` may be the daemon's problem+json. */
export function errorFromStatus(status: number, body: string): RingbufError {
  const problem = problemIn(body);
  const errno =
    errnoIn(typeof problem.errno === 'string' ? problem.errno : '') ?? statusErrnos.get(status) ?? 'EIO';
  const detail = typeof problem.detail === 'string' ? `: ${problem.detail}` : '';
  const wait = problem.retry_after_ms;
  return new RingbufError(errno, 'CONNECT_REFUSED', `the upgrade was answered with HTTP ${status}${detail}`, {
    retryable: problem.retryable === true || status === 408 || status === 429 || status >= 500,
    retryAfterMs: typeof wait === 'number' && wait > 0 ? wait : 0,
    status,
  });
}

function problemIn(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** The error for what was in flight when nobody was left to ask. */
export function outcomeUnknown(why: string, cause?: unknown): RingbufError {
  return new RingbufError('EIO', 'OUTCOME_UNKNOWN', `${why}; it may be done or not`, {
    outcomeUnknown: true,
    ...(cause === undefined ? {} : { cause }),
  });
}

export function closedByUser(): RingbufError {
  return new RingbufError('ESTALE', 'CLOSED', 'the producer was closed');
}
