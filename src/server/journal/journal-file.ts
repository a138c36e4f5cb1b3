import { close, fdatasync, ftruncate, open, read, write, constants } from 'node:fs';
import { promisify } from 'node:util';

/** A file as commits need it. So little, so that a test can put a disk underneath that loses its power. */
export interface WritableFile {
  /** Writes all of `bytes` at `at`, in the order of the calls that were awaited. */
  write(at: number, bytes: Uint8Array): Promise<void>;
  /** Everything written before is on the disk, whatever happens to the power (fdatasync). */
  sync(): Promise<void>;
}

/** A file as a journal needs it. */
export interface JournalFile extends WritableFile {
  /** Fills `bytes` from `at` on. @returns bytes read: fewer only at the end of the file */
  read(at: number, bytes: Uint8Array): Promise<number>;
  close(): Promise<void>;
}

/** fdatasync, of a descriptor. */
export const syncData: (fd: number) => Promise<void> = promisify(fdatasync);

/** A journal's file on disk. */
export class DiskFile implements JournalFile {
  /** Its descriptor, which another thread of the process may use, too. */
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** @param mode `read`: nothing is changed; `write`: it exists; `create`: it does not */
  static open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    const flags = {
      read: constants.O_RDONLY,
      write: constants.O_RDWR,
      create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
    }[mode];
    return new Promise((resolve, reject) =>
      open(path, flags | constants.O_NOFOLLOW, 0o600, (error, fd) =>
        error === null ? resolve(new DiskFile(fd)) : reject(error),
      ),
    );
  }

  write(at: number, bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = (done: number): void =>
        write(this.fd, bytes, done, bytes.length - done, at + done, (error, written) => {
          if (error !== null) reject(error);
          // A short write is no error yet: the next one says why.
          else if (done + written < bytes.length) next(done + written);
          else resolve();
        });
      next(0);
    });
  }

  sync(): Promise<void> {
    return syncData(this.fd);
  }

  read(at: number, bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      const next = (done: number): void =>
        read(this.fd, bytes, done, bytes.length - done, at + done, (error, count) => {
          if (error !== null) reject(error);
          else if (count > 0 && done + count < bytes.length) next(done + count);
          else resolve(done + count);
        });
      if (bytes.length === 0) resolve(0);
      else next(0);
    });
  }

  /** Gives a new file its size; what is not written stays a hole. */
  truncate(size: number): Promise<void> {
    return new Promise((resolve, reject) =>
      ftruncate(this.fd, size, (error) => (error === null ? resolve() : reject(error))),
    );
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) =>
      close(this.fd, (error) => (error === null || error === undefined ? resolve() : reject(error))),
    );
  }
}

/** Reads `length` bytes; zeros stand for what is behind the end of the file: they verify as nothing. */
export async function readPadded(file: JournalFile, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await file.read(at, bytes);
  return bytes;
}
