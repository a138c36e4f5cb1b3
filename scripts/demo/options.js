// @ts-check
import { parseArgs } from 'node:util';

/**
 * @typedef {object} DemoOptions
 * @property {boolean} help
 * @property {number | undefined} seconds run time; undefined = until Ctrl-C
 * @property {boolean} keep whether the data directory stays
 * @property {string} procRoot where the kernel's files are read
 */

/** What the command line got wrong, in words for the person who typed it. */
export class UsageError extends Error {}

export const HELP = `Usage: npm run demo -- [options]

Starts ringbufd and three producer processes that read this host's /proc every 50 ms and
send it over WebSocket into the map "host". A "file" handler drains the map to NDJSON.
At the end the books are checked: every acknowledged sample is in the NDJSON or in the ring.

Options:
  --seconds N   end after N seconds, with a one-line JSON summary (default: until Ctrl-C)
  --keep        keep the data directory with the NDJSON files and the daemon's log
  --proc DIR    read DIR instead of /proc, for instance a host's /proc mounted elsewhere
  --help        print this help

Exit code: 0 when nothing was lost and nothing came twice, 1 when the books differ or the
demo could not run, 2 for a wrong command line.
`;

/**
 * @param {readonly string[]} argv
 * @returns {DemoOptions}
 * @throws {UsageError}
 */
export function parseOptions(argv) {
  const { values } = parse(argv);
  return {
    help: values.help ?? false,
    seconds: values.seconds === undefined ? undefined : parseSeconds(values.seconds),
    keep: values.keep ?? false,
    procRoot: values.proc ?? '/proc',
  };
}

/** @param {readonly string[]} argv */
function parse(argv) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        seconds: { type: 'string' },
        keep: { type: 'boolean' },
        proc: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** @param {string} text */
function parseSeconds(text) {
  const seconds = Number(text);
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds <= 0 || seconds > 86_400)
    throw new UsageError(`--seconds takes a number above 0 and up to 86400, not "${text}"`);
  return seconds;
}
