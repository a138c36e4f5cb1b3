import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Where the built code of a thread is. A thread of Node 20 loads JavaScript only, so that under vitest or tsx, where the
 * caller is TypeScript in src/, it is taken from dist/, which `npm test` and `npm run setup` build.
 * @param name of the file, in the folder of the caller
 * @param here `import.meta.url` of the caller
 * @throws Error when dist/ was not built
 */
export function builtModule(name: string, here: string): URL {
  const folder = new URL('.', here).href;
  const entry = here.endsWith('.ts')
    ? new URL(folder.replace(/\/src\/(?!.*\/src\/)/, '/dist/') + name)
    : new URL(name, folder);
  if (!existsSync(fileURLToPath(entry)))
    throw new Error(`${fileURLToPath(entry)} is missing: run "npm run setup" to build dist/`);
  return entry;
}
