import { writeSync } from 'node:fs';
import { NO_SYNCS, type SyncTally } from './journal.js';
import { syncData, type WritableFile } from './journal-file.js';

const WRITTEN = Promise.resolve();

/** A file by its descriptor, whose writes are over when the call returns. Syncs take long, and go side by side. */
export class DirectFile implements WritableFile {
  readonly #fd: number;
  #syncs = NO_SYNCS;

  /** @param fd stays the caller's */
  constructor(fd: number) {
    this.#fd = fd;
  }

  write(at: number, bytes: Uint8Array): Promise<void> {
    try {
      // A short write is no error yet: the next one says why.
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.#fd, bytes, done, bytes.length - done, at + done);
      return WRITTEN;
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async sync(): Promise<void> {
    const began = performance.now();
    try {
      await syncData(this.#fd);
    } finally {
      const { count, seconds } = this.#syncs;
      this.#syncs = { count: count + 1, seconds: seconds + (performance.now() - began) / 1000 };
    }
  }

  /** Those that have ended. */
  get syncs(): SyncTally {
    return this.#syncs;
  }
}
