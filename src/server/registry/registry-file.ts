/**
 * The file that keeps what was made over REST: `registry.json` in the data directory. For people to read; written as a
 * whole, beside the old one, which it then replaces in one step.
 */
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Type, type Static } from 'typebox';
import writeFileAtomic from 'write-file-atomic';
import { checkShape } from '../check-shape.js';
import { HandlerSchema, MapSchema } from '../config-schema.js';
import { RingbufdError } from '../errors.js';

const FILE_NAME = 'registry.json';
const FORMAT = 1;
/** Configs of handlers may hold secrets. */
const MODE = 0o600;

/** For whoever opens the file. */
const ABOUT =
  'What was made over REST. The daemon writes this file and reads it when it starts; stop it before you edit. Secrets ' +
  'of handlers stand in it as they are. What the configuration file declares is not in it: that file wins.';

const closed = { additionalProperties: false };

/** A handler as it is kept: what a configuration file would declare. */
export type KeptHandler = Static<typeof HandlerSchema>;

/** A map that was made over REST, with its handlers. */
export type KeptMap = Static<typeof MapSchema>;

/** Handlers that were put over REST on a map that the configuration file declares. */
const KeptHandlersSchema = Type.Object(
  { map: MapSchema.properties.name, handlers: Type.Array(HandlerSchema) },
  closed,
);
export type KeptHandlers = Static<typeof KeptHandlersSchema>;

const RegistrySchema = Type.Object(
  {
    about: Type.Optional(Type.String()),
    format: Type.Literal(FORMAT),
    maps: Type.Array(MapSchema, { default: [] }),
    handlers: Type.Array(KeptHandlersSchema, { default: [] }),
  },
  closed,
);

export interface RegistryContent {
  maps: KeptMap[];
  handlers: KeptHandlers[];
}

export class RegistryFile {
  readonly path: string;

  /** @param dataDir absolute */
  constructor(dataDir: string) {
    this.path = join(dataDir, FILE_NAME);
  }

  /**
   * What was kept; nothing when there is no file yet.
   * @throws RingbufdError REGISTRY_DAMAGED: the daemon must not start as if there had been nothing
   */
  async read(): Promise<RegistryContent> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // No folder, or no folder to be: the first write will make it, or say why it cannot.
      if (code === 'ENOENT' || code === 'ENOTDIR') return { maps: [], handlers: [] };
      throw this.#damaged((error as Error).message, error);
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw this.#damaged((error as Error).message, error);
    }
    if (value === null || typeof value !== 'object') throw this.#damaged('it holds no object', undefined);
    const format = (value as { format?: unknown }).format;
    if (format !== FORMAT)
      throw this.#damaged(`its format is ${JSON.stringify(format)}, this daemon reads ${FORMAT}`, undefined);
    try {
      const { maps, handlers } = checkShape(RegistrySchema, value, 'REGISTRY_DAMAGED', 'it:');
      return { maps, handlers };
    } catch (error) {
      throw this.#damaged((error as RingbufdError).detail, error);
    }
  }

  /** Whether the file says exactly this already. */
  async says(content: RegistryContent): Promise<boolean> {
    const text = await readFile(this.path, 'utf8').catch(() => undefined);
    return text === textOf(content);
  }

  /**
   * Replaces the file. It is on the disk when this resolves.
   * @throws RingbufdError REGISTRY_NOT_WRITTEN
   */
  async write(content: RegistryContent): Promise<void> {
    const text = textOf(content);
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
      await writeFileAtomic(this.path, text, { mode: MODE });
      await syncFolder(dirname(this.path));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new RingbufdError('REGISTRY_NOT_WRITTEN', `${this.path}: ${code ?? message}`, { cause: error });
    }
  }

  #damaged(why: string, cause: unknown): RingbufdError {
    return new RingbufdError('REGISTRY_DAMAGED', `${this.path}: ${why}`, { cause });
  }
}

function textOf({ maps, handlers }: RegistryContent): string {
  return `${JSON.stringify({ about: ABOUT, format: FORMAT, maps, handlers }, null, 2)}\n`;
}

/** The new name of the file is on the disk once its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
