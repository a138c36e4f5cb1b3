import { constants } from 'node:fs';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Type, type Static } from 'typebox';
import { BPF_RINGBUF_HDR_SZ, paddingSize, recordSize, type SampleRun } from '../../ring/index.js';
import { RingbufdError } from '../errors.js';
import { isValidName, NAME_RULE } from '../names.js';
import type {
  BatchHandler,
  BatchVerdict,
  DrainContext,
  HandlerClaim,
  HandlerDeps,
  HandlerKind,
} from './handler.js';
import { endsWhole } from './file-tail.js';
import { sampleToJson } from './sample-json.js';

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

/**
 * Appends samples to a file of its own. Asynchronous: a run is released once its bytes were handed to the OS. A write
 * that fails is cut off again, so that the file holds whole samples and each one once.
 */
class FileHandler implements BatchHandler {
  readonly shape = 'batch';
  readonly maxRunBytes = MAX_RUN_BYTES;
  readonly claim: HandlerClaim;
  readonly #folder: string;
  readonly #path: string;
  readonly #format: 'ndjson' | 'records';
  readonly #rotateBytes: number;
  readonly #keep: number;
  #file: FileHandle | undefined;
  #size = 0;
  #samples = 0;
  #bytes = 0;
  #rotations = 0;
  /** Whether the file, when it was opened, ended behind a whole sample. */
  #isWhole = true;
  /** Set when a torn write could not be cut off: the next drain has to do it before it writes. */
  #torn = false;

  constructor(config: Static<typeof FileConfig>, name: string, deps: HandlerDeps) {
    this.claim = { file: name, diskBytes: config.rotate_bytes * (config.keep + 1) };
    this.#folder = join(deps.dataDir, 'out', deps.map);
    this.#path = join(this.#folder, name);
    this.#format = config.format;
    this.#rotateBytes = config.rotate_bytes;
    this.#keep = config.keep;
  }

  begin(): void {
    // Takes any ctx.
  }

  async onRun(run: SampleRun, context: DrainContext): Promise<BatchVerdict> {
    const bytes =
      this.#format === 'ndjson' ? Buffer.from(ndjson(run, context.headPosition), 'utf8') : records(run);
    await this.#append(bytes);
    this.#samples += run.samples;
    this.#bytes += bytes.length;
    return { consumed: run.samples, stop: false };
  }

  state(): Record<string, unknown> {
    return {
      samples: this.#samples,
      bytes: this.#bytes,
      path: this.#path,
      file_bytes: this.#size,
      rotations: this.#rotations,
    };
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #append(bytes: Buffer): Promise<void> {
    try {
      if (this.#file === undefined) await this.#open();
      if (this.#torn) await this.#cutOff();
      const full = this.#size > 0 && this.#size + bytes.length > this.#rotateBytes;
      // Nothing is appended behind what a crash has torn: it stays as it is, in a file of its own.
      if (full || !this.#isWhole) await this.#rotate();
      this.#torn = true;
      await this.#file!.appendFile(bytes);
      this.#torn = false;
      this.#size += bytes.length;
    } catch (error) {
      if (this.#torn && this.#file !== undefined) await this.#cutOff().catch(() => undefined);
      throw fileError(error, this.#path);
    }
  }

  async #open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const file = await open(this.#path, OPEN_FLAGS, 0o600);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'EINVAL' });
      this.#size = stat.size;
      this.#isWhole = await endsWhole(file, stat.size, this.#format);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#file = file;
  }

  async #cutOff(): Promise<void> {
    await this.#file!.truncate(this.#size);
    this.#torn = false;
  }

  async #rotate(): Promise<void> {
    await this.close();
    if (this.#keep === 0) {
      await rm(this.#path, { force: true });
    } else {
      await rm(`${this.#path}.${this.#keep}`, { force: true });
      for (let number = this.#keep - 1; number >= 1; number--)
        await rename(`${this.#path}.${number}`, `${this.#path}.${number + 1}`).catch(ignoreMissing);
      await rename(this.#path, `${this.#path}.1`);
    }
    this.#rotations++;
    await this.#open();
  }
}

/** One line a sample: `{"pos":"16","sample":"text"}`, pos being where its record starts. */
function ndjson(run: SampleRun, headPosition: bigint): string {
  let text = '';
  run.forEach((sample, _index, distance) => {
    const pos = headPosition + BigInt(distance);
    text += `{"pos":"${pos}","sample":${JSON.stringify(sampleToJson(sample.copy()))}}\n`;
  });
  return text;
}

/** The samples as a run: what an OUTPUT frame carries, padding zeroed. */
function records(run: SampleRun): Buffer {
  let size = 0;
  run.forEach((sample) => (size += recordSize(sample.size)));
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  run.forEach((sample) => {
    bytes.writeUInt32LE(sample.size, at);
    bytes.writeUInt32LE(0, at + 4);
    sample.read(bytes, at + BPF_RINGBUF_HDR_SZ);
    at += recordSize(sample.size);
    bytes.fill(0, at - paddingSize(sample.size), at);
  });
  return bytes;
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
