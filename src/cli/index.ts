import { Command, CommanderError } from 'commander';
import { ConfigError, formatProblem } from '../server/config.js';
import { VERSION } from '../version.js';
import { CliError, type CliIo } from './cli-io.js';
import { addCheckConfigCommand } from './commands/check-config.js';
import { addInspectCommand } from './commands/inspect.js';
import { addLoadCommand } from './commands/load.js';
import { addMigrateCommand } from './commands/migrate.js';
import { addServeCommand } from './commands/serve.js';
import { addTokenCommand } from './commands/token.js';
import { addVerifyCommand } from './commands/verify.js';

export { CliError, type CliIo } from './cli-io.js';
export { explainListenError } from './listen-error.js';

const commands = [
  addServeCommand,
  addCheckConfigCommand,
  addTokenCommand,
  addLoadCommand,
  addVerifyCommand,
  addInspectCommand,
  addMigrateCommand,
];

/**
 * Runs one command line.
 * @param argv arguments without the node binary and the script
 * @returns the exit code: 0 done (or, for serve, ready), 1 the command failed, 2 the command line is wrong
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  try {
    await programOf(io).parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    return report(error, io);
  }
}

function programOf(io: CliIo): Command {
  const width = (): number => Math.max(60, io.columns ?? 100);
  const program = new Command('ringbufd')
    .description('Named, bounded, byte-exact user ring buffers over WebSocket.')
    .version(VERSION, '-V, --version', 'Print the version.')
    .helpOption('-h, --help', 'Print this help.')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: io.stdout,
      writeErr: io.stderr,
      getOutHelpWidth: width,
      getErrHelpWidth: width,
      outputError: (text, write) => write(text.replace(/^error:/, 'ringbufd:')),
    })
    .showHelpAfterError('Run "ringbufd --help" or "ringbufd COMMAND --help" for what there is.');
  for (const add of commands) add(program, io);
  return program;
}

function report(error: unknown, io: CliIo): number {
  if (error instanceof CommanderError) {
    const asked = ['commander.helpDisplayed', 'commander.version'].includes(error.code);
    return asked ? 0 : 2;
  }
  if (error instanceof ConfigError) {
    const { problems } = error;
    const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
    io.stderr(`ringbufd: the configuration has ${count}\n`);
    for (const problem of problems) io.stderr(`  ${formatProblem(problem)}\n`);
    return 1;
  }
  if (error instanceof CliError) {
    io.stderr(`ringbufd: ${error.message}\n${error.advice === undefined ? '' : `${error.advice}\n`}`);
    return error.exitCode;
  }
  throw error;
}
