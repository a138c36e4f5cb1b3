import { ConfigError, type ConfigProblem } from '../../src/server/config.js';

/** The problems of a configuration that must be refused. */
export function problemsOf(load: () => unknown): readonly ConfigProblem[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('the configuration was accepted');
}
