/**
 * Holds a value against a schema and says in plain words what is wrong, everywhere at once. The library's own messages
 * name keywords of JSON Schema and cannot suggest the key that was meant; the rules are the same.
 */
import type { TSchema } from 'typebox';
import Value from 'typebox/value';
import { closest, joinPath, type ConfigProblem } from './config-problem.js';

/** What this file reads of a TypeBox schema. */
export interface SchemaNode {
  type?: string;
  description?: string;
  default?: unknown;
  properties?: Record<string, SchemaNode>;
  required?: string[];
  additionalProperties?: boolean;
  items?: SchemaNode;
  minItems?: number;
  maxItems?: number;
  anyOf?: SchemaNode[];
  enum?: unknown[];
  /** Tells alternatives apart. */
  const?: string;
  minimum?: number;
  maximum?: number;
  /** The rule of a `pattern` in words. */
  expected?: string;
}

type Mapping = Record<string, unknown>;

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Every difference between a value and its schema. A key with a default may be absent.
 * @param path key path of the value, for the messages
 * @param suggest what else an unknown key may have meant, when no sibling is near
 */
export function shapeProblems(
  schema: SchemaNode,
  value: unknown,
  path = '',
  suggest: (key: string) => string | undefined = () => undefined,
): ConfigProblem[] {
  const branch = chooseBranch(schema, value);
  if (branch === undefined) return [{ path, message: `must be ${describeSchema(schema)}` }];
  if (branch.type === 'object' && isMapping(value)) return mappingProblems(branch, value, path, suggest);
  if (branch.type === 'array' && Array.isArray(value)) return listProblems(branch, value, path, suggest);
  const message = leafProblem(branch, value);
  return message === undefined ? [] : [{ path, message }];
}

function mappingProblems(
  schema: SchemaNode,
  value: Mapping,
  path: string,
  suggest: (key: string) => string | undefined,
): ConfigProblem[] {
  // A mapping without fixed keys belongs to somebody else, who checks it.
  if (schema.properties === undefined) return [];
  const known = Object.entries(schema.properties);
  const problems: ConfigProblem[] = [];
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(schema.properties, key)) continue;
    const keys = known.map(([name]) => name);
    const meant = closest(key, keys) ?? suggest(key);
    const help = meant === undefined ? `known keys here: ${keys.join(', ')}` : `did you mean "${meant}"?`;
    problems.push({ path: joinPath(path, key), message: `unknown key; ${help}` });
  }
  for (const [key, inner] of known) {
    const at = joinPath(path, key);
    if (Object.hasOwn(value, key)) problems.push(...shapeProblems(inner, value[key], at, suggest));
    else if (schema.required?.includes(key) && inner.default === undefined)
      problems.push({ path: at, message: `is missing: must be ${describeSchema(inner)}` });
  }
  return problems;
}

function listProblems(
  schema: SchemaNode,
  value: unknown[],
  path: string,
  suggest: (key: string) => string | undefined,
): ConfigProblem[] {
  const { items, minItems = 0, maxItems = Infinity } = schema;
  const problems: ConfigProblem[] = [];
  if (value.length < minItems) problems.push({ path, message: `must have at least ${minItems} item` });
  if (value.length > maxItems) problems.push({ path, message: `must have at most ${maxItems} items` });
  if (items)
    value.forEach((item, i) => problems.push(...shapeProblems(items, item, joinPath(path, i), suggest)));
  return problems;
}

/** Of alternatives told apart by a constant key (`mode`), the one that the value names. */
function chooseBranch(schema: SchemaNode, value: unknown): SchemaNode | undefined {
  if (schema.anyOf === undefined) return schema;
  if (!isMapping(value)) return undefined;
  return schema.anyOf.find((branch) =>
    Object.entries(branch.properties ?? {}).every(
      ([key, inner]) => inner.const === undefined || inner.const === value[key],
    ),
  );
}

function leafProblem(schema: SchemaNode, value: unknown): string | undefined {
  const [first] = Value.Errors(schema as TSchema, value);
  if (first === undefined) return undefined;
  // A rule written in code has its own message; it is asked only about values of the right type.
  if (first.keyword === '~refine') return first.message;
  return `must be ${describeSchema(schema)}, not ${describeValue(value)}${hint(schema, value)}`;
}

/** What a schema accepts, in words that follow "must be". */
export function describeSchema(schema: SchemaNode): string {
  if (schema.expected !== undefined) return schema.expected;
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (schema.anyOf !== undefined) return schema.anyOf.map(describeBranch).join(' or ');
  switch (schema.type) {
    case 'integer':
      return `a whole number${describeRange(schema)}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      return 'a text that is not empty';
    case 'array':
      return 'a list';
    default:
      return 'a mapping (lines of key: value)';
  }
}

function describeBranch(branch: SchemaNode): string {
  const constants = Object.entries(branch.properties ?? {}).filter(([, inner]) => inner.const !== undefined);
  return `a mapping with ${constants.map(([key, inner]) => `${key}: ${inner.const}`).join(', ')}`;
}

function describeRange({ minimum, maximum }: SchemaNode): string {
  if (minimum === undefined) return '';
  if (maximum === undefined || maximum === Number.MAX_SAFE_INTEGER) return ` of at least ${minimum}`;
  return ` from ${minimum} to ${maximum}`;
}

function describeValue(value: unknown): string {
  if (value === null || value === undefined) return 'nothing (the value is empty)';
  if (typeof value === 'string') {
    const short = value.length > 60 ? `${value.slice(0, 60)}...` : value;
    return `the text ${JSON.stringify(short)}`;
  }
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'a list' : 'a mapping';
}

function hint(schema: SchemaNode, value: unknown): string {
  if (typeof value === 'string') {
    if (schema.type === 'integer' && /^\d+$/.test(value)) return ' (write it without quotes)';
    if (schema.type === 'boolean' && /^(true|false)$/.test(value)) return ' (write it without quotes)';
    if (schema.type === 'array' && value !== '') return ' (write a list, such as [a, b])';
    const meant = closest(value, (schema.enum ?? []) as string[]);
    if (meant !== undefined) return `; did you mean ${meant}?`;
  }
  const scalar = typeof value === 'number' || typeof value === 'boolean';
  if (schema.type === 'string' && scalar) return ' (write it in quotes)';
  return '';
}
