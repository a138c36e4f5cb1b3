import type { Config, ConfigProblem } from '../server/config.js';

/** The world as the commands see it: injected, so that tests need no process. */
export interface CliIo {
  env: Readonly<Record<string, string | undefined>>;
  stdout: (text: string) => void;
  stderr: (text: string) => void;
  /** Starts the daemon; resolves once it is ready. The command line may not know the daemon itself. */
  serve: (config: Config, warnings: readonly ConfigProblem[]) => Promise<void>;
  /** What the handlers that a configuration declares find wrong with it; only the daemon knows them. */
  checkHandlers: (config: Config) => Promise<ConfigProblem[]>;
  /** Width of the terminal in columns, for help. Default 100. */
  columns?: number | undefined;
  /** Writes to standard error as it is, for a line that changes; absent where that is no terminal. */
  progress?: ((text: string) => void) | undefined;
  /** Calls `run` at the first Ctrl-C instead of ending the process. The function returned takes that back. */
  onInterrupt?: (run: () => void) => () => void;
}

/** Ends a command with a message that a person can act on. */
export class CliError extends Error {
  override readonly name = 'CliError';

  /**
   * @param advice what to do about it, one sentence
   * @param exitCode 1 = the command failed, 2 = the command line itself is wrong
   */
  constructor(
    message: string,
    readonly advice?: string,
    readonly exitCode: 1 | 2 = 1,
  ) {
    super(message);
  }
}
