import { parseDocument } from 'yaml';
import { CONFIG_FILE_VARIABLE, configOptions, ENV_PREFIX, type ConfigOption } from './config-options.js';
import { closest, type ConfigProblem } from './config-problem.js';
import { describeSchema, shapeProblems } from './config-shape.js';

/** A key given as text, by a flag or by the environment. */
export interface TextSetting {
  option: ConfigOption;
  value: unknown;
  /** The flag or the variable. */
  where: string;
}

/** Settings read from text, with what is wrong in them. */
export interface TextSettings {
  settings: TextSetting[];
  problems: ConfigProblem[];
}

/** Reads the `RINGBUFD_*` variables; one that stands for no key is a problem. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): TextSettings {
  const given = Object.entries(env).filter(([name]) => name.startsWith(ENV_PREFIX));
  return readTexts(
    given.filter(([name]) => name !== CONFIG_FILE_VARIABLE),
    new Map(configOptions.map((option) => [option.env, option])),
    'variable',
  );
}

/** Reads flags given as `{'--limits-max-maps': '5'}`. */
export function readFlags(flags: Readonly<Record<string, string | undefined>>): TextSettings {
  return readTexts(
    Object.entries(flags),
    new Map(configOptions.map((option) => [option.flag, option])),
    'flag',
  );
}

function readTexts(
  texts: [string, string | undefined][],
  options: ReadonlyMap<string, ConfigOption>,
  what: string,
): TextSettings {
  const result: TextSettings = { settings: [], problems: [] };
  for (const [where, text] of texts) {
    if (text === undefined) continue;
    const option = options.get(where);
    if (option === undefined) {
      const meant = closest(where, options.keys());
      const help = meant === undefined ? 'ringbufd serve --help lists all' : `did you mean ${meant}?`;
      result.problems.push({ path: '', where, message: `unknown ${what}; ${help}` });
      continue;
    }
    const value = parseText(option, text);
    const problems =
      value instanceof Error
        ? [{ path: option.key, message: value.message }]
        : shapeProblems(option.schema, value, option.key);
    result.problems.push(...problems.map((problem) => ({ ...problem, where })));
    result.settings.push({ option, value, where });
  }
  return result;
}

/** The value that a text stands for by the schema's type; the text itself where it stands for none. */
function parseText(option: ConfigOption, text: string): unknown {
  const { type } = option.schema;
  if (type === 'integer') {
    if (/^-?\d{1,20}$/.test(text)) return Number(text);
    return new Error(`must be ${describeSchema(option.schema)}, not the text ${JSON.stringify(text)}`);
  }
  if (type === 'boolean') {
    if (text === 'true' || text === 'false') return text === 'true';
    return new Error(`must be true or false, not the text ${JSON.stringify(text)}`);
  }
  if (type !== 'array') return text;
  const document = parseDocument(text, { prettyErrors: false });
  const [error] = [...document.errors, ...document.warnings];
  if (error) return new Error(`must be a list as YAML or JSON text: ${error.message}`);
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    return new Error(`must be a list as YAML or JSON text: ${(cause as Error).message}`);
  }
}
