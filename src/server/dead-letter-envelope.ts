/**
 * A dead letter: the sample that a handler could not take, and how it came to that. It is a sample itself, one JSON object
 * in UTF-8, so that every kind of handler can drain the map it lies in, and people can read it.
 */
import { Type, type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { decodeBase64 } from '../wire/index.js';
import { sampleToJson } from './handlers/sample-json.js';
import { NAME_PATTERN } from './names.js';

/** Version of the envelope: the value of `dead_letter`. */
const VERSION = 1;

const Envelope = Type.Object(
  {
    dead_letter: Type.Literal(VERSION),
    map: Type.String({ pattern: NAME_PATTERN }),
    incarnation: Type.String(),
    pos: Type.String({ pattern: '^[0-9]{1,20}$' }),
    handler: Type.String(),
    kind: Type.String(),
    errno: Type.String(),
    reason: Type.String(),
    attempts: Type.Integer({ minimum: 1 }),
    time: Type.String(),
    sample: Type.Union([Type.String(), Type.Object({ b64: Type.String() }, { additionalProperties: false })]),
  },
  { additionalProperties: false },
);
const envelope = Compile(Envelope);

/** Everything that is known of a dead letter. */
export interface DeadLetter extends Omit<Static<typeof Envelope>, 'dead_letter' | 'pos' | 'time' | 'sample'> {
  /** Where its record started in the ring of `map`. */
  position: bigint;
  /** Wall clock. Unit: ms since 1970. */
  timeMs: number;
  sample: Uint8Array;
}

/** The sample that a dead letter is stored as. */
export function encodeDeadLetter({ position, timeMs, sample, ...rest }: DeadLetter): Uint8Array {
  const value: Static<typeof Envelope> = {
    dead_letter: VERSION,
    ...rest,
    pos: String(position),
    time: new Date(timeMs).toISOString(),
    sample: sampleToJson(sample),
  };
  return new TextEncoder().encode(JSON.stringify(value));
}

/**
 * What a sample says if it is a dead letter: the map it came from and the bytes it had there.
 * @returns `undefined` for any other sample
 */
export function decodeDeadLetter(bytes: Uint8Array): { map: string; sample: Uint8Array } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  if (!envelope.Check(value)) return undefined;
  const { map, sample } = value;
  const payload = typeof sample === 'string' ? new TextEncoder().encode(sample) : decodeBase64(sample.b64);
  return payload === undefined ? undefined : { map, sample: payload };
}
