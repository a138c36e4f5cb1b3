/**
 * Child process of mutations.ts: replays the committed traces on the copy of `src/ring` in the folder that its argument
 * names, and tells its parent about each trace as it begins and about the first that differs.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { committedTraces } from './committed.js';
import { replayOnRing, type RingModule } from './ring-replay.js';

/** What a mutant process sends. The last `begins` says which trace was under way when it hung or died. */
export type MutantMessage = { begins: string } | { caught: string; field: string };

const tell = (message: MutantMessage): boolean => process.send!(message);

const ring = (await import(pathToFileURL(join(process.argv[2]!, 'index.ts')).href)) as RingModule;
for (const trace of committedTraces()) {
  tell({ begins: trace.name });
  const { difference } = replayOnRing(trace, { ring });
  if (difference) {
    tell({ caught: trace.name, field: `op ${difference.index}, ${difference.field}` });
    break;
  }
}
process.disconnect();
