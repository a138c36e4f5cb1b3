/** Puts one mistake into a copy of the sources and lets tests loose on it: what mutation runs have in common. */
import { spawn } from 'node:child_process';
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A text that occurs exactly once in a file, and what stands in its place. */
export interface SourceEdit {
  readonly what: string;
  readonly find: string;
  readonly replace: string;
}

/** What noticed a mistake; `caughtBy` is undefined for a survivor. */
export interface Finding {
  readonly caughtBy: string | undefined;
  readonly how: string;
}

/** @throws Error when the text does not occur exactly once in `file` */
export function makeMistake(file: string, { what, find, replace }: SourceEdit): void {
  const source = readFileSync(file, 'utf8');
  const places = source.split(find).length - 1;
  if (places !== 1) throw new Error(`"${what}" does not apply: ${places} times in ${file}: ${find}`);
  writeFileSync(
    file,
    source.replace(find, () => replace),
  );
}

/** Makes `folder` a project of its own with copies of these folders of the repository. */
export function copyProject(folder: string, ...folders: string[]): void {
  for (const part of folders) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
}

/** Builds the dist/ of such a project. Its types are not checked: a mistake may well leave a variable that nobody reads. */
export async function buildProject(folder: string): Promise<void> {
  for (const file of ['tsconfig.json', 'tsconfig.build.json']) cpSync(join(ROOT, file), join(folder, file));
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const child = spawn(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--noCheck'], {
    cwd: folder,
    stdio: 'inherit',
  });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  if (status !== 0) throw new Error(`tsc ended with status ${status}`);
}

/**
 * Runs tests of such a project, up to the first that fails.
 * @param timeoutMs a mistake may well make a loop endless
 */
export async function runTests(
  folder: string,
  tests: readonly string[],
  timeoutMs: number,
): Promise<Finding> {
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  // A test that is slow on a busy machine has noticed nothing.
  const options = ['--root', folder, '--bail', '1', '--testTimeout', String(timeoutMs)];
  const child = spawn(process.execPath, [vitest, 'run', ...options, ...tests], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
    timeout: timeoutMs,
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [status, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on('close', (code, by) => resolve([code, by])),
  );
  if (signal !== null || child.killed) return { caughtBy: tests.join(', '), how: 'never ends' };
  // File and describe block; the names of table tests are not worth a row.
  const failed = /FAIL\s+([^>\n]+> [^>\n]+?)(?: >|\n)/.exec(stderr)?.[1];
  return status !== 0 && failed !== undefined
    ? { caughtBy: failed, how: 'the test fails' }
    : { caughtBy: undefined, how: status === 0 ? '' : `exit status ${status}` };
}
