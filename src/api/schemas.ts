/** Every payload shape of the REST interface: validation, static types and openapi.yaml come from here. */
import { Type, type TSchema } from 'typebox';
import { RingbufdError } from '../server/errors.js';
import { handlerKinds } from '../server/handlers/index.js';
import { NAME_PATTERN, NAME_RULE } from '../server/names.js';
import { PROBLEM_TYPE } from './route-app.js';
import { problemOf } from '../server/problem.js';

export const closed = { additionalProperties: false };
export const U64 = (description: string) =>
  Type.String({ pattern: '^[0-9]+$', description: `${description} (u64, decimal)`, examples: ['72'] });
export const Count = (description: string) => Type.Integer({ minimum: 0, description });

const Name = (what: string) => Type.String({ pattern: NAME_PATTERN, description: `${what}: ${NAME_RULE}` });

export const MapParams = Type.Object({ map: Name('map name') });
export const HandlerParams = Type.Object({ map: Name('map name'), handler: Name('handler name') });
export const ProducerParams = Type.Object({
  map: Name('map name'),
  producer: Type.String({
    pattern: '^~?[A-Za-z0-9._-]{1,64}$',
    description: 'the id in the list of producers: a producer id, or ~N for an anonymous connection',
  }),
});

export const Problem = Type.Object(
  {
    type: Type.String(),
    status: Type.Integer(),
    title: Type.String(),
    detail: Type.String({ description: 'what was wrong with this very request' }),
    code: Type.String({ description: 'stable error code, see docs/ERRORS.md' }),
    errno: Type.String({ description: 'errno name' }),
    advice: Type.String(),
    retryable: Type.Boolean(),
    retry_after_ms: Type.Integer({ minimum: 0, description: '0: no advice on when' }),
  },
  {
    title: 'Problem',
    description: 'RFC 9457 problem details',
  },
);

export const CreateMap = Type.Object(
  {
    max_entries: Type.Number({
      description: 'bytes of the data area: a power of two, a multiple of 4096, at most 1 GiB',
    }),
    mode: Type.Enum(['managed', 'direct'], {
      default: 'managed',
      description: 'managed: the daemon validates what producers send; direct: one producer with raw powers',
    }),
    durability: Type.Enum(['memory', 'written', 'synced'], {
      default: 'memory',
      description: 'what an acknowledgement means: in memory, handed to the operating system, on the disk',
    }),
    ledger: Type.Enum(['count', 'hash'], {
      default: 'count',
      description: 'hash: the ledger also keeps a hash per producer of what was accepted and drained',
    }),
    key_size: Type.Number({ default: 0, description: 'must be 0, as in bpf_map_create' }),
    value_size: Type.Number({ default: 0, description: 'must be 0, as in bpf_map_create' }),
    map_flags: Type.Number({ default: 0, description: '0 or BPF_F_NUMA_NODE (4, ignored)' }),
  },
  {
    ...closed,
    title: 'CreateMap',
    examples: [{ max_entries: 65536, mode: 'managed', durability: 'memory' }],
  },
);

const MapCountersShape = Type.Object(
  {
    accepted_samples: Count('samples that took room in the ring, reservations included'),
    accepted_bytes: Count('bytes that they took: headers, payloads, padding'),
    drained_samples: Count('samples that a handler answered for'),
    discarded_samples: Count('discarded records that drains skipped'),
    dead_lettered_samples: Count('samples put into a dead-letter map'),
    buffered_samples: Type.Integer({ description: 'accepted and still in the ring, by the books' }),
    quarantined_samples: Count('samples that the journal could not verify after a crash'),
    drains: Count('drains, refused ones not counted'),
    stops: Count('drains whose callback returned 1'),
    wakeups_sent: Count('WAKEUP frames queued'),
    wakeups_suppressed: Count('drains that woke nobody because of NO_WAKEUP'),
    wakeups_coalesced: Count('WAKEUP frames merged for slow clients'),
    wakeups_forced: Count('wakes that went to all watchers'),
    refused: Type.Record(Type.String(), Type.Integer(), { description: 'by "errno|reason"' }),
    drain_errors: Type.Record(Type.String(), Type.Integer(), { description: 'by errno' }),
  },
  { title: 'MapCounters' },
);

