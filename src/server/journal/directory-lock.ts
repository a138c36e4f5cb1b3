import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { tryLock } from 'fs-native-extensions';
import { RingbufdError } from '../errors.js';

const LOCK_FILE = 'ringbufd.lock';

/**
 * Keeps a second daemon off a data directory. The lock is the kernel's, on an open file: it ends with the process,
 * however that ends, so there is no stale one to judge, and two that start at once cannot both get it. The file stays;
 * what is written in it is for people.
 */
export class DirectoryLock {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /**
   * @param options `create`: makes the directory when it is not there
   * @throws RingbufdError DATA_DIR_LOCKED, DATA_DIR_UNUSABLE
   */
  static async acquire(directory: string, options: { create?: boolean } = {}): Promise<DirectoryLock> {
    const file = await openLockFile(directory, options.create === true);
    if (!tryLock(file.fd)) {
      const holder = (await file.readFile('utf8')).split('\n')[0] ?? '';
      await file.close();
      throw new RingbufdError('DATA_DIR_LOCKED', `${directory} is in use by ${holder || 'another process'}`);
    }
    // A full disk is no reason not to start: what the lock says is for people.
    await file
      .truncate(0)
      .then(() => file.write(`pid ${process.pid}, since ${new Date().toISOString()}\n`))
      .catch(() => undefined);
    return new DirectoryLock(file);
  }

  /** Whether a process holds the lock of a directory now. Changes nothing. */
  static async isHeld(directory: string): Promise<boolean> {
    const file = await open(join(directory, LOCK_FILE), 'r').catch(() => undefined);
    if (file === undefined) return false;
    try {
      return !tryLock(file.fd, { shared: true });
    } finally {
      await file.close();
    }
  }

  async release(): Promise<void> {
    await this.#file.close();
  }
}

async function openLockFile(directory: string, create: boolean): Promise<FileHandle> {
  try {
    if (create) await mkdir(directory, { recursive: true, mode: 0o700 });
    return await open(join(directory, LOCK_FILE), 'a+', 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new RingbufdError('DATA_DIR_UNUSABLE', `${directory}: ${code ?? message}`, { cause: error });
  }
}
