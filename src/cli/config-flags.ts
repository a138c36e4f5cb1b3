import { Option, type Command } from 'commander';
import { configOptions, type ConfigOption } from '../server/config.js';

/** Adds a flag for every configuration key. Parser and help come from the same table. */
export function addConfigFlags(command: Command): Command {
  for (const option of configOptions) command.addOption(flagOf(option));
  return command;
}

/** The flags that were given, as `loadConfig` wants them. */
export function givenFlags(command: Command): Record<string, string> {
  const flags: Record<string, string> = {};
  for (const { flag } of configOptions) {
    const value = command.getOptionValue(new Option(flag).attributeName()) as string | true | undefined;
    // A boolean flag may stand alone.
    if (value !== undefined) flags[flag] = value === true ? 'true' : value;
  }
  return flags;
}

function flagOf({ flag, key, path, type, default: value, description }: ConfigOption): Option {
  const words = type.includes('|') ? type.split('|') : undefined;
  const placeholder = type === 'boolean' ? '[true|false]' : `<${words ? 'word' : type}>`;
  const allowed = words ? ` One of ${words.join(', ')}.` : '';
  const shown = typeof value === 'string' ? value : JSON.stringify(value);
  const heading = path.length > 1 ? `Options for ${path[0] ?? key}:` : 'Options for the configuration:';
  return new Option(`${flag} ${placeholder}`, `${description}${allowed} (default: ${shown})`).helpGroup(
    heading,
  );
}
