/**
 * Every configuration key with its type, default, unit and meaning of 0 (limits: config-limits.ts). The only place where a
 * default or a limit is written: parser, `--help`, docs/CONFIGURATION.md and examples/ringbufd.yaml are made from this schema.
 */
import { Type, type Static } from 'typebox';
import { checkAttributes, Errno } from '../ring/index.js';
import type { DeepReadonly } from './config-freeze.js';
import { amount, closed, section } from './config-amount.js';
import { LimitsSchema } from './config-limits.js';
import { LISTEN_RULE, parseAuthority, parseListen } from './config-listen.js';
import { ALLOW_RULE, isAllowEntry } from './handlers/webhook/address-policy.js';
import { NAME_PATTERN, NAME_RULE } from './names.js';
import { CompleteOnErrorSchema } from './on-error.js';
import { CompleteTriggerSchema } from './trigger.js';

const name = (what: string) =>
  Type.String({
    pattern: NAME_PATTERN,
    expected: NAME_RULE,
    description: `Name of the ${what}: ${NAME_RULE}.`,
  });

const SCOPE = /^(admin|(produce|drain|read):[A-Za-z0-9._*?-]{1,64})$/;
export const SCOPE_RULE =
  'admin, produce:GLOB, drain:GLOB or read:GLOB, where GLOB is a map name that may hold * and ?';

/** Whether a token may carry this scope. */
export function isScope(text: string): boolean {
  return SCOPE.test(text);
}

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

const TokenSchema = Type.Object(
  {
    name: name('token, shown in logs and as the owner of producer ids'),
    sha256: Type.String({
      pattern: '^[0-9a-fA-F]{64}$',
      expected: 'the SHA-256 of the token as 64 hexadecimal digits (make one with: ringbufd token)',
      description: 'SHA-256 of the token, 64 hexadecimal digits. The token itself is stored nowhere.',
    }),
    scopes: Type.Array(
      Type.Refine(Type.String(), isScope, (value) => {
        const verb = /^(produce|drain|read):?$/.exec(value)?.[1];
        return `must be ${SCOPE_RULE}${verb === undefined ? '' : `; for all maps write ${verb}:*`}`;
      }),
      { minItems: 1, description: `What the token may do: ${SCOPE_RULE}. admin implies the others.` },
    ),
    expires: Type.Optional(
      Type.Refine(
        Type.String({
          description: 'ISO date-time with zone after which the token is refused. Absent = never.',
        }),
        (value) => DATE_TIME.test(value) && !Number.isNaN(Date.parse(value)),
        () => 'must be an ISO date-time with a zone, such as 2027-01-31T00:00:00Z',
      ),
    ),
  },
  closed,
);

/** A handler as a configuration declares it, and as the registry keeps it. */
export const HandlerSchema = Type.Object(
  {
    name: name('handler'),
    kind: Type.String({
      minLength: 1,
      description: 'Kind of the handler: count, capture, log, file, wasm, module, webhook or remote.',
    }),
    config: Type.Record(Type.String(), Type.Unknown(), {
      default: {},
      description: 'Keys of that kind; the kind itself checks them.',
    }),
    trigger: CompleteTriggerSchema,
    on_error: CompleteOnErrorSchema,
    enabled: Type.Boolean({
      default: true,
      description: 'false = no drain goes through the handler until it is enabled.',
    }),
    shadow: Type.Boolean({
      default: false,
      description: 'Only tries the handler, on copies of what the other handlers of the map drain.',
    }),
  },
  closed,
);

/** A map as a configuration declares it, and as the registry keeps it. */
export const MapSchema = Type.Object(
  {
    name: name('map'),
    max_entries: Type.Refine(
      Type.Integer({
        description: 'Ring size: a power of two from 4096 to 1073741824. Unit: bytes. 0 is refused.',
      }),
      (value) => checkAttributes({ maxEntries: value }) === 0,
      (value) => {
        const tooBig = checkAttributes({ maxEntries: value }) === -Errno.E2BIG;
        const reason = tooBig ? 'E2BIG: larger than a ring of ringbufd may be' : 'EINVAL';
        return `must be a power of two from 4096 to 1073741824 (bytes), not ${value}${nearestSizes(value)} [${reason}]`;
      },
    ),
    mode: Type.Enum(['managed', 'direct'], {
      default: 'managed',
      description:
        'managed = the daemon validates what producers send; direct = one producer has the raw powers that the kernel gives.',
    }),
    durability: Type.Enum(['memory', 'written', 'synced'], {
      default: 'memory',
      description:
        'What an acknowledgement means: memory = in the ring; written = handed to the operating system, survives the end of the process; synced = on the disk, survives a loss of power.',
    }),
    ledger: Type.Enum(['count', 'hash'], {
      default: 'count',
      description:
        'hash = the ledger also keeps a hash per producer of what was accepted and drained; costs a pass over each payload for either.',
    }),
    handlers: Type.Array(HandlerSchema, { default: [], description: 'Drain handlers of the map.' }),
  },
  closed,
);

const AllowedHost = Type.Refine(
  Type.String(),
  (value) => parseAuthority(value) !== undefined,
  () => 'must be a host or host:port without a scheme or a path, such as ring.example.org or [::1]:7890',
);

