import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readTraceFile } from './trace-file.js';
import type { Trace } from './trace.js';

const FOLDER = fileURLToPath(new URL('./traces/', import.meta.url));

/** What they were recorded on. */
export const COMMITTED_KERNEL = 'Linux 6.18';

/** The trace files of this project. */
export function committedFiles(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .map((name) => join(FOLDER, name));
}

export function committedTraces(): Trace[] {
  return committedFiles().flatMap(readTraceFile);
}
