/** The payload shapes of handlers: as they are registered, and as they are shown. */
import { Type } from 'typebox';
import { handlerStatuses } from '../server/handler-table.js';
import { handlerKinds } from '../server/handlers/index.js';
import { NAME_PATTERN, NAME_RULE } from '../server/names.js';
import { CompleteOnErrorSchema, OnErrorSchema } from '../server/on-error.js';
import { CompleteTriggerSchema, TriggerSchema } from '../server/trigger.js';
import { closed, Count, Problem, U64 } from './schemas.js';

export const PutHandler = Type.Object(
  {
    kind: Type.String({ description: `one of ${handlerKinds.map(({ kind }) => kind).join(', ')}` }),
    config: Type.Record(Type.String(), Type.Unknown(), { default: {}, description: 'keys of that kind' }),
    trigger: TriggerSchema,
    on_error: OnErrorSchema,
    enabled: Type.Boolean({
      default: true,
      description: 'false: no drain goes through it until it is enabled',
    }),
    shadow: Type.Boolean({
      default: false,
      description: 'only tries the handler, on copies of what the other handlers of the map drain',
    }),
  },
  {
    ...closed,
    title: 'PutHandler',
    examples: [
      {
        kind: 'file',
        config: { format: 'ndjson' },
        trigger: { mode: 'auto', flags: [], min_bytes: 1, max_delay_ms: 0 },
        on_error: { policy: 'dead_letter', map: 'failed', max_attempts: 5 },
      },
    ],
  },
);

export const LastDrainInfo = Type.Object(
  {
    drain_number: Count('its number on the map'),
    ended_at: Type.String({ format: 'date-time' }),
    duration_ms: Type.Number({ minimum: 0 }),
    ret: Type.Integer({ description: 'samples drained, or a negative errno' }),
    drained: Count('samples released'),
    discarded: Count('discarded records skipped'),
    dead_lettered: Count('samples that went into the dead-letter map'),
    stopped: Type.Boolean({ description: 'the handler answered 1' }),
  },
  { title: 'LastDrain' },
);

const FailureInfo = Type.Object({ errno: Type.String(), message: Type.String() }, { title: 'Failure' });

const ShadowInfo = Type.Object(
  {
    calls: Count('samples that it has answered for'),
    differed: Count('of them: answered otherwise than by the handler that drained'),
    skipped: Count('samples drained without its seeing them, since its queue was full'),
    failed: Count('samples that it failed on'),
    errors: Type.Record(Type.String(), Type.Integer(), { description: 'its failures, by errno' }),
    cost_ms: Type.Number({ description: 'time that its runs took' }),
    queued_bytes: Count('copies that wait for it'),
  },
  { title: 'Shadow', description: 'How a shadow does' },
);

export const HandlerInfo = Type.Object(
  {
    name: Type.String(),
    kind: Type.String(),
    config: Type.Record(Type.String(), Type.Unknown()),
    trigger: CompleteTriggerSchema,
    on_error: CompleteOnErrorSchema,
    enabled: Type.Boolean(),
    status: Type.Enum([...handlerStatuses], {
      description:
        'running; backing_off: the last drain failed, the trigger waits; faulted: its attempts are used up, the trigger has stopped; disabled',
    }),
    state: Type.Record(Type.String(), Type.Unknown(), { description: 'what the kind has to show' }),
    shadow: Type.Union([ShadowInfo, Type.Null()], { description: 'null for a handler that drains' }),
    auto: Type.Union([Type.Object({ state: Type.String(), backoff_ms: Type.Number() }), Type.Null()], {
      description: 'what the auto trigger is doing; null for a manual one',
    }),
    last_error: Type.Union([FailureInfo, Type.Null()], { description: 'of the last drain, if it failed' }),
    dead_letter_error: Type.Union([FailureInfo, Type.Null()], {
      description:
        'why the dead-letter map did not take the sample at the head of the ring; null: it was not asked, or did',
    }),
    attempts: Count('failed attempts at the sample at the head of the ring'),
    last_drain: Type.Union([LastDrainInfo, Type.Null()], { description: 'null before the first' }),
    counters: Type.Object(
      {
        calls: Count('calls of the handler: one a sample, or one a run for file, webhook and remote'),
        samples: Count('samples that it answered for'),
        stops: Count('drains that it stopped with verdict 1'),
        retries: Count('drains that began with a sample it had failed on'),
        dead_letters: Count('samples that it failed on and that are in the dead-letter map'),
        errors: Type.Record(Type.String(), Type.Integer(), { description: 'drains that failed, by errno' }),
      },
      { title: 'HandlerCounters', description: 'since it was registered' },
    ),
  },
  { title: 'Handler', description: 'A handler as registered, with the defaults of its kind filled in' },
);

export const HandlerList = Type.Object(
  { handlers: Type.Array(HandlerInfo) },
  { title: 'HandlerList', description: 'The handlers' },
);

export const ReplayRequest = Type.Object(
  {
    to: Type.Optional(
      Type.String({
        pattern: NAME_PATTERN,
        description: `map that gets all of them; absent: each goes to the map it came from. ${NAME_RULE}`,
      }),
    ),
    limit: Type.Integer({
      minimum: 1,
      maximum: 131_072,
      default: 1000,
      description: 'most dead letters sent back',
    }),
  },
  { ...closed, title: 'ReplayRequest', examples: [{ limit: 100 }] },
);

const replayFields = {
  replayed: Count('dead letters that were sent back and released here'),
  to: Type.Record(Type.String(), Type.Integer(), { description: 'how many of them went to which map' }),
  producer_pos: U64('of the map of dead letters, right after'),
  consumer_pos: U64('of the map of dead letters, right after'),
  drain_number: Count('the seq of the WAKEUPs of the map of dead letters; 0 when nothing began'),
};

export const ReplayInfo = Type.Object(replayFields, {
  title: 'ReplayResult',
  description: 'What was sent back',
});

export const ReplayProblem = Type.Object(
  { ...Problem.properties, ...Type.Partial(Type.Object(replayFields)).properties },
  { title: 'ReplayProblem', description: 'problem details with what was sent back before it' },
);
