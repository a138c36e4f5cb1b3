/** The configuration: one schema (config-schema.ts), three sources (file, environment, flags), one frozen result. */
export {
  configFromObject,
  configFromText,
  loadConfig,
  type ConfigSources,
  type LoadedConfig,
} from './config-load.js';
export {
  hostInUrl,
  isLoopbackHost,
  isWildcardHost,
  parseAuthority,
  parseListen,
  type Authority,
  type ListenAddress,
} from './config-listen.js';
export { CONFIG_FILE_VARIABLE, configOptions, ENV_PREFIX, type ConfigOption } from './config-options.js';
export { closest, ConfigError, formatProblem, type ConfigProblem } from './config-problem.js';
export {
  ConfigSchema,
  isScope,
  SCOPE_RULE,
  type Config,
  type HandlerConfig,
  type LimitsConfig,
  type MapConfig,
  type TokenConfig,
} from './config-schema.js';
