import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { ConfigError, configFromObject, formatProblem } from '../../server/config.js';
import { hashToken } from '../../server/tokens.js';
import { CliError, type CliIo } from '../cli-io.js';

/** 256 bits: beyond guessing, so that a plain SHA-256 is enough to store. */
const TOKEN_BYTES = 32;

/** `ringbufd token`: makes a token and the entry for the configuration file. */
export function addTokenCommand(program: Command, io: CliIo): void {
  program
    .command('token')
    .description('Make a bearer token. Prints it once, with the entry for the configuration file.')
    .option('-n, --name <name>', 'Name of the token, shown in logs. (default: client, or admin for an admin)')
    .option(
      '-s, --scope <scope...>',
      'What it may do: admin, produce:GLOB, drain:GLOB, read:GLOB. Can be repeated. (default: admin)',
    )
    .option('-e, --expires <date-time>', 'Refuse it after this ISO date-time with zone. (default: never)')
    .action((options: { name?: string; scope?: string[]; expires?: string }) => {
      const token = `rbd_${randomBytes(TOKEN_BYTES).toString('base64url')}`;
      const scopes = options.scope ?? ['admin'];
      const entry = {
        name: options.name ?? (scopes.includes('admin') ? 'admin' : 'client'),
        sha256: hashToken(token),
        scopes,
        ...(options.expires === undefined ? {} : { expires: options.expires }),
      };
      checkEntry(entry);
      io.stdout(
        `# The token. It is shown this once and stored nowhere; clients send it as "Authorization: Bearer TOKEN".\n` +
          `${token}\n\n` +
          `# Put this into the configuration file. It holds only the hash.\n` +
          stringify({ tokens: [entry] }),
      );
    });
}

/** The entry must be one that `serve` accepts, so the configuration's own rules are asked. */
function checkEntry(entry: object): void {
  try {
    configFromObject({ tokens: [entry] });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = error.problems.map(
      (problem) => `  ${formatProblem({ ...problem, path: problem.path.replace('tokens[0].', '') })}`,
    );
    throw new CliError(`such a token would be refused\n${lines.join('\n')}`, undefined, 2);
  }
}
