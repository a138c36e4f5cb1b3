/** `npm run conformance`: what it does, apart from being a process (run.ts). */
import { parseArgs } from 'node:util';
import { COMMITTED_KERNEL, committedFiles } from './committed.js';
import { hasNetworkForm } from './network-replay.js';
import { describeDifference } from './outcome.js';
import { countResults, describeCounts, replayTraces } from './replay.js';
import { readTraceFile, TraceFileError } from './trace-file.js';

export const EXIT_OK = 0;
/** A trace differs, or a file cannot be used. */
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

const MOST_NAMES = 8;

const USAGE = `usage: conformance -- [--ring-only] [FILE...]
  Replays trace files (the committed ones when none is named) on src/ring and through a running daemon.
  --ring-only  without the daemon`;

export interface Output {
  readonly out: (line: string) => void;
  readonly error: (line: string) => void;
}

/** @returns the exit status */
export async function runConformance(args: string[], { out, error }: Output): Promise<number> {
  let files: string[];
  let ringOnly: boolean;
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { 'ring-only': { type: 'boolean', default: false } },
    });
    files = positionals;
    ringOnly = values['ring-only'];
  } catch (complaint) {
    error((complaint as Error).message);
    error(USAGE);
    return EXIT_USAGE;
  }
  try {
    const kernel = files.length > 0 ? 'Linux' : COMMITTED_KERNEL;
    return await replayFiles(files.length > 0 ? files : committedFiles(), ringOnly, kernel, out);
  } catch (complaint) {
    if (!(complaint instanceof TraceFileError)) throw complaint;
    error(complaint.message);
    return EXIT_FAILED;
  }
}

async function replayFiles(
  files: readonly string[],
  ringOnly: boolean,
  kernel: string,
  out: Output['out'],
): Promise<number> {
  const traces = files.flatMap(readTraceFile);
  const results = await replayTraces(traces, { ringOnly });
  for (const { differences } of results)
    for (const difference of differences) out(describeDifference(difference));
  const nested = traces.filter((trace) => !hasNetworkForm(trace)).map(({ name }) => name);
  if (ringOnly) out('over the network: not run (--ring-only)');
  else if (nested.length > 0)
    out(`on src/ring only, since a nested drain has no REST form: ${listNames(nested)}`);
  const counts = countResults(results);
  out(describeCounts(counts, kernel));
  out(`${counts.traces - counts.failed} passed, ${counts.failed} failed`);
  return counts.failed === 0 ? EXIT_OK : EXIT_FAILED;
}

/** Files of the fuzzer's make hold hundreds of them. */
function listNames(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMES).join(', ');
  return names.length > MOST_NAMES ? `${shown} and ${names.length - MOST_NAMES} more` : shown;
}
