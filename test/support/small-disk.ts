import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Mounts a file system of so many KiB on a folder; `undefined` where this process may not. @returns its unmount */
export function mountSmall(folder: string, kib: number): (() => void) | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', folder], { stdio: 'ignore' });
    return () => void execFileSync('umount', ['-l', folder], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
}

/** Takes the last byte of the file system that `folder` is on. @returns gives all of it back */
export function fillDisk(folder: string): () => void {
  const ballast = join(folder, 'ballast');
  const fd = openSync(ballast, 'w');
  try {
    for (const page = Buffer.alloc(4096); ;) if (writeSync(fd, page) < page.length) break;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(fd);
  }
  return () => rmSync(ballast);
}
