import { checkDeclaredHandlers } from '../../src/server/declared-maps.js';
import { runCli } from '../../src/cli/index.js';
import type { Config, ConfigProblem } from '../../src/server/config.js';

export interface CliRun {
  code: number;
  stdout: string;
  stderr: string;
  /** What the daemon would have been started with. */
  served: { config: Config; warnings: readonly ConfigProblem[] }[];
}

/** Runs one command line without a process. */
export async function run(
  argv: string[],
  options: {
    env?: Record<string, string>;
    serve?: () => Promise<void>;
    progress?: (text: string) => void;
    /** Given the function that is called at Ctrl-C. */
    interruptible?: (interrupt: () => void) => void;
  } = {},
): Promise<CliRun> {
  const result: CliRun = { code: -1, stdout: '', stderr: '', served: [] };
  result.code = await runCli(argv, {
    env: options.env ?? {},
    stdout: (text) => void (result.stdout += text),
    stderr: (text) => void (result.stderr += text),
    columns: 100,
    checkHandlers: checkDeclaredHandlers,
    progress: options.progress,
    onInterrupt: (interrupt) => {
      options.interruptible?.(interrupt);
      return () => undefined;
    },
    serve: async (config, warnings) => {
      result.served.push({ config, warnings });
      await options.serve?.();
    },
  });
  return result;
}