const AllowedOrigin = Type.Refine(Type.String(), isOrigin, (value) =>
  value === '*'
    ? 'would let every web page in: list each origin, such as https://app.example.org'
    : 'must be an origin: scheme://host or scheme://host:port with http or https and no path',
);

function isOrigin(text: string): boolean {
  const match = /^https?:\/\/([^/]+)$/i.exec(text);
  return match !== null && parseAuthority(match[1] as string) !== undefined;
}

const LogSchema = Type.Object(
  {
    level: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      default: 'info',
      description: 'Lowest level that is logged. silent = nothing.',
    }),
    format: Type.Enum(['auto', 'json', 'pretty'], {
      default: 'auto',
      description: 'auto = pretty when standard error is a terminal, else one JSON object a line.',
    }),
  },
  section('Logs, written to standard error.'),
);

const ProducersSchema = Type.Object(
  {
    lease_ms: amount({
      text: 'A reservation neither submitted nor discarded within this time is discarded.',
      unit: 'ms',
      default: 30_000,
    }),
    heartbeat_ms: amount({
      text: 'Interval of pings; a pong missing for one more interval ends the connection.',
      unit: 'ms',
      default: 30_000,
      zero: 'no pings',
    }),
    state_ttl_ms: amount({
      text: 'A producer id without a connection may be forgotten after this time; it can then not resume.',
      unit: 'ms',
      default: 86_400_000,
    }),
  },
  section('Producer connections.'),
);

const DrainSchema = Type.Object(
  {
    turn_time_ms: amount({
      text: 'Time of the event loop that one turn of an auto trigger is granted: its drain is cut then.',
      unit: 'ms',
      default: 5,
    }),
    max_turn_samples: amount({
      text: 'Most records that one scheduler turn of one map takes.',
      unit: 'records',
      default: 131_072,
      maximum: 131_072,
    }),
    backoff_min_ms: amount({
      text: 'First pause of an auto trigger after a drain that ended in an errno; it doubles each time.',
      unit: 'ms',
      default: 100,
    }),
    backoff_max_ms: amount({ text: 'Longest such pause.', unit: 'ms', default: 30_000 }),
  },
  section('Drains that triggers start.'),
);

const WebhooksSchema = Type.Object(
  {
    allow: Type.Array(
      Type.Refine(Type.String(), isAllowEntry, () => `must be ${ALLOW_RULE}`),
      {
        default: [],
        description: `Addresses that webhooks may reach besides public ones: ${ALLOW_RULE}.`,
      },
    ),
  },
  section('Handlers of kind webhook.'),
);

export const ConfigSchema = Type.Object(
  {
    listen: Type.Refine(
      Type.String({ default: '127.0.0.1:7890', description: `Where to listen: ${LISTEN_RULE}.` }),
      (value) => parseListen(value) !== undefined,
      (value) => `must be ${LISTEN_RULE}, not "${value}"`,
    ),
    data_dir: Type.String({
      default: './data',
      minLength: 1,
      description:
        'Directory for files that the daemon writes, relative to the working directory; created when missing. Maps and handlers made over REST are kept there.',
    }),
    handlers_dir: Type.String({
      default: '',
      description:
        'Directory of the ES modules that handlers of kind module may name. Empty = there are none.',
    }),
    insecure: Type.Boolean({
      default: false,
      description: 'Allows to listen on a non-loopback address without any token.',
    }),
    trust_proxy: Type.Boolean({
      default: false,
      description:
        'Takes the remote address from X-Forwarded-For. Only behind a proxy of yours: anybody else could forge it.',
    }),
    allowed_hosts: Type.Array(AllowedHost, {
      default: [],
      description:
        'Names in the Host header that are answered, besides loopback names and the host listened on: host or host:port.',
    }),
    allowed_origins: Type.Array(AllowedOrigin, {
      default: [],
      description: 'Origins of web pages that may call the daemon, besides its own: scheme://host[:port].',
    }),
    shutdown_grace_ms: amount({
      text: 'Time to finish drains and flush after SIGTERM.',
      unit: 'ms',
      default: 10_000,
      zero: 'end at once',
    }),
    log: LogSchema,
    producers: ProducersSchema,
    drain: DrainSchema,
    webhooks: WebhooksSchema,
    limits: LimitsSchema,
    tokens: Type.Array(TokenSchema, {
      default: [],
      description: 'Bearer tokens. Empty = every caller may do everything.',
    }),
    maps: Type.Array(MapSchema, { default: [], description: 'Maps that exist from the start.' }),
  },
  closed,
);

/** The whole configuration, complete and deep-frozen. Keys are those of the file. */
export type Config = DeepReadonly<Static<typeof ConfigSchema>>;
export type LimitsConfig = Config['limits'];
export type TokenConfig = Config['tokens'][number];
export type MapConfig = Config['maps'][number];
export type HandlerConfig = MapConfig['handlers'][number];

/** The two valid ring sizes around a wrong one, as a hint; empty where it would not help. */
function nearestSizes(value: number): string {
  if (value <= 4096 || value >= 2 ** 30) return '';
  const below = 2 ** Math.floor(Math.log2(value));
  return ` (nearest: ${below} or ${below * 2})`;
}
