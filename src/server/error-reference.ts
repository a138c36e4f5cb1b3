/** docs/ERRORS.md, made from the catalogue and the close codes. */
import { Errno, type ErrnoName } from '../ring/index.js';
import { CloseCode, mayReconnect } from '../wire/index.js';
import { statusOfErrno } from './errno-status.js';
import { catalogue, errorCode, RingbufdError, type ErrorKey } from './errors.js';
import { markdownTable } from './markdown-table.js';

const closeCodeMeanings: Record<keyof typeof CloseCode, string> = {
  SLOW_CLIENT: 'the client reads too slowly: its queue passed limits.max_queued_bytes',
  DRAINING: 'the daemon is shutting down',
  TOO_MANY: 'too many connections, or too many producer ids on this map',
  UNAUTHENTICATED: 'no token, or one that is unknown or expired',
  FORBIDDEN: 'the token, the Origin or the Host may not do this',
  NO_MAP: 'no map of that name, or it was deleted',
  PROTOCOL_ERROR: 'a frame that cannot be read, or a sequence that cannot go on',
  REPLACED: 'a newer connection of the same producer id took over',
  DISCONNECTED: 'an operator disconnected this producer',
  DIRECT_TAKEN: 'a direct map has one producer, and another one is connected',
};

/** The whole page, as the formatter leaves it alone. */
export function errorReference(): string {
  const keys = Object.keys(catalogue) as ErrorKey[];
  const errors = keys.map((key) => {
    const error = new RingbufdError(key);
    return [
      `\`${errorCode(key)}\``,
      error.errno,
      String(error.status),
      error.retryable ? 'yes' : '',
      error.title,
      error.advice,
    ];
  });
  const errnos = (Object.entries(statusOfErrno) as [ErrnoName, number][])
    .sort(([, a], [, b]) => a - b)
    .map(([errno, status]) => [errno, String(Errno[errno]), String(status)]);
  const codes = (Object.entries(CloseCode) as [keyof typeof CloseCode, number][]).map(([name, code]) => [
    String(code),
    name,
    mayReconnect(code) ? 'yes' : 'no',
    closeCodeMeanings[name],
  ]);
  return [
    '# Errors',
    '<!-- Generated: UPDATE_DOCS=1 npx vitest run test/docs -->',
    'REST answers every refusal as `application/problem+json` (RFC 9457) with `status`, `title`, `detail`, `code`, `errno`, `advice`, `retryable` and `retry_after_ms`; a Retry-After header comes with it where there is something to wait for. ERROR frames carry the number of the errno and the detail as their message. Codes are stable: one that is retired is never used again.',
    '## Codes',
    markdownTable(['code', 'errno', 'HTTP', 'retryable', 'meaning', 'what to do'], errors),
    '## HTTP status of an errno',
    'Where a code above has another status than its errno, the table above is right. A drain that fails because of what is in the ring, or because of its handler, is answered with the result of the drain beside the problem; `ret` is then the negative number of the errno.',
    markdownTable(['errno', 'number', 'HTTP'], errnos),
    '## WebSocket close codes',
    'The range is the retry policy: 4000-4499 = a reconnect may help, 4500-4999 = it will not. 1000-1999 are those of RFC 6455. The reason begins with the name of the errno.',
    markdownTable(['code', 'name', 'reconnect', 'meaning'], codes),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}
