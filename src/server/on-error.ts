/** What becomes of a sample whose handler fails: the `on_error` of a handler. */
import { Type, type Static } from 'typebox';
import type { DeepReadonly } from './config-freeze.js';
import { NAME_PATTERN, NAME_RULE } from './names.js';

const MAX_PAUSE_MS = 2 ** 31 - 1;
const MAX_ATTEMPTS = 1_000_000;

const backoffDefaults = { backoff_min_ms: 100, backoff_max_ms: 30_000 };
const retryDefaults = { max_attempts: 0, ...backoffDefaults };
const deadLetterDefaults = { max_attempts: 5, ...backoffDefaults };

const backoffFields = {
  backoff_min_ms: Type.Integer({
    default: backoffDefaults.backoff_min_ms,
    minimum: 1,
    maximum: MAX_PAUSE_MS,
    description:
      'Pause of the auto trigger after the first failure; it doubles each time. Unit: ms. 0 is refused.',
  }),
  backoff_max_ms: Type.Integer({
    default: backoffDefaults.backoff_max_ms,
    minimum: 1,
    maximum: MAX_PAUSE_MS,
    description: 'Longest such pause. Unit: ms. 0 is refused.',
  }),
};

const stopFields = { policy: Type.Literal('stop') };

const retryFields = {
  policy: Type.Literal('retry'),
  max_attempts: Type.Integer({
    default: retryDefaults.max_attempts,
    minimum: 0,
    maximum: MAX_ATTEMPTS,
    description:
      'Failed attempts at one sample after which the handler is faulted. Unit: attempts. 0 = tries for ever.',
  }),
  ...backoffFields,
};

const deadLetterFields = {
  policy: Type.Literal('dead_letter'),
  map: Type.String({
    pattern: NAME_PATTERN,
    expected: NAME_RULE,
    description: `Map that takes what the handler cannot: ${NAME_RULE}.`,
  }),
  max_attempts: Type.Integer({
    default: deadLetterDefaults.max_attempts,
    minimum: 1,
    maximum: MAX_ATTEMPTS,
    description:
      'Failed attempts at one sample, alone, after which it is a dead letter. Unit: attempts. 0 is refused.',
  }),
  ...backoffFields,
};

const closed = (description: string) => ({ additionalProperties: false, description });
const stopOptions = closed(
  'The sample stays at the head of the ring; the auto trigger tries again for ever.',
);
const retryOptions = closed('As stop, with pauses and a number of attempts of its own.');
const deadLetterOptions = closed(
  'A sample that failed too often goes into another map, and the drain goes on.',
);

/** With every field present: what the daemon works with and GET shows, and the shape inside the configuration. */
export const CompleteOnErrorSchema = Type.Union(
  [
    Type.Object(stopFields, stopOptions),
    Type.Object(retryFields, retryOptions),
    Type.Object(deadLetterFields, deadLetterOptions),
  ],
  {
    title: 'CompleteOnError',
    default: { policy: 'stop' },
    description: 'What becomes of a sample whose handler fails.',
  },
);
export type OnError = DeepReadonly<Static<typeof CompleteOnErrorSchema>>;

/** As callers send it: fields with a default may be left out. Complete it with {@link completeOnError}. */
export const OnErrorSchema = Type.Union(
  [
    Type.Object(stopFields, stopOptions),
    Type.Object({ policy: retryFields.policy, ...optional(retryFields) }, retryOptions),
    Type.Object(
      { policy: deadLetterFields.policy, map: deadLetterFields.map, ...optional(deadLetterFields) },
      deadLetterOptions,
    ),
  ],
  {
    title: 'OnError',
    default: { policy: 'stop' },
    description: 'What becomes of a sample whose handler fails.',
  },
);
export type OnErrorInput = DeepReadonly<Static<typeof OnErrorSchema>>;

/** Fills in the defaults of a policy that passed {@link OnErrorSchema}. */
export function completeOnError(input: OnErrorInput): OnError {
  switch (input.policy) {
    case 'stop':
      return { policy: 'stop' };
    case 'retry':
      return { ...retryDefaults, ...input };
    case 'dead_letter':
      return { ...deadLetterDefaults, ...input };
  }
}

/** What is wrong between the fields of a policy; `undefined` for one that is sound. */
export function onErrorProblem(onError: OnError): string | undefined {
  if (onError.policy === 'stop' || onError.backoff_min_ms <= onError.backoff_max_ms) return undefined;
  return `on_error.backoff_min_ms (${onError.backoff_min_ms}) is more than on_error.backoff_max_ms (${onError.backoff_max_ms})`;
}

function optional(fields: typeof retryFields | typeof deadLetterFields) {
  return {
    max_attempts: Type.Optional(fields.max_attempts),
    backoff_min_ms: Type.Optional(fields.backoff_min_ms),
    backoff_max_ms: Type.Optional(fields.backoff_max_ms),
  };
}
