/** What producers are refused, over WebSocket and REST. */
import { entry } from './entry.js';

export const producerErrors = {
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
};
