import { constants } from 'node:fs';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Type, type Static } from 'typebox';
import type { SampleRun } from '../../ring/index.js';
import { RingbufdError } from '../errors.js';
import { waiting } from '../loop-time.js';
import { isValidName, NAME_RULE } from '../names.js';
import type {
  BatchHandler,
  BatchVerdict,
  DrainContext,
  HandlerClaim,
  HandlerDeps,
  HandlerKind,
} from './handler.js';
import { formatRun, type FileFormat } from './file-format.js';
import { FileMark } from './file-mark.js';
import { endsWhole } from './file-tail.js';

const FileConfig = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        description: 'file name below DATA_DIR/out/{map}/; default: the handler name and the format',
      }),
    ),
    format: Type.Union([Type.Literal('ndjson'), Type.Literal('records')], {
      default: 'ndjson',
      description: 'ndjson: one {"pos","sample"} a line; records: the ring format, back to back',
    }),
    rotate_bytes: Type.Integer({
      minimum: 4096,
      default: 67108864,
      description: 'bytes after which the file is renamed to NAME.1, NAME.1 to NAME.2 and so on',
    }),
    keep: Type.Integer({
      minimum: 0,
      maximum: 1000,
      default: 3,
      description: 'rotated files kept beside the current one; the oldest is deleted',
    }),
  },
  { additionalProperties: false },
);

/** Largest payload collected before it is written, in bytes. */
const MAX_RUN_BYTES = 256 * 1024;

/** Readable for the look at its end; a link is refused, and a FIFO does not hang the daemon. */
const OPEN_FLAGS =
  constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Inodes on some file systems are over 2^53. */
const EXACT = { bigint: true } as const;

/**
 * Appends samples to a file of its own. Asynchronous: a run is released once its bytes were handed to the OS. A write
 * that fails is cut off again, so that the file holds whole samples and each one once.
 *
 * Also over a crash, as long as the map keeps its content: after each run, and before it is released, a mark says how many bytes are right and which sample is the last one. Whoever opens the file cuts off what is behind
 * that, and skips samples that come again.
 */
class FileHandler implements BatchHandler {
  readonly shape = 'batch';
  readonly maxRunBytes = MAX_RUN_BYTES;
  readonly claim: HandlerClaim;
  readonly #folder: string;
  readonly #path: string;
  /** Below the data directory: where that is concerns nobody who asks over REST. */
  readonly #shownPath: string;
  readonly #format: FileFormat;
  readonly #rotateBytes: number;
  readonly #keep: number;
  readonly #mark: FileMark;
  #file: FileHandle | undefined;
  #ino = '';
  #size = 0;
  #samples = 0;
  #bytes = 0;
  #skipped = 0;
  #rotations = 0;
  #incarnation = '';
  /** Position of the last sample of this incarnation that was written. */
  #after: bigint | undefined;
  /** Whether the mark says what the fields above say. */
  #isMarked = false;
  /** Whether the file, when it was opened, ended behind a whole sample. */
  #isWhole = true;
  /** Set when a torn write could not be cut off: the next drain has to do it before it writes. */
  #torn = false;

  constructor(config: Static<typeof FileConfig>, name: string, deps: HandlerDeps) {
    this.claim = { file: name, diskBytes: config.rotate_bytes * (config.keep + 1) };
    this.#folder = join(deps.dataDir, 'out', deps.map);
    this.#path = join(this.#folder, name);
    this.#shownPath = join('out', deps.map, name);
    this.#format = config.format;
    this.#rotateBytes = config.rotate_bytes;
    this.#keep = config.keep;
    this.#mark = new FileMark(join(deps.dataDir, 'marks', deps.map, name));
  }

  begin(): void {
    // Takes any ctx.
  }

