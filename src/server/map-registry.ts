import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { checkAttributes, Errno, type RingMode } from '../ring/index.js';
import type { Clock } from './clock.js';
import { RingbufdError } from './errors.js';
import { HostedMap } from './hosted-map.js';
import type { MapObserver } from './map-observer.js';
import type { MapAttributes, MapSettings } from './map-attributes.js';
import type { Durability, Journal, JournalStore } from './journal/journal.js';
import type { LedgerMode } from './ledger/map-ledger.js';
import { isValidName, NAME_RULE } from './names.js';

export interface RegistrySettings extends MapSettings {
  maxMaps: number;
  /** Bytes of all rings together. */
  maxTotalRingBytes: number;
}

/** What a caller asks for; checked here. */
export interface MapRequest {
  maxEntries: number;
  /** As bpf_map_create takes them; anything but 0 (and BPF_F_NUMA_NODE) is refused. */
  keySize?: number;
  valueSize?: number;
  mapFlags?: number;
  mode?: RingMode;
  durability?: Durability;
  ledger?: LedgerMode;
}

export interface RegistryDeps {
  clock: Clock;
  logger: Logger;
  observer: MapObserver<HostedMap>;
  /** Where journals are; asked for when the first map wants one. Absent: every map is in memory. */
  journals?: (() => Promise<JournalStore>) | undefined;
}

/** The maps by name. */
export class MapRegistry {
  readonly #maps = new Map<string, HostedMap>();
  readonly #settings: RegistrySettings;
  readonly #deps: RegistryDeps;
  /** Names that are being created or deleted: who comes meanwhile waits. */
  readonly #changing = new Map<string, Promise<unknown>>();
  #ringBytes = 0;
  #journals: Promise<JournalStore> | undefined;

  constructor(settings: RegistrySettings, deps: RegistryDeps) {
    this.#settings = settings;
    this.#deps = deps;
  }

  get size(): number {
    return this.#maps.size;
  }

  /** Bytes of all rings. */
  get ringBytes(): number {
    return this.#ringBytes;
  }

  [Symbol.iterator](): IterableIterator<HostedMap> {
    return this.#maps.values();
  }

  /** @throws RingbufdError NO_MAP */
  get(name: string): HostedMap {
    const map = this.#maps.get(name);
    if (map === undefined) throw new RingbufdError('NO_MAP', `no map is named "${name}"`);
    return map;
  }

