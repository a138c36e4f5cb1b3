import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ENTRY = 'thread-entry.js';

/**
 * Where the code of a handler's thread is. A thread of Node 20 loads JavaScript only, so that under vitest or tsx, where
 * this very file is TypeScript in src/, it is taken from dist/, which `npm test` and `npm run setup` build.
 * @throws Error when dist/ was not built
 */
export function threadEntry(here = import.meta.url): URL {
  const folder = new URL('.', here).href;
  const entry = here.endsWith('.ts')
    ? new URL(folder.replace(/\/src\/(?!.*\/src\/)/, '/dist/') + ENTRY)
    : new URL(ENTRY, folder);
  if (!existsSync(fileURLToPath(entry)))
    throw new Error(`${fileURLToPath(entry)} is missing: run "npm run setup" to build dist/`);
  return entry;
}
