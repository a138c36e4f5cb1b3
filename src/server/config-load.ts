import Value from 'typebox/value';
import { configWarnings, crossProblems } from './config-checks.js';
import { parseConfigText, readConfigFile, type ConfigFile } from './config-file.js';
import { deepFreeze } from './config-freeze.js';
import { CONFIG_FILE_VARIABLE, configOptions } from './config-options.js';
import { ConfigError, type ConfigProblem } from './config-problem.js';
import { ConfigSchema, type Config } from './config-schema.js';
import { isMapping, shapeProblems } from './config-shape.js';
import { readEnvironment, readFlags, type TextSetting, type TextSettings } from './config-text.js';

export interface ConfigSources {
  /** Path of a YAML file; without it `RINGBUFD_CONFIG`, without that no file. */
  file?: string | undefined;
  /** Environment; only `RINGBUFD_*` is read. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Flags as text by their names: `{'--limits-max-maps': '5'}`. */
  flags?: Readonly<Record<string, string | undefined>>;
  /** Wall clock for expired tokens, ms since 1970. */
  nowMs?: number;
}

export interface LoadedConfig {
  config: Config;
  /** Allowed, but hardly meant. */
  warnings: readonly ConfigProblem[];
}

/**
 * Puts the configuration together: flags over environment over file over defaults. Lists are replaced as a whole.
 * @throws ConfigError with every problem of every source
 */
export function loadConfig(sources: ConfigSources = {}): LoadedConfig {
  const { env = {}, flags = {}, nowMs = Date.now() } = sources;
  const name = sources.file ?? env[CONFIG_FILE_VARIABLE];
  const texts = [readEnvironment(env), readFlags(flags)];
  let file: ConfigFile | undefined;
  try {
    file = name === undefined ? undefined : readConfigFile(name);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError([...error.problems, ...texts.flatMap(({ problems }) => problems)]);
  }
  return assemble(file, texts, nowMs);
}

/**
 * The configuration of a YAML text alone.
 * @throws ConfigError with every problem
 */
export function configFromText(text: string, name = 'text', nowMs = Date.now()): LoadedConfig {
  return assemble(parseConfigText(text, name), [], nowMs);
}

/**
 * The configuration of plain data, for whoever embeds the daemon. The data is not changed.
 * @throws ConfigError with every problem
 */
export function configFromObject(value: unknown, nowMs = Date.now()): LoadedConfig {
  return assemble({ value, where: () => '' }, [], nowMs);
}

function assemble(file: ConfigFile | undefined, texts: TextSettings[], nowMs: number): LoadedConfig {
  const problems: ConfigProblem[] = [];
  let readable = true;
  if (file) {
    const found = shapeProblems(ConfigSchema, file.value, '', meantElsewhere);
    readable = !found.some(({ path }) => path === '');
    problems.push(...found.map((problem) => locate(problem, file.where)));
  }
  problems.push(...texts.flatMap((text) => text.problems));

  const settings = texts.flatMap((text) => text.settings);
  const config = Value.Default(ConfigSchema, merge(file?.value, settings)) as Config;
  const wrong = problems.map(({ path }) => path);
  const isSound = (path: string): boolean => !wrong.some((bad) => isSameOrParent(bad, path));
  if (readable)
    problems.push(
      ...crossProblems({ config, isSound }).map((problem) => locate(problem, whereIs(file, settings))),
    );

  if (problems.length > 0) throw new ConfigError(problems);
  // Belt and braces: what the plain-words check lets through, the schema itself must accept.
  const [missed] = Value.Errors(ConfigSchema, config);
  if (missed) throw new ConfigError([{ path: missed.instancePath, message: missed.message }]);
  const warnings = configWarnings(config, nowMs).map((warning) => locate(warning, whereIs(file, settings)));
  return { config: deepFreeze(config), warnings };
}

/** The file's data with the settings put over it; nothing of the input is changed. */
function merge(fileValue: unknown, settings: readonly TextSetting[]): Record<string, unknown> {
  const root = isMapping(fileValue) ? structuredClone(fileValue) : {};
  // A section of the wrong type is a problem already; an empty one in its place keeps the rest checkable.
  for (const { path } of configOptions)
    if (path.length > 1 && path[0] !== undefined && Object.hasOwn(root, path[0]) && !isMapping(root[path[0]]))
      root[path[0]] = {};
  for (const { option, value } of settings) {
    let node = root;
    for (const step of option.path.slice(0, -1)) node = (node[step] ??= {}) as Record<string, unknown>;
    node[option.path[option.path.length - 1] as string] = value;
  }
  return root;
}

/** Where the value of a key path came from: the last source that set it. */
function whereIs(file: ConfigFile | undefined, settings: readonly TextSetting[]): (path: string) => string {
  return (path) => {
    const setting = settings.findLast(({ option }) => isSameOrParent(option.key, path));
    if (setting) return setting.where;
    const top = /^[^.[]+/.exec(path)?.[0] ?? '';
    return file && isMapping(file.value) && Object.hasOwn(file.value, top) ? file.where(path) : '';
  };
}

function locate(problem: ConfigProblem, where: (path: string) => string): ConfigProblem {
  const place = where(problem.path);
  return place === '' ? problem : { ...problem, where: place };
}

function isSameOrParent(parent: string, path: string): boolean {
  return path === parent || (path.startsWith(parent) && '.['.includes(path.charAt(parent.length)));
}

/** A key written in the wrong section: `max_maps` at the top means `limits.max_maps`. */
function meantElsewhere(key: string): string | undefined {
  return configOptions.find(({ path }) => path.length > 1 && path.at(-1) === key)?.key;
}
