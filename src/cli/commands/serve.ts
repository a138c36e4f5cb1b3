import type { Command } from 'commander';
import { CONFIG_FILE_VARIABLE, loadConfig } from '../../server/config.js';
import type { CliIo } from '../cli-io.js';
import { addConfigFlags, givenFlags } from '../config-flags.js';

/** `ringbufd serve`: runs the daemon. */
export function addServeCommand(program: Command, io: CliIo): void {
  const command = program
    .command('serve')
    .description('Run the daemon. Prints one JSON line on standard output when it is ready.')
    .option('-c, --config <file>', `Configuration file in YAML (or the variable ${CONFIG_FILE_VARIABLE}).`);
  addConfigFlags(command).action(async () => {
    const file = command.getOptionValue('config') as string | undefined;
    const { config, warnings } = loadConfig({ file, env: io.env, flags: givenFlags(command) });
    await io.serve(config, warnings);
  });
}
