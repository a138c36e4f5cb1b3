/**
 * Every key that stands for itself (a scalar, or a list as a whole) with its names on the command line and in the
 * environment. Made from the schema; the parser, `--help` and the documentation are made from this table.
 */
import type { SchemaNode } from './config-shape.js';
import { ConfigSchema } from './config-schema.js';

export interface ConfigOption {
  /** Dotted key path, e.g. `limits.max_maps`. */
  key: string;
  path: readonly string[];
  /** Environment variable, e.g. `RINGBUFD_LIMITS_MAX_MAPS`. */
  env: string;
  /** Flag with its dashes, e.g. `--limits-max-maps`. */
  flag: string;
  /** Type in a word: integer, boolean, text, list, or the allowed words joined by `|`. */
  type: string;
  default: unknown;
  /** Meaning, unit and what 0 does. */
  description: string;
  schema: SchemaNode;
}

/** Prefix of every environment variable of the daemon. */
export const ENV_PREFIX = 'RINGBUFD_';

/** Names the configuration file, as `--config` does; not a key itself. */
export const CONFIG_FILE_VARIABLE = `${ENV_PREFIX}CONFIG`;

/** The table, in the order of the schema. */
export const configOptions: readonly ConfigOption[] = collect(ConfigSchema, []);

function collect(node: SchemaNode, path: readonly string[]): ConfigOption[] {
  if (node.type === 'object')
    return Object.entries(node.properties ?? {}).flatMap(([key, inner]) => collect(inner, [...path, key]));
  const words = path.join('_');
  return [
    {
      key: path.join('.'),
      path,
      env: ENV_PREFIX + words.toUpperCase(),
      flag: `--${words.replaceAll('_', '-')}`,
      type: typeWord(node),
      default: node.default,
      description: node.description ?? '',
      schema: node,
    },
  ];
}

function typeWord(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.join('|');
  if (node.type === 'string') return 'text';
  return node.type === 'array' ? 'list' : (node.type ?? 'mapping');
}