  /**
   * Creates a map of any durability, or takes up what its journal holds; the same again is no error.
   * @returns the map, and whether it was not there before
   * @throws RingbufdError what {@link create} throws, and what {@link JournalStore.open} throws
   */
  async open(name: string, request: MapRequest): Promise<{ map: HostedMap; created: boolean }> {
    await this.#unchanging(name);
    const attributes = checkRequest(name, request);
    if (attributes.durability === 'memory') return this.create(name, request);
    const existing = this.#existing(name, attributes);
    if (existing !== undefined) return { map: existing, created: false };
    this.#claimRoom(attributes);
    try {
      const incarnation = newIncarnation();
      const journal = await this.#changes(name, this.#openJournal(name, attributes, incarnation));
      return { map: this.#host(name, attributes, incarnation, journal), created: true };
    } catch (error) {
      this.#ringBytes -= attributes.maxEntries;
      throw error;
    }
  }

  /**
   * Creates a map in memory; the same again is no error.
   * @returns the map, and whether it is new
   * @throws RingbufdError BAD_NAME, BAD_MAP_SIZE, MAP_TOO_BIG, DURABILITY (it wants a journal: {@link open}), MAP_EXISTS,
   *   BAD_REQUEST, LIMIT_MAPS, LIMIT_RING_BYTES
   */
  create(name: string, request: MapRequest): { map: HostedMap; created: boolean } {
    const attributes = checkRequest(name, request);
    const existing = this.#existing(name, attributes);
    if (existing !== undefined) return { map: existing, created: false };
    if (attributes.durability !== 'memory')
      throw new RingbufdError('DURABILITY', `durability "${attributes.durability}" takes a journal`);
    this.#claimRoom(attributes);
    try {
      return { map: this.#host(name, attributes, newIncarnation()), created: true };
    } catch (error) {
      this.#ringBytes -= attributes.maxEntries;
      throw error;
    }
  }

  /** @throws RingbufdError NO_MAP, MAP_BUSY */
  async delete(name: string): Promise<void> {
    const map = this.get(name);
    const closed = map.close('NO_MAP');
    // Only now that it was not refused, and before anybody else gets a turn: a map that is going is found by nobody.
    if (map.closed && this.#maps.delete(name)) this.#ringBytes -= map.attributes.maxEntries;
    await (map.journal === undefined ? closed : this.#changes(name, this.#removeJournal(name, closed)));
  }

  /** Maps whose journal has failed: they are read-only. */
  get readOnly(): string[] {
    return [...this.#maps.values()].filter((map) => map.journal?.state === 'failed').map(({ name }) => name);
  }

  /** Lets go of all journals. What a drain that has not ended releases after this comes again at the next start. */
  async close(): Promise<void> {
    const store = await this.#journals?.catch(() => undefined);
    await store?.close();
  }

  /** @throws RingbufdError MAP_EXISTS for a map of that name with other values */
  #existing(name: string, attributes: MapAttributes): HostedMap | undefined {
    const existing = this.#maps.get(name);
    if (existing === undefined) return undefined;
    const { maxEntries, mode, durability, ledger } = existing.attributes;
    if (
      maxEntries === attributes.maxEntries &&
      mode === attributes.mode &&
      durability === attributes.durability &&
      ledger === attributes.ledger
    )
      return existing;
    throw new RingbufdError(
      'MAP_EXISTS',
      `map "${name}" has max_entries ${maxEntries}, mode ${mode}, durability ${durability}, ledger ${ledger}`,
    );
  }

  /** @throws RingbufdError LIMIT_MAPS, LIMIT_RING_BYTES */
  #claimRoom({ maxEntries }: MapAttributes): void {
    if (this.#maps.size + this.#changing.size >= this.#settings.maxMaps)
      throw new RingbufdError('LIMIT_MAPS', `${this.#maps.size} maps exist`);
    const total = this.#ringBytes + maxEntries;
    if (total > this.#settings.maxTotalRingBytes)
      throw new RingbufdError('LIMIT_RING_BYTES', `all rings would take ${total} bytes`);
    this.#ringBytes = total;
  }

  #host(name: string, attributes: MapAttributes, incarnation: string, journal?: Journal): HostedMap {
    const map = new HostedMap(name, attributes, this.#settings, {
      ...this.#deps,
      emitTarget: (target) => this.#maps.get(target)?.intake.emitTarget(),
      deadLetterTarget: (target) => this.#maps.get(target)?.deadLetterTarget(),
      edgesOf: (other) => this.#maps.get(other)?.handlers.targets ?? [],
      targetsSettled: async (targets) => {
        await Promise.all(targets.map(async (target) => this.#maps.get(target)?.settled()));
      },
      incarnation,
      journal,
    });
    this.#maps.set(name, map);
    return map;
  }

  async #openJournal(
    name: string,
    { maxEntries, durability }: MapAttributes,
    incarnation: string,
  ): Promise<Journal | undefined> {
    if (durability === 'memory') return undefined;
    if (this.#deps.journals === undefined)
      throw new RingbufdError('DURABILITY', `durability "${durability}": this daemon keeps no journals`);
    const opening = (this.#journals ??= this.#deps.journals());
    try {
      return await (await opening).open(name, { maxEntries, durability, incarnation });
    } catch (error) {
      // A store that could not be opened is tried anew by the next map.
      opening.catch(() => (this.#journals = undefined));
      throw error;
    }
  }

  async #removeJournal(name: string, closed: Promise<void>): Promise<void> {
    await closed;
    await (await this.#journals)?.remove(name);
  }

  async #changes<T>(name: string, change: Promise<T>): Promise<T> {
    this.#changing.set(name, change);
    try {
      return await change;
    } finally {
      this.#changing.delete(name);
    }
  }

  /** Resolves when nobody is creating or deleting a map of this name. */
  async #unchanging(name: string): Promise<void> {
    for (let change = this.#changing.get(name); change !== undefined; change = this.#changing.get(name))
      await change.catch(() => undefined);
  }
}

function newIncarnation(): string {
  return randomBytes(12).toString('base64url');
}

function checkRequest(name: string, request: MapRequest): MapAttributes {
  if (!isValidName(name))
    throw new RingbufdError('BAD_NAME', `map name ${JSON.stringify(name)}: ${NAME_RULE}`);
  const {
    maxEntries,
    keySize = 0,
    valueSize = 0,
    mapFlags = 0,
    mode = 'managed',
    durability = 'memory',
    ledger = 'count',
  } = request;
  const result = checkAttributes({ maxEntries, keySize, valueSize, mapFlags });
  if (result === -Errno.E2BIG) throw new RingbufdError('MAP_TOO_BIG', `max_entries ${maxEntries}`);
  if (result !== 0)
    throw new RingbufdError(
      'BAD_MAP_SIZE',
      `max_entries ${maxEntries}, key_size ${keySize}, value_size ${valueSize}, map_flags ${mapFlags}`,
    );
  if (durability !== 'memory' && mode === 'direct')
    throw new RingbufdError('DURABILITY', `durability "${durability}" on a direct map`);
  if (mode === 'direct' && ledger !== 'count')
    throw new RingbufdError('BAD_REQUEST', `ledger "${ledger}": a direct map has no ledger`);
  return { maxEntries, mode, durability, ledger };
}