export const MapInfo = Type.Object(
  {
    name: Type.String(),
    max_entries: Type.Integer(),
    mode: Type.Enum(['managed', 'direct']),
    durability: Type.Enum(['memory', 'written', 'synced']),
    ledger: Type.Enum(['count', 'hash']),
    incarnation: Type.String({ description: 'random; new at each create and each loss of content' }),
    created_at: Type.String({ format: 'date-time' }),
    producer_pos: U64('producer position'),
    consumer_pos: U64('consumer position'),
    visible_pos: U64(
      'drains see records before it: what is durable. Without a journal the producer position',
    ),
    freed_pos: U64(
      'producers may fill the space before it: the last checkpoint. Without a journal the consumer position',
    ),
    journal: Type.Enum(['none', 'ok', 'full', 'failed'], {
      description: 'full: no room on the disk, goes on by itself; failed: the map is read-only',
    }),
    quarantined: Type.Array(
      Type.Object({
        pos: U64('where it was'),
        bytes: Count('of it, as records'),
        file: Type.String({ description: 'that holds them, below the data directory' }),
        reason: Type.String(),
      }),
      { description: 'what the start found damaged and set aside' },
    ),
    journal_findings: Type.Array(
      Type.Object({
        kind: Type.Enum(['header_repaired', 'file_set_aside']),
        message: Type.String(),
        file: Type.String({
          description: 'that holds what was there before, below the data directory; or empty',
        }),
      }),
      { description: 'what else the start found wrong with the journal, and did about it' },
    ),
    used_bytes: U64('producer position - consumer position'),
    free_bytes: Count('bytes that a producer may still fill'),
    fill: Type.Number({ minimum: 0, maximum: 1, description: 'used bytes by size' }),
    writable: Type.Boolean({ description: 'poll(2) for POLLOUT' }),
    draining: Type.Boolean({ description: 'a drain is under way' }),
    oldest_age_ms: Type.Union([Type.Number(), Type.Null()], {
      description: 'how long the oldest sample has waited; null on a direct map',
    }),
    producers: Count('connections'),
    producers_waiting: Count('connections that wait for room'),
    watchers: Count('connections that asked to be woken'),
    open_reservations: Count('reservations neither submitted nor discarded'),
    handlers: Type.Array(Type.String()),
    counters: MapCountersShape,
  },
  { title: 'Map', description: 'A map' },
);

export const MapList = Type.Object(
  { maps: Type.Array(MapInfo) },
  { title: 'MapList', description: 'The maps' },
);

export const QueryInfo = Type.Object(
  {
    avail_data: U64('BPF_RB_AVAIL_DATA'),
    ring_size: U64('BPF_RB_RING_SIZE'),
    consumer_pos: U64('BPF_RB_CONS_POS'),
    producer_pos: U64('BPF_RB_PROD_POS'),
    writable: Type.Boolean({ description: 'poll(2) for POLLOUT' }),
  },
  { title: 'Query', description: 'What bpf_ringbuf_query answers' },
);

export const PeekQuery = Type.Object(
  {
    limit: Type.Integer({
      minimum: 1,
      default: 16,
      description: 'most samples returned; limits.max_peek_samples bounds it further',
    }),
  },
  closed,
);

const JsonSample = Type.Union([Type.String(), Type.Object({ b64: Type.String() })], {
  title: 'Sample',
  description: 'a string when the sample is UTF-8 text, else {"b64":"…"}',
});

export const PeekedSamples = Type.Object(
  {
    samples: Type.Array(
      Type.Object(
        {
          pos: U64('where its record starts'),
          len: Count('payload bytes'),
          state: Type.Enum(['ready', 'busy', 'discarded'], {
            description: 'busy: reserved and not yet submitted; only of a ready record the payload is shown',
          }),
          sample: JsonSample,
          truncated: Type.Boolean({ description: 'the payload is longer than what is shown' }),
        },
        { title: 'PeekedSample' },
      ),
    ),
  },
  { title: 'PeekedSamples', description: 'Records from the head of the ring on' },
);

export const Stored = Type.Object(
  { accepted: Count('samples stored'), producer_pos: U64('producer position behind them') },
  { title: 'Stored', description: 'All of it is stored' },
);

export const DrainRequest = Type.Object(
  {
    handler: Name('handler name'),
    flags: Type.Union([Type.Array(Type.Unknown()), Type.Number(), Type.String()], {
      default: [],
      description: 'names (BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP), a number, or a decimal string',
    }),
    ctx: Type.Record(Type.String(), Type.Unknown(), { default: {}, description: 'handed to the handler' }),
  },
  {
    ...closed,
    title: 'DrainRequest',
    examples: [{ handler: 'h', flags: ['BPF_RB_NO_WAKEUP'], ctx: {} }],
  },
);

const drainFields = {
  ret: Type.Integer({ description: 'samples drained, or a negative errno' }),
  drained: Count('samples released'),
  discarded: Count('discarded records skipped'),
  stopped: Type.Boolean({ description: 'the handler answered 1' }),
  wakeup: Type.Boolean({ description: 'the wakeup rule said: wake' }),
  producer_pos: U64('right after the drain'),
  consumer_pos: U64('right after the drain'),
  drain_number: Count('the seq of its WAKEUPs; 0 for a drain that did not begin'),
  dead_lettered: Type.Optional(Count('samples that went into the dead-letter map; absent: none')),
  dead_letters: Type.Optional(
    Type.Array(
      Type.Object(
        {
          pos: U64('where its record started'),
          map: Type.String({ description: 'the map that has it now' }),
          errno: Type.String({ description: 'of the last attempt' }),
          reason: Type.String({ description: 'of the last attempt' }),
          attempts: Count('failed attempts'),
        },
        { title: 'DeadLettered' },
      ),
      { description: 'at most one: the drain ends behind it; absent: none' },
    ),
  ),
};

