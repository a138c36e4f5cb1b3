/** What the parts of the configuration's schema are built with. */
import { Type } from 'typebox';

/** Largest delay that a Node timer takes, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Amount {
  text: string;
  unit: string;
  default: number;
  /** What 0 does. Without it 0 is refused. */
  zero?: string;
  minimum?: number;
  maximum?: number;
}

/** An integer with a unit, whose description says what 0 does. */
export function amount({ text, unit, zero, minimum, maximum, ...rest }: Amount) {
  const description = `${text} Unit: ${unit}. ${zero === undefined ? '0 is refused.' : `0 = ${zero}.`}`;
  return Type.Integer({
    default: rest.default,
    minimum: minimum ?? (zero === undefined ? 1 : 0),
    maximum: maximum ?? (unit === 'ms' ? MAX_TIMER_MS : Number.MAX_SAFE_INTEGER),
    description,
  });
}

/** Of sections: keys that are not known are errors. */
export const closed = { additionalProperties: false };
/** Options of a section that may be left out: its keys have defaults. */
export const section = (description: string) => ({ ...closed, default: {}, description });