  async onRun(run: SampleRun, context: DrainContext): Promise<BatchVerdict> {
    const { loop } = context;
    try {
      if (this.#file === undefined) await waiting(loop, this.#open(context.incarnation));
      const { first, last } = this.#newOf(run, context.headPosition);
      this.#skipped += first;
      if (first < run.samples) {
        const bytes = formatRun(this.#format, run, context.headPosition, first);
        await waiting(loop, this.#append(bytes));
        this.#samples += run.samples - first;
        this.#bytes += bytes.length;
        this.#after = last;
        this.#isMarked = false;
      }
      // Before the release: a sample that is released will not come again.
      if (!this.#isMarked) await waiting(loop, this.#writeMark());
    } catch (error) {
      throw fileError(error, this.#shownPath);
    }
    return { consumed: run.samples, stop: false };
  }

  state(): Record<string, unknown> {
    return {
      samples: this.#samples,
      bytes: this.#bytes,
      skipped: this.#skipped,
      path: this.#shownPath,
      file_bytes: this.#size,
      rotations: this.#rotations,
    };
  }

  async close(): Promise<void> {
    await this.#closeFile();
    await this.#mark.close();
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** Which samples of a run are not in the files yet: all from number `first` on, the last one at position `last`. */
  #newOf(run: SampleRun, headPosition: bigint): { first: number; last: bigint } {
    let first = 0;
    let last = headPosition;
    run.forEach((_sample, index, distance) => {
      last = headPosition + BigInt(distance);
      if (this.#after !== undefined && last <= this.#after) first = index + 1;
    });
    return { first, last };
  }

  async #append(bytes: Buffer): Promise<void> {
    if (this.#torn) await this.#cutOff();
    const full = this.#size > 0 && this.#size + bytes.length > this.#rotateBytes;
    // Nothing is appended behind what a crash has torn: it stays as it is, in a file of its own.
    if (full || !this.#isWhole) await this.#rotate();
    // Before the first byte of this file or incarnation: else nobody would know where it begins.
    if (!this.#isMarked) await this.#writeMark();
    try {
      this.#torn = true;
      await this.#file!.appendFile(bytes);
      this.#torn = false;
      this.#size += bytes.length;
    } catch (error) {
      await this.#cutOff().catch(() => undefined);
      throw error;
    }
  }

  async #open(incarnation: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const file = await open(this.#path, OPEN_FLAGS, 0o600);
    try {
      const stat = await file.stat(EXACT);
      if (!stat.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'EINVAL' });
      this.#size = Number(stat.size);
      this.#ino = String(stat.ino);
      await this.#goOn(file, incarnation);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#incarnation = incarnation;
    this.#file = file;
  }

  /** Finds out from the mark what of the map's content is in the files already. */
  async #goOn(file: FileHandle, incarnation: string): Promise<void> {
    const mark = await this.#mark.read();
    const isOurs = mark?.incarnation === incarnation;
    const isSameFile = isOurs && mark.ino === this.#ino;
    // After a rotation this handler knows more than a mark that could not be written.
    if (this.#incarnation !== incarnation)
      this.#after = isOurs && mark.after !== null ? BigInt(mark.after) : undefined;
    if (isSameFile && this.#size > mark.size) {
      // Samples behind the mark were not released: they come again.
      await file.truncate(mark.size);
      this.#size = mark.size;
    }
    this.#isMarked = isSameFile && this.#size === mark.size;
    this.#isWhole = this.#isMarked || (await endsWhole(file, this.#size, this.#format));
  }

  async #writeMark(): Promise<void> {
    await this.#mark.write({
      incarnation: this.#incarnation,
      ino: this.#ino,
      size: this.#size,
      after: this.#after === undefined ? null : String(this.#after),
    });
    this.#isMarked = true;
  }

  async #cutOff(): Promise<void> {
    await this.#file!.truncate(this.#size);
    this.#torn = false;
  }

  async #rotate(): Promise<void> {
    await this.#closeFile();
    if (this.#keep === 0) {
      await rm(this.#path, { force: true });
    } else {
      await rm(`${this.#path}.${this.#keep}`, { force: true });
      for (let number = this.#keep - 1; number >= 1; number--)
        await rename(`${this.#path}.${number}`, `${this.#path}.${number + 1}`).catch(ignoreMissing);
      await rename(this.#path, `${this.#path}.1`);
    }
    this.#rotations++;
    await this.#open(this.#incarnation);
  }
}

function fileError(error: unknown, path: string): RingbufdError {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
  return new RingbufdError(full ? 'HANDLER_NO_SPACE' : 'HANDLER_FAILED', `${path}: ${code}`, {
    cause: error,
  });
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

export const fileKind: HandlerKind = {
  kind: 'file',
  description: 'appends samples to a file below the data directory, as NDJSON or in ring format',
  configSchema: FileConfig,
  create(config, deps) {
    const checked = config as Static<typeof FileConfig>;
    if (checked.name !== undefined && !isValidName(checked.name))
      throw new RingbufdError('HANDLER_CONFIG', `config.name "${checked.name}": ${NAME_RULE}`);
    const extension = checked.format === 'ndjson' ? 'ndjson' : 'rec';
    return new FileHandler(checked, checked.name ?? `${deps.handler}.${extension}`, deps);
  },
};
