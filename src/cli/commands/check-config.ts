import type { Command } from 'commander';
import { ConfigError, formatProblem, loadConfig, type Config } from '../../server/config.js';
import type { CliIo } from '../cli-io.js';

/** `ringbufd check-config FILE`: says "ok" and what the file sets up, or everything that is wrong. */
export function addCheckConfigCommand(program: Command, io: CliIo): void {
  program
    .command('check-config')
    .description(
      'Check a configuration file as serve would read it, RINGBUFD_* variables included, without starting anything.',
    )
    .argument('<file>', 'Configuration file in YAML.')
    .action(async (file: string) => {
      const { config, warnings } = loadConfig({ file, env: io.env });
      const problems = await io.checkHandlers(config);
      if (problems.length > 0) throw new ConfigError(problems);
      io.stdout(`ok: ${file}\n${summary(config)}`);
      for (const warning of warnings) io.stdout(`warning: ${formatProblem(warning)}\n`);
    });
}

function summary(config: Config): string {
  const bytes = config.maps.reduce((sum, map) => sum + map.max_entries, 0);
  const handlers = config.maps.reduce((sum, map) => sum + map.handlers.length, 0);
  const tokens = config.tokens.map(({ name, scopes }) => `${name} (${scopes.join(', ')})`);
  const rows = [
    ['listen', config.listen],
    ['data_dir', config.data_dir],
    ['tokens', tokens.join('; ') || 'none: every caller may do everything'],
    ['maps', `${config.maps.length}, with ${bytes} bytes of rings and ${handlers} handlers`],
    ...config.maps.map((map) => [
      '',
      `${map.name}: ${map.max_entries} bytes, ${map.mode}, ${map.durability}`,
    ]),
  ];
  return rows.map(([label = '', text = '']) => `  ${label.padEnd(9)} ${text}\n`).join('');
}
