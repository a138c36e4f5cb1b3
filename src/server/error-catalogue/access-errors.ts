/** Who may come in, how many, and when; and defects of the daemon. */
import { entry } from './entry.js';

export const accessErrors = {
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
  ANSWERS_UNREAD: entry({
    errno: 'EAGAIN',
    status: 503,
    title: 'too much of what was asked for is not read',
    advice: 'Read the answers that you asked for, or raise limits.max_unread_answer_bytes.',
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
