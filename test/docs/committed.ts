import { readFileSync, writeFileSync } from 'node:fs';

/** A file of the repository, by its path from the top. */
export const root = (path: string): URL => new URL(`../../${path}`, import.meta.url);

/** The committed text; with UPDATE_DOCS=1 it is written first. */
export function committed(path: string, text: string): string {
  if (process.env.UPDATE_DOCS === '1') writeFileSync(root(path), text);
  return readFileSync(root(path), 'utf8');
}
