/**
 * How far a file of a `file` handler is known to be right, in a small file elsewhere (`DATA_DIR/marks/{map}/NAME`): which
 * samples are in it, by incarnation and position, and how many bytes they take. Written over in place after each run, in one write of
 * less than a page, so that the end of the process finds it as it was before or as it is after.
 */
import { constants } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Type, type Static } from 'typebox';
import { Compile } from 'typebox/compile';

const MarkSchema = Type.Object(
  {
    incarnation: Type.String(),
    /** Inode of the file: another file of that name is none of ours. */
    ino: Type.String({ pattern: '^[0-9]+$' }),
    /** Bytes of the file that hold whole samples of which the mark knows. */
    size: Type.Integer({ minimum: 0 }),
    /** Position of the last sample that was written, in this file or in one that it was rotated to; null: none yet. */
    after: Type.Union([Type.String({ pattern: '^[0-9]+$' }), Type.Null()]),
  },
  { additionalProperties: false },
);

export type Mark = Static<typeof MarkSchema>;

const shape = Compile(MarkSchema);

/** Bytes of the mark, padded with spaces: always the same, so that nothing of an older one stands behind it. */
const MARK_BYTES = 256;
const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export class FileMark {
  readonly #path: string;
  #file: FileHandle | undefined;

  /** @param path of the mark itself */
  constructor(path: string) {
    this.#path = path;
  }

  /** The mark as it stands; `undefined` when there is none, or none that can be read. */
  async read(): Promise<Mark | undefined> {
    const file = await this.#opened();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MARK_BYTES), 0, MARK_BYTES, 0);
    try {
      const value: unknown = JSON.parse(buffer.toString('utf8', 0, bytesRead));
      return shape.Check(value) ? value : undefined;
    } catch {
      return undefined;
    }
  }

  async write(mark: Mark): Promise<void> {
    const file = await this.#opened();
    const text = Buffer.from(`${JSON.stringify(mark).padEnd(MARK_BYTES - 1)}\n`, 'utf8');
    const { bytesWritten } = await file.write(text, 0, text.length, 0);
    if (bytesWritten !== text.length) throw Object.assign(new Error('written in part'), { code: 'ENOSPC' });
  }

  async #opened(): Promise<FileHandle> {
    if (this.#file === undefined) {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      this.#file = await open(this.#path, FLAGS, 0o600);
    }
    return this.#file;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}
