import { realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isValidName, NAME_RULE } from '../../names.js';
import { refusedBy, type VerifierLine } from '../worker/verifier-log.js';

const EXTENSION = '.mjs';

/**
 * Where a handler's module is: a file in the operator's own folder, and nowhere else.
 * @param folder `handlers_dir` of the configuration
 * @returns its URL, and a line for each rule that was looked at
 * @throws RingbufdError HANDLER_CONFIG: no valid name, no such file, or a link that leads out of the folder
 */
export function moduleFile(
  folder: string | undefined,
  file: string,
): { url: string; verified: VerifierLine[] } {
  const log: VerifierLine[] = [];
  const rule = (name: string, broken: string | undefined): void => {
    log.push({ rule: name, ok: broken === undefined, detail: broken ?? file });
    if (broken !== undefined) throw refusedBy(log);
  };
  rule(
    'handlers-dir',
    folder ? undefined : 'handlers_dir of the configuration is not set: modules are switched off',
  );
  rule('file-name', isValidName(file) ? undefined : `"${file}": ${NAME_RULE}`);
  rule('file-extension', file.endsWith(EXTENSION) ? undefined : `"${file}" does not end in ${EXTENSION}`);
  const path = resolved(join(folder!, file));
  rule('file-exists', path === undefined ? `there is no file "${file}" in handlers_dir` : undefined);
  const inside = dirname(path!) === resolved(folder!) && statSync(path!).isFile();
  rule('file-inside', inside ? undefined : `"${file}" is no file in handlers_dir itself, or leads out of it`);
  return { url: pathToFileURL(path!).href, verified: log };
}

/** With links followed; `undefined` where nothing is. */
function resolved(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
