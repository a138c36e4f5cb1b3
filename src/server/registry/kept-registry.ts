/** Maps and handlers that were made over REST, over restarts of the daemon. */
import type { Logger } from 'pino';
import type { MapConfig } from '../config.js';
import { specOf } from '../declared-maps.js';
import { RingbufdError } from '../errors.js';
import type { HostedMap } from '../hosted-map.js';
import type { RegisteredHandler } from '../handler-table.js';
import type { MapRegistry } from '../map-registry.js';
import type { KeptHandler, KeptMap, RegistryContent, RegistryFile } from './registry-file.js';

export interface KeptRegistryDeps {
  maps: MapRegistry;
  /** What the configuration file declares: it wins, and is not kept. */
  declared: readonly MapConfig[];
  logger: Logger;
}

export class KeptRegistry {
  readonly #file: RegistryFile;
  readonly #maps: MapRegistry;
  readonly #logger: Logger;
  /** Declared handlers, by the name of their map. */
  readonly #declared: ReadonlyMap<string, ReadonlySet<string>>;
  /** Handlers that could not be restored, by map and name: they stay in the file until somebody replaces or deletes them. */
  readonly #unrestored = new Map<string, Map<string, KeptHandler>>();
  #writing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(file: RegistryFile, { maps, declared, logger }: KeptRegistryDeps) {
    this.#file = file;
    this.#maps = maps;
    this.#logger = logger;
    this.#declared = new Map(
      declared.map(({ name, handlers }) => [name, new Set(handlers.map((handler) => handler.name))]),
    );
  }

  /**
   * Makes what was kept again, and writes down what has changed. After what the configuration declares, before
   * anybody is let in. A handler that can not be made any more (its module is gone, say) is left out, said in the log,
   * and kept.
   * @throws RingbufdError REGISTRY_DAMAGED, REGISTRY_NOT_WRITTEN, or what refuses a map
   */
  async restore(): Promise<void> {
    const kept = await this.#file.read();
    for (const entry of kept.maps) {
      if (!this.#declared.has(entry.name)) await this.#createMap(entry);
      else
        this.#logger.info(
          { map: entry.name },
          'the configuration declares a map that was made over REST: it wins',
        );
      await this.#putHandlers(entry.name, entry.handlers);
    }
    for (const { map, handlers } of kept.handlers) await this.#putHandlers(map, handlers);
    // A full disk is no reason not to start, as long as there is nothing new to keep.
    if (!(await this.#file.says(this.#content()))) await this.keep();
  }

  /**
   * Writes down what there is now. Calls meanwhile share the next write.
   * @returns resolves when everything up to this call is on the disk
   * @throws RingbufdError REGISTRY_NOT_WRITTEN
   */
  keep(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    if (this.#writing === undefined) return (this.#writing = this.#write());
    const next = this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return (this.#writing = this.#write());
      });
    return (this.#next = next);
  }

  /** Resolves when no write is under way or due, whatever became of it. */
  async settled(): Promise<void> {
    for (let last = this.#next ?? this.#writing; last !== undefined; last = this.#next ?? this.#writing)
      await last.catch(() => undefined);
  }

  /** Forgets a handler that could not be restored: it was replaced, or deleted. */
  forgetHandler(map: string, handler: string): boolean {
    return this.#unrestored.get(map)?.delete(handler) ?? false;
  }

  /** Forgets what could not be restored of a map that was deleted. */
  forgetMap(map: string): void {
    this.#unrestored.delete(map);
  }

  async #write(): Promise<void> {
    try {
      await this.#file.write(this.#content());
    } finally {
      this.#writing = undefined;
    }
  }

  #content(): RegistryContent {
    const content: RegistryContent = { maps: [], handlers: [] };
    for (const map of this.#maps) {
      const handlers = this.#handlersOf(map);
      if (!this.#declared.has(map.name)) content.maps.push({ ...attributesOf(map), handlers });
      else if (handlers.length > 0) content.handlers.push({ map: map.name, handlers });
    }
    for (const [map, handlers] of this.#unrestored)
      if (!has(this.#maps, map) && handlers.size > 0)
        content.handlers.push({ map, handlers: [...handlers.values()] });
    return content;
  }

  /** Handlers of a map that the configuration does not declare. */
  #handlersOf(map: HostedMap): KeptHandler[] {
    const declared = this.#declared.get(map.name);
    return [
      ...map.handlers
        .list()
        .filter(({ name }) => !declared?.has(name))
        .map(keptHandler),
      ...(this.#unrestored.get(map.name)?.values() ?? []),
    ];
  }

  async #createMap({ name, max_entries, mode, durability, ledger }: KeptMap): Promise<void> {
    await this.#maps.open(name, { maxEntries: max_entries, mode, durability, ledger });
  }

  async #putHandlers(map: string, handlers: readonly KeptHandler[]): Promise<void> {
    for (const handler of handlers) {
      if (this.#declared.get(map)?.has(handler.name)) continue;
      try {
        await this.#maps.get(map).putHandler(handler.name, specOf(handler));
      } catch (error) {
        if (!(error instanceof RingbufdError)) throw error;
        this.#logger.error(
          { map, handler: handler.name, err: error },
          'a handler that was made over REST cannot be restored: it stays in the registry until it is put again or deleted',
        );
        const others = this.#unrestored.get(map) ?? new Map<string, KeptHandler>();
        this.#unrestored.set(map, others.set(handler.name, handler));
      }
    }
  }
}

function attributesOf({ name, attributes }: HostedMap): Omit<KeptMap, 'handlers'> {
  const { maxEntries, mode, durability, ledger } = attributes;
  return { name, max_entries: maxEntries, mode, durability, ledger };
}

function keptHandler({ name, spec }: RegisteredHandler): KeptHandler {
  const { kind, config, trigger, onError, enabled, shadow } = spec;
  return { name, kind, config, trigger, on_error: onError, enabled, shadow } as KeptHandler;
}

function has(maps: MapRegistry, name: string): boolean {
  for (const map of maps) if (map.name === name) return true;
  return false;
}
