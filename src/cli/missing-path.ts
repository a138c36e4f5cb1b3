import { CliError } from './cli-io.js';

/** What to say of `error` when it means that there is nothing at `path`; `undefined` for any other trouble. */
export function missingPath(path: string, error: unknown): CliError | undefined {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) return undefined;
  return new CliError(
    `there is nothing at ${path}`,
    'Give the data_dir of a daemon: without another setting it is ./data in the folder that "ringbufd serve" was started in.',
  );
}
