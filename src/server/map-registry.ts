import type { Logger } from 'pino';
import { checkAttributes, Errno, type RingMode } from '../ring/index.js';
import type { Clock } from './clock.js';
import { RingbufdError } from './errors.js';
import { HostedMap, type MapAttributes, type MapObserver, type MapSettings } from './hosted-map.js';
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
  durability?: string;
  ledger?: LedgerMode;
}

/** The maps by name. */
export class MapRegistry {
  readonly #maps = new Map<string, HostedMap>();
  readonly #settings: RegistrySettings;
  readonly #deps: { clock: Clock; logger: Logger; observer: MapObserver };
  #ringBytes = 0;

  constructor(settings: RegistrySettings, deps: { clock: Clock; logger: Logger; observer: MapObserver }) {
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
   * Creates a map; the same again is no error.
   * @returns the map, and whether it is new
   * @throws RingbufdError BAD_NAME, BAD_MAP_SIZE, MAP_TOO_BIG, DURABILITY, MAP_EXISTS, LIMIT_MAPS, LIMIT_RING_BYTES, BAD_REQUEST
   */
  create(name: string, request: MapRequest): { map: HostedMap; created: boolean } {
    const attributes = checkRequest(name, request);
    const existing = this.#maps.get(name);
    if (existing !== undefined) {
      const { maxEntries, mode, durability, ledger } = existing.attributes;
      if (
        maxEntries === attributes.maxEntries &&
        mode === attributes.mode &&
        durability === attributes.durability &&
        ledger === attributes.ledger
      )
        return { map: existing, created: false };
      throw new RingbufdError(
        'MAP_EXISTS',
        `map "${name}" has max_entries ${maxEntries}, mode ${mode}, durability ${durability}, ledger ${ledger}`,
      );
    }
    if (this.#maps.size >= this.#settings.maxMaps)
      throw new RingbufdError('LIMIT_MAPS', `${this.#maps.size} maps exist`);
    const total = this.#ringBytes + attributes.maxEntries;
    if (total > this.#settings.maxTotalRingBytes)
      throw new RingbufdError('LIMIT_RING_BYTES', `all rings would take ${total} bytes`);
    const map = new HostedMap(name, attributes, this.#settings, {
      ...this.#deps,
      emitTarget: (target) => this.#maps.get(target)?.intake.emitTarget(),
      deadLetterTarget: (target) => this.#maps.get(target)?.deadLetterTarget(),
      edgesOf: (other) => this.#maps.get(other)?.handlers.targets ?? [],
    });
    this.#maps.set(name, map);
    this.#ringBytes = total;
    return { map, created: true };
  }

  /** @throws RingbufdError NO_MAP, MAP_BUSY */
  async delete(name: string): Promise<void> {
    const map = this.get(name);
    const closed = map.close('NO_MAP');
    // Only now that it was not refused, and before anybody else gets a turn: a map that is going is found by nobody.
    if (map.closed && this.#maps.delete(name)) this.#ringBytes -= map.attributes.maxEntries;
    await closed;
  }
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
  if (durability !== 'memory')
    throw new RingbufdError(
      'DURABILITY',
      `durability "${durability}": there is no journal yet, only "memory"`,
    );
  if (mode === 'direct' && ledger !== 'count')
    throw new RingbufdError('BAD_REQUEST', `ledger "${ledger}": a direct map has no ledger`);
  return { maxEntries, mode, durability, ledger };
}