export const DrainInfo = Type.Object(drainFields, {
  title: 'DrainResult',
  description: 'What the drain did',
  examples: [
    {
      ret: 2,
      drained: 2,
      discarded: 1,
      stopped: false,
      wakeup: true,
      producer_pos: '72',
      consumer_pos: '72',
      drain_number: 1,
    },
  ],
});

export const DrainProblem = Type.Object(
  { ...Problem.properties, ...Type.Partial(Type.Object(drainFields)).properties },
  { title: 'DrainProblem', description: 'problem details with the result of the drain that failed' },
);

export const ProducerInfo = Type.Object(
  {
    id: Type.String({ description: 'producer id, or ~N for an anonymous connection' }),
    producer: Type.Union([Type.String(), Type.Null()]),
    token: Type.String(),
    subprotocol: Type.String(),
    on_full: Type.Enum(['reject', 'block']),
    remote_address: Type.String(),
    connected_at: Type.String({ format: 'date-time' }),
    last_seq: U64('last OUTPUT accepted'),
    partial: Count('samples held of the next one'),
    acked_seq: U64('last OUTPUT acknowledged: on a journalled map what is durable'),
    acked_pos: U64('end of its last acknowledged record'),
    accepted_samples: Count('by this producer, over all its connections'),
    accepted_bytes: Count('by this producer, as records'),
    open_reservations: Count('of this connection'),
    waiting_for_room: Type.Boolean(),
    queued_bytes: Count('not yet taken by the client'),
  },
  { title: 'Producer', description: 'A connected producer' },
);

export const ProduceQuery = Type.Object(
  {
    producer: Type.Optional(
      Type.String({ description: 'stable identity, for exactly-once resume; absent: anonymous, no resume' }),
    ),
    on_full: Type.Optional(
      Type.String({
        description: 'reject (the default): a full ring is answered with ENOSPC; block: it pauses the socket',
      }),
    ),
  },
  { title: 'ProduceQuery' },
);

export const AttachQuery = Type.Object(
  {
    credit: Type.Optional(
      Type.String({
        description:
          'largest body of a delivery that the client takes, in bytes; 0 (the default): none until CREDIT',
      }),
    ),
    client: Type.Optional(
      Type.String({ description: 'how operators see this client; absent: ~N. Need not be unique' }),
    ),
  },
  { title: 'AttachQuery' },
);

export const ProducerList = Type.Object(
  { producers: Type.Array(ProducerInfo) },
  { title: 'ProducerList', description: 'The connections' },
);

export const Health = Type.Object({ status: Type.String() }, { title: 'Health', description: 'Yes' });

export const MetricsInfo = Type.Object(
  {
    metrics: Type.Record(
      Type.String(),
      Type.Array(
        Type.Object({
          labels: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()])),
          value: Type.Union([Type.Number(), Type.Null()]),
        }),
      ),
    ),
  },
  { title: 'Metrics', description: 'Series by metric name' },
);

interface ProblemResponses<Shape extends TSchema> {
  '4xx': { description: string; content: Record<typeof PROBLEM_TYPE, { schema: Shape }> };
  '5xx': { description: string; content: Record<typeof PROBLEM_TYPE, { schema: Shape }> };
}

/** The kinds of handlers and the keys of their configs, as Markdown for people. */
export const handlerKindsText = handlerKinds
  .map(({ kind, description, configSchema }) => {
    const { properties } = configSchema as {
      properties?: Record<string, { default?: unknown; description?: string }>;
    };
    const keys = Object.entries(properties ?? {}).map(
      ([key, field]) =>
        `  - \`${key}\`${field.default === undefined ? '' : ` (default \`${JSON.stringify(field.default)}\`)`}: ${field.description}`,
    );
    return [`- **${kind}** ${description}`, ...keys].join('\n');
  })
  .join('\n');

/** Response map of a route: its good answers, and problem+json for everything else. */
export function responses<Good extends Record<number, unknown>>(
  good: Good,
): Good & ProblemResponses<TSchema> {
  return responsesOr(Problem, good);
}

/** As {@link responses}, for a route whose problems have members of their own. */
export function responsesOr<Good extends Record<number, unknown>, Shape extends TSchema>(
  problem: Shape,
  good: Good,
): Good & ProblemResponses<Shape> {
  const answer = (description: string, example: RingbufdError) => ({
    description,
    content: { [PROBLEM_TYPE]: { schema: problem, example: problemOf(example) } },
  });
  return {
    ...good,
    '4xx': answer('Refused', new RingbufdError('NO_MAP', 'no map is named "host"')),
    '5xx': answer('Failed', new RingbufdError('SHUTTING_DOWN', undefined, { retryAfterMs: 1000 })),
  };
}
