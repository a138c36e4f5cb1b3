import { resolve } from 'node:path';
import { pino } from 'pino';
import { systemClock } from './clock.js';
import type { Config, ConfigProblem, HandlerConfig, MapConfig } from './config.js';
import { RingbufdError } from './errors.js';
import { HandlerTable, type HandlerSpec } from './handler-table.js';
import type { HostedMap } from './hosted-map.js';
import type { MapRegistry } from './map-registry.js';

/**
 * Creates a map that the configuration declares, with its handlers.
 * @throws RingbufdError when the map or a handler is refused
 */
export async function declareMap(maps: MapRegistry, declared: MapConfig): Promise<HostedMap> {
  const { map } = await maps.open(declared.name, {
    maxEntries: declared.max_entries,
    mode: declared.mode,
    durability: declared.durability,
    ledger: declared.ledger,
  });
  for (const handler of declared.handlers) await map.putHandler(handler.name, specOf(handler));
  return map;
}

/**
 * Tries the declared handlers out without starting anything: what the schema cannot say, since each kind checks its own
 * configuration, and samples must not go round between the maps.
 */
export async function checkDeclaredHandlers(config: Config): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  const tables = new Map<string, HandlerTable>();
  for (const [mapIndex, declared] of config.maps.entries()) {
    const table = new HandlerTable({
      map: declared.name,
      mode: declared.mode,
      dataDir: resolve(config.data_dir),
      handlersDir: config.handlers_dir === '' ? undefined : resolve(config.handlers_dir),
      webhooks: config.webhooks,
      logger: pino({ level: 'silent' }),
      clock: systemClock,
      edgesOf: (map) => tables.get(map)?.targets ?? [],
      onReady: () => undefined,
      maxHandlers: config.limits.max_handlers_per_map,
      maxDiskBytes: config.limits.max_file_bytes_per_map,
      endDrain: () => Promise.resolve(),
    });
    tables.set(declared.name, table);
    for (const [index, handler] of declared.handlers.entries()) {
      const { name } = handler;
      try {
        await table.put(name, specOf(handler));
      } catch (error) {
        if (!(error instanceof RingbufdError)) throw error;
        problems.push({ path: `maps[${mapIndex}].handlers[${index}]`, message: `${name}: ${error.detail}` });
      }
    }
    await table.close();
  }
  return problems;
}

/** What a handler is registered with, from what is declared of it. */
export function specOf({
  kind,
  config,
  trigger,
  on_error: onError,
  enabled,
  shadow,
}: HandlerConfig): HandlerSpec {
  return { kind, config, trigger, onError, enabled, shadow };
}
