import { join } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { RingbufdError } from '../../server/errors.js';
import { migrateJournal } from '../../server/journal/migrate.js';
import { CliError, type CliIo } from '../cli-io.js';
import { missingPath } from '../missing-path.js';

const LARGEST = 2 ** 30;

/** `ringbufd migrate DIR MAP --max-entries N`: another ring size for a journalled map. */
export function addMigrateCommand(program: Command, io: CliIo): void {
  program
    .command('migrate')
    .description(
      'Give the journal of a map another ring size, with the daemon stopped. Samples, positions and producers stay.',
    )
    .argument('<dir>', 'The data directory.')
    .argument('<map>', 'Name of the map.')
    .requiredOption('--max-entries <bytes>', 'New ring size: a power of two from 4096 to 1073741824.', toSize)
    .action(async (directory: string, map: string, options: { maxEntries: number }) => {
      const {
        path,
        before,
        after,
        found,
        kept: inRegistry,
      } = await migrateJournal(directory, map, options.maxEntries).catch((error: unknown) => {
        if (error instanceof RingbufdError) {
          const missing = error.key === 'DATA_DIR_UNUSABLE' ? missingPath(directory, error.cause) : undefined;
          throw missing ?? new CliError(error.detail, error.advice);
        }
        throw new CliError(error instanceof Error ? error.message : String(error));
      });
      const kept = `${found.buffered.samples} samples and ${found.producers.length} producers kept`;
      io.stdout(
        before === after
          ? `${path} has ${after} bytes already: nothing to do\n`
          : `${path}: ${before} bytes are now ${after}, ${kept}\n`,
      );
      if (!inRegistry)
        io.stdout(`set max_entries of map "${map}" to ${after} where the map is declared, too\n`);
      for (const { position, bytes, file } of found.quarantined)
        io.stdout(
          `damaged: ${bytes} bytes at ${position}, kept in ${file ? join(directory, file) : 'no file'}\n`,
        );
    });
}

function toSize(text: string): number {
  const size = Number(text);
  if (!Number.isSafeInteger(size) || size < 4096 || size > LARGEST || !Number.isInteger(Math.log2(size)))
    throw new InvalidArgumentError('must be a power of two from 4096 to 1073741824.');
  return size;
}
