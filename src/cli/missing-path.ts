import { CliError } from './cli-io.js';

/** What to say of `error` when it means that there is nothing at `path`; `undefined` for any other trouble. */
export function missingPath(path: string, error: unknown): CliError | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOENT') return undefined;
  return new CliError(
    `there is nothing at ${path}`,
    'Give the data_dir of a daemon: without another setting it is ./data in the folder that "ringbufd serve" was started in.',
  );
}
