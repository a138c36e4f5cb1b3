import type { Static, TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { Value } from 'typebox/value';
import { RingbufdError, type ErrorKey } from './errors.js';

const compiled = new WeakMap<TSchema, Validator>();

/**
 * Checks a JSON value against a schema, with the schema's defaults filled in.
 * @param what names the value in the error's detail
 * @returns a copy; the value itself is left alone
 * @throws RingbufdError of `key`, its detail naming the first key that is wrong
 */
export function checkShape<Schema extends TSchema>(
  schema: Schema,
  value: unknown,
  key: ErrorKey,
  what: string,
): Static<Schema> {
  let validator = compiled.get(schema);
  if (validator === undefined) {
    validator = Compile(schema);
    compiled.set(schema, validator);
  }
  const filled: unknown = Value.Default(schema, structuredClone(value ?? {}));
  if (validator.Check(filled)) return filled as Static<Schema>;
  const [first] = validator.Errors(filled);
  const where = first?.instancePath ? `${what}${first.instancePath.replaceAll('/', '.')}` : what;
  // An object that takes no further keys gives the schema `false` to those it does not know.
  const problem = first?.keyword === 'boolean' ? 'is not a known key' : (first?.message ?? 'is not valid');
  throw new RingbufdError(key, `${where} ${problem}`);
}
