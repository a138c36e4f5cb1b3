// @ts-check
import { execFileSync } from 'node:child_process';
import { statfsSync } from 'node:fs';

const SIZE_BYTES = 2 ** 30;
const BLOCK_BYTES = 4096;
const MOST_PAGES_LEFT = 256;

/**
 * A file system in memory that can be filled and freed: its limit comes down to what is used and goes up again, so that a full
 * disk costs no memory. Needs root on Linux.
 */
export class SmallDisk {
  #directory;
  /** @type {NodeJS.Timeout | undefined} */
  #freeing;
  fills = 0;

  /** @param {string} directory */
  constructor(directory) {
    this.#directory = directory;
  }

  /**
   * @param {string} directory where it is mounted
   * @returns {SmallDisk | string} why there is none
   */
  static mount(directory) {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_BYTES}`, 'ringbufd-torture', directory], {
        stdio: 'pipe',
      });
    } catch (error) {
      return error instanceof Error ? (error.message.trim().split('\n').at(-1) ?? '') : String(error);
    }
    const disk = new SmallDisk(directory);
    process.once('exit', () => disk.unmount());
    return disk;
  }

  /** Nobody may write another page, or hardly one, for so long. @param {number} ms */
  fill(ms) {
    if (this.#freeing !== undefined) return;
    // Somebody writes meanwhile, and a limit below what is used by then is refused: the next try leaves more.
    for (let pages = 1; pages <= MOST_PAGES_LEFT; pages *= 2) {
      const { blocks, bfree, bsize } = statfsSync(this.#directory);
      if (!this.#resize((blocks - bfree) * bsize + pages * BLOCK_BYTES)) continue;
      this.fills++;
      this.#freeing = setTimeout(() => this.free(), ms);
      return;
    }
  }

  free() {
    clearTimeout(this.#freeing);
    this.#freeing = undefined;
    if (!this.#resize(SIZE_BYTES)) throw new Error('the small disk does not grow again');
  }

  /** @param {number} bytes */
  #resize(bytes) {
    try {
      execFileSync('mount', ['-o', `remount,size=${bytes}`, this.#directory], { stdio: 'pipe' });
      return true;
    } catch {
      return false;
    }
  }

  /** Lazily: what still has a file open there keeps it until it ends. */
  unmount() {
    if (this.#directory === '') return;
    execFileSync('umount', ['-l', this.#directory], { stdio: 'pipe' });
    this.#directory = '';
  }
}
