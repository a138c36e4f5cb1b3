import { isIP } from 'node:net';
import { Type, type Static } from 'typebox';
import { RingbufdError } from '../../errors.js';
import type { AddressPolicy } from './address-policy.js';

/** Samples that one run of a drain may hold, and so one batch. */
const MAX_RUN_SAMPLES = 4096;
const MAX_WAIT_MS = 600_000;

const duration = (description: string, value: number) =>
  Type.Integer({ minimum: 1, maximum: MAX_WAIT_MS, default: value, description });

export const WebhookConfig = Type.Object(
  {
    url: Type.String({
      minLength: 1,
      maxLength: 2048,
      description: 'where batches are POSTed: http or https, without user name and fragment',
    }),
    format: Type.Union([Type.Literal('ndjson'), Type.Literal('json'), Type.Literal('records')], {
      default: 'ndjson',
      description:
        'ndjson: one {"pos","sample"} a line; json: an array of them; records: the ring format, back to back',
    }),
    max_batch_bytes: Type.Integer({
      minimum: 1024,
      maximum: 8388608,
      default: 262144,
      description: 'largest request body, in bytes',
    }),
    max_batch_samples: Type.Integer({
      minimum: 1,
      maximum: MAX_RUN_SAMPLES,
      default: 1000,
      description: 'most samples in one request',
    }),
    connect_timeout_ms: duration('time to look the host up, connect and shake hands', 5000),
    timeout_ms: duration('time for one attempt, from its start to the last byte of the answer', 10_000),
    budget_ms: duration('time for all attempts of one run; the drain ends with an errno after it', 30_000),
    max_attempts: Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 4,
      description: 'attempts for one batch before the drain ends with an errno; 1: no retry',
    }),
    backoff_min_ms: duration('first pause before a retry; it doubles each time', 250),
    backoff_max_ms: duration('longest such pause', 10_000),
    max_retry_after_ms: Type.Integer({
      minimum: 0,
      maximum: 86_400_000,
      default: 300_000,
      description: 'longest time that a Retry-After of the server is honoured for; 0: ignored',
    }),
    secret: Type.Optional(
      Type.String({
        minLength: 16,
        maxLength: 256,
        description: 'key of the Ringbuf-Signature header; never shown',
      }),
    ),
    headers: Type.Record(Type.String(), Type.String(), {
      default: {},
      maxProperties: 16,
      description: 'further request headers, such as Authorization; their values are never shown',
    }),
  },
  { additionalProperties: false },
);

export type WebhookConfig = Static<typeof WebhookConfig>;

/** Stands for what is not shown. Shorter than a secret may be, so that it is refused when it comes back in a PUT. */
const HIDDEN = '***';

const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
const HEADER_VALUE = /^[\x21-\x7e]([\t\x20-\x7e]{0,4094}[\x21-\x7e])?$/;

/** Set by the daemon, or about the connection and not the request. */
const RESERVED_HEADERS = new Set(
  (
    'connection content-encoding content-length content-type expect host idempotency-key keep-alive ' +
    'proxy-connection te trailer transfer-encoding upgrade'
  ).split(' '),
);

/**
 * Checks what the schema cannot say.
 * @returns the URL, its host in canonical form
 * @throws RingbufdError HANDLER_CONFIG
 */
export function checkWebhookConfig(config: WebhookConfig, policy: AddressPolicy): URL {
  if (config.backoff_max_ms < config.backoff_min_ms)
    throw refused(
      `backoff_max_ms is ${config.backoff_max_ms}, below backoff_min_ms (${config.backoff_min_ms})`,
    );
  checkHeaders(config.headers);
  return checkUrl(config.url, policy);
}

/** The config as GET shows it: without the secret, the values of headers, and the query of the URL. */
export function publicWebhookConfig(config: WebhookConfig): WebhookConfig {
  const url = new URL(config.url);
  return {
    ...config,
    url: url.search === '' ? config.url : `${url.origin}${url.pathname}?${HIDDEN}`,
    headers: Object.fromEntries(Object.keys(config.headers).map((name) => [name, HIDDEN])),
    ...(config.secret === undefined ? {} : { secret: HIDDEN }),
  };
}

function checkUrl(text: string, policy: AddressPolicy): URL {
  // The text is not repeated: what cannot be read may hold a password all the same.
  if (!URL.canParse(text)) throw refused('url is not a URL');
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw refused(`url has the scheme ${url.protocol} and not http: or https:`);
  if (url.username !== '' || url.password !== '')
    throw refused('url holds a user name or a password: put credentials into config.headers');
  if (url.hash !== '') throw refused('url has a fragment, which is not sent');
  if (url.search === `?${HIDDEN}`)
    throw refused(`url ends in ?${HIDDEN}, which stands for what is not shown`);
  // 0x7f000001, 2130706433 and 127.1 are 127.0.0.1 by now, the same as a socket would read them.
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const refusal = isIP(host) === 0 ? undefined : policy.refusalOf(host);
  if (refusal !== undefined)
    throw refused(`url: ${host} is refused (${refusal}): the operator's webhooks.allow does not name it`);
  return url;
}

function checkHeaders(headers: Record<string, string>): void {
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (!HEADER_NAME.test(lower)) throw refused('headers has a name that is not one of HTTP');
    if (RESERVED_HEADERS.has(lower) || lower.startsWith('ringbuf-'))
      throw refused(`headers.${name} is set by the daemon`);
    if (seen.has(lower)) throw refused(`headers.${name} stands there twice`);
    seen.add(lower);
    if (value === HIDDEN) throw refused(`headers.${name} is ${HIDDEN}, which stands for what is not shown`);
    if (!HEADER_VALUE.test(value))
      throw refused(`headers.${name} is not 1 to 4096 printable ASCII characters without blanks at the ends`);
  }
}

function refused(problem: string): RingbufdError {
  return new RingbufdError('HANDLER_CONFIG', `config.${problem}`);
}
