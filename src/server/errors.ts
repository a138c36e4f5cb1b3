/**
 * The error catalogue: every refusal that ringbufd can give, with its errno, what it means and what to do about it.
 * REST shows `code`, `errno` and the advice as problem+json; frames carry the errno and the message. docs/ERRORS.md is
 * generated from this table.
 */
import { Errno, type ErrnoName } from '../ring/index.js';
import { statusOfErrno } from './errno-status.js';

interface CatalogueEntry {
  errno: ErrnoName;
  /** HTTP status, where it is not the one of the errno ({@link statusOfErrno}). */
  status?: number;
  title: string;
  advice: string;
  /** Whether the same request may succeed later without a change. */
  retryable?: boolean;
}

function entry<const Entry extends CatalogueEntry>(value: Entry): CatalogueEntry {
  return value;
}

export const catalogue = {
  NO_ROUTE: entry({
    errno: 'ENOENT',
    title: 'no such route',
    advice: 'See /docs or /openapi.json for the calls there are.',
  }),
  METHOD_NOT_ALLOWED: entry({
    errno: 'EINVAL',
    status: 405,
    title: 'this path does not take that method',
    advice: 'The Allow header names the methods that it takes.',
  }),
  UPGRADE_REQUIRED: entry({
    errno: 'EPROTO',
    status: 426,
    title: 'this path is a WebSocket',
    advice: 'Connect with a WebSocket client; over plain HTTP samples go to POST /v1/maps/{map}/samples.',
  }),
  BAD_REQUEST: entry({
    errno: 'EINVAL',
    title: 'the request is not of the documented form',
    advice: 'The detail names the field; /docs shows the form.',
  }),
  MEDIA_TYPE: entry({
    errno: 'EINVAL',
    status: 415,
    title: 'the body has the wrong content type',
    advice: 'Send exactly the Content-Type that the call documents.',
  }),
  BODY_TOO_BIG: entry({
    errno: 'E2BIG',
    title: 'the body is over limits.max_body_bytes',
    advice: 'Send smaller bodies, or raise the limit.',
  }),
  BAD_NAME: entry({
    errno: 'EINVAL',
    title: 'not a valid name',
    advice: 'Names are 1 to 64 characters of A-Z a-z 0-9 . _ - and neither "." nor "..".',
  }),
  NO_MAP: entry({
    errno: 'ENOENT',
    title: 'no such map',
    advice: 'Create it with PUT /v1/maps/{map}, or list the maps with GET /v1/maps.',
  }),
  MAP_EXISTS: entry({
    errno: 'EEXIST',
    title: 'the map exists with other values',
    advice: 'A map cannot be changed in place: delete it first, or use its values.',
  }),
  BAD_MAP_SIZE: entry({
    errno: 'EINVAL',
    title: 'a ring cannot be created with these attributes',
    advice:
      'In bytes, max_entries is a power of two and a multiple of 4096; key_size and value_size are 0, map_flags 0 or 4.',
  }),
  MAP_TOO_BIG: entry({
    errno: 'E2BIG',
    title: 'the ring is too large',
    advice: 'One ring holds at most 1 GiB (1073741824).',
  }),
  DURABILITY: entry({
    errno: 'EINVAL',
    title: 'this durability is not available',
    advice: 'Only "memory" is available: this version has no journal.',
  }),
  LIMIT_MAPS: entry({
    errno: 'ENOMEM',
    title: 'limits.max_maps is reached',
    advice: 'Delete a map, or raise the limit.',
  }),
  LIMIT_RING_BYTES: entry({
    errno: 'ENOMEM',
    title: 'limits.max_total_ring_bytes is reached',
    advice: 'Delete a map, choose a smaller one, or raise the limit.',
  }),
  MAP_BUSY: entry({
    errno: 'EBUSY',
    title: 'a drain of this map is under way',
    advice: 'Try again when the drain has ended.',
    retryable: true,
  }),
  NO_HANDLER: entry({
    errno: 'ENOENT',
    title: 'no such handler on this map',
    advice: 'Register it with PUT /v1/maps/{map}/handlers/{handler}.',
  }),
  HANDLER_KIND: entry({
    errno: 'EINVAL',
    title: 'unknown handler kind',
    advice: 'The detail lists the kinds there are.',
  }),
  HANDLER_CONFIG: entry({
    errno: 'EINVAL',
    title: 'the handler refuses its configuration',
    advice: 'The detail names the key.',
  }),
  HANDLER_CTX: entry({
    errno: 'EINVAL',
    title: 'the handler refuses this ctx',
    advice: 'The detail names the key.',
  }),
  AUTO_TAKEN: entry({
    errno: 'EEXIST',
    title: 'another handler of this map has the auto trigger',
    advice: 'At most one handler of a map drains it on its own: make the other one manual first.',
  }),
  LIMIT_HANDLERS: entry({
    errno: 'ENOMEM',
    title: 'limits.max_handlers_per_map is reached',
    advice: 'Delete a handler, or raise the limit.',
  }),
  BAD_FLAGS: entry({
    errno: 'EINVAL',
    title: 'unknown drain flag',
    advice:
      'Flags are BPF_RB_NO_WAKEUP (1) and BPF_RB_FORCE_WAKEUP (2), as names, a number or a decimal string.',
  }),
  DRAIN_BUSY: entry({
    errno: 'EBUSY',
    title: 'another drain of this map is under way',
    advice: 'One drain at a time: try again when it has ended.',
    retryable: true,
  }),
  DRAIN_BAD_RECORD: entry({
    errno: 'EINVAL',
    status: 422,
    title: 'the record at the head of the ring is malformed',
    advice:
      'Only the producer of a direct map can write one: it has to repair it, or the map has to be deleted.',
  }),
  DRAIN_RECORD_TOO_BIG: entry({
    errno: 'E2BIG',
    status: 422,
    title: 'the record at the head of the ring is larger than the ring or a dynptr',
    advice:
      'Only the producer of a direct map can write one: it has to repair it, or the map has to be deleted.',
  }),
  HANDLER_VERDICT: entry({
    errno: 'EINVAL',
    status: 422,
    title: 'the handler answered neither 0 nor 1',
    advice: 'Its sample was not released; mend the handler and drain again.',
  }),
  HANDLER_FAILED: entry({
    errno: 'EIO',
    title: 'the handler failed',
    advice: 'Its sample stays at the head of the ring; mend the cause and drain again.',
    retryable: true,
  }),
  HANDLER_TIMEOUT: entry({
    errno: 'ETIMEDOUT',
    title: 'the handler did not answer in time',
    advice: 'Its sample stays at the head of the ring; mend the cause, or give the handler more time.',
    retryable: true,
  }),
  HANDLER_SAMPLE_TOO_BIG: entry({
    errno: 'E2BIG',
    status: 422,
    title: 'the sample at the head of the ring is larger than the handler takes',
    advice: 'The sample stays there: give the handler a larger sample buffer, or drain it with another one.',
  }),
  HANDLER_NO_SPACE: entry({
    errno: 'ENOSPC',
    title: 'the handler has no room for what it drains',
    advice: 'Nothing is lost: the samples stay in the ring. Free disk space and drain again.',
    retryable: true,
  }),
  RING_FULL: entry({
    errno: 'ENOSPC',
    title: 'the ring has no room for this',
    advice: 'WATCH over WebSocket and send again at the WAKEUP, or try again after retry_after_ms.',
    retryable: true,
  }),
  NEVER_FITS: entry({
    errno: 'E2BIG',
    title: 'this can never fit',
    advice:
      'A record (8 bytes + payload, rounded up to 8) must fit into the ring, and a payload is at most 16777215 bytes.',
  }),
  BAD_RUN: entry({
    errno: 'EINVAL',
    title: 'not a run of records',
    advice:
      'Each record is u32 length, u32 0, the payload, zero padding to a multiple of 8; no BUSY or DISCARD bits.',
  }),
  BAD_FRAME: entry({
    errno: 'EPROTO',
    title: 'not a frame of this protocol',
    advice: 'See docs/PROTOCOL.md; the message names what is wrong.',
  }),
  SEQUENCE: entry({
    errno: 'EPROTO',
    title: 'an OUTPUT is out of sequence',
    advice:
      'Number OUTPUT frames 1, 2, 3… from the seq of WELCOME on; set RESEND on a frame that was sent before.',
  }),
  NOT_ALLOWED_HERE: entry({
    errno: 'EPERM',
    title: 'this operation is not allowed on such a map',
    advice: 'Managed maps take OUTPUT, RESERVE, SUBMIT and DISCARD; direct maps take WRITE and COMMIT.',
  }),
  BAD_ARGUMENT: entry({
    errno: 'EINVAL',
    title: 'an argument of the frame is out of range',
    advice: 'The message names it.',
  }),
  NO_RESERVATION: entry({
    errno: 'ENOENT',
    title: 'no open reservation of this connection at that position',
    advice: 'Use the position that RESERVED gave to this connection.',
  }),
  RESERVATION_EXPIRED: entry({
    errno: 'ESTALE',
    title: 'the lease of this reservation has run out',
    advice: 'The record was discarded. Reserve again, and submit within the lease that WELCOME states.',
  }),
  RESERVATION_SIZE: entry({
    errno: 'EINVAL',
    title: 'the payload is not of the reserved size',
    advice: 'SUBMIT carries exactly the reserved number of bytes.',
  }),
  LIMIT_RESERVATIONS: entry({
    errno: 'ENOMEM',
    title: 'limits.max_reservations_per_connection is reached',
    advice: 'Submit or discard a reservation first.',
    retryable: true,
  }),
  NO_PRODUCER: entry({
    errno: 'ENOENT',
    title: 'no such producer connected to this map',
    advice: 'List them with GET /v1/maps/{map}/producers.',
  }),
  DIRECT_TAKEN: entry({
    errno: 'EBUSY',
    title: 'a direct map has one producer, and another one is connected',
    advice: 'Wait until it has gone, or connect with its producer id to take over.',
  }),
  REPLACED: entry({
    errno: 'EBUSY',
    title: 'a newer connection of this producer id took over',
    advice: 'Do not reconnect: two clients with one id would take turns for ever.',
  }),
  DISCONNECTED: entry({
    errno: 'EPERM',
    title: 'an operator disconnected this producer',
    advice: 'Ask the operator.',
  }),
  SLOW_CLIENT: entry({
    errno: 'ENOSPC',
    title: 'the client reads too slowly',
    advice: 'Read what the daemon sends; its queue for this socket passed limits.max_queued_bytes.',
    retryable: true,
  }),
  LIMIT_PRODUCERS: entry({
    errno: 'ENOMEM',
    title: 'limits.max_producers_per_map is reached',
    advice: 'Reuse producer ids, or raise the limit.',
  }),
  LIMIT_CONNECTIONS: entry({
    errno: 'EAGAIN',
    status: 429,
    title: 'too many connections',
    advice: 'Close some, or raise limits.max_connections or limits.max_connections_per_address.',
    retryable: true,
  }),
  RATE_LIMITED: entry({
    errno: 'EAGAIN',
    status: 429,
    title: 'too many requests',
    advice: 'Slow down, or raise limits.max_requests_per_minute.',
    retryable: true,
  }),
  OVERLOADED: entry({
    errno: 'EAGAIN',
    status: 503,
    title: 'the daemon is overloaded',
    advice: 'Try again after retry_after_ms.',
    retryable: true,
  }),
  SHUTTING_DOWN: entry({
    errno: 'EAGAIN',
    status: 503,
    title: 'the daemon is shutting down',
    advice: 'Try again when it is back.',
    retryable: true,
  }),
  UNAUTHENTICATED: entry({
    errno: 'EPERM',
    status: 401,
    title: 'no valid token',
    advice:
      'Send "Authorization: Bearer TOKEN"; a browser offers the subprotocol "bearer.<base64url of the token>".',
  }),
  FORBIDDEN: entry({
    errno: 'EPERM',
    title: 'the token may not do this',
    advice: 'The detail names the scope that is missing.',
  }),
  ORIGIN_REFUSED: entry({
    errno: 'EPERM',
    title: 'requests from this origin are not allowed',
    advice: 'Add the origin to allowed_origins if its pages may use this daemon.',
  }),
  HOST_REFUSED: entry({
    errno: 'EPERM',
    title: 'this Host header is not allowed',
    advice: 'Add the host name to allowed_hosts if the daemon is to be reached by it.',
  }),
  INTERNAL: entry({
    errno: 'EIO',
    title: 'the daemon failed',
    advice: 'This is a defect: the log has the details under the request id.',
  }),
};
// Retired codes, never to be used again: none yet.

export type ErrorKey = keyof typeof catalogue;

/** The stable code of a catalogue entry, as users see it. */
export function errorCode(key: ErrorKey): string {
  return `RINGBUFD_ERR_${key}`;
}

/** A refusal. `detail` says what was wrong with this very request. */
export class RingbufdError extends Error {
  readonly key: ErrorKey;
  readonly detail: string;
  /** 0: no advice on when. */
  readonly retryAfterMs: number;

  constructor(key: ErrorKey, detail?: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(detail ?? catalogue[key].title, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RingbufdError';
    this.key = key;
    this.detail = detail ?? catalogue[key].title;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }

  get code(): string {
    return errorCode(this.key);
  }

  get errno(): ErrnoName {
    return catalogue[this.key].errno;
  }

  /** The positive number of the errno. */
  get errnoNumber(): number {
    return Errno[this.errno];
  }

  get status(): number {
    return catalogue[this.key].status ?? statusOfErrno[this.errno];
  }

  get retryable(): boolean {
    return catalogue[this.key].retryable ?? false;
  }

  get title(): string {
    return catalogue[this.key].title;
  }

  get advice(): string {
    return catalogue[this.key].advice;
  }
}
