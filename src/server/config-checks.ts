/** Rules that concern more than one key. Each runs on what is sound so far, so that all problems come out at once. */
import { isLoopbackHost, isWildcardHost, parseListen } from './config-listen.js';
import { joinPath, type ConfigProblem } from './config-problem.js';
import type { Config, HandlerConfig, MapConfig } from './config-schema.js';
import { neverFires } from './trigger.js';

/** A configuration with all defaults filled in, parts of which may be of the wrong shape. */
export interface Draft {
  /** To be read only where {@link isSound} says so. */
  config: Config;
  /** Whether neither this key nor a parent of it has a problem. */
  isSound: (path: string) => boolean;
}

/** Everything that is wrong between keys. */
export function crossProblems(draft: Draft): ConfigProblem[] {
  return [
    ...unprotectedListen(draft),
    ...backoffOrder(draft),
    ...duplicates(draft, 'tokens', 'name'),
    ...duplicates(draft, 'tokens', 'sha256'),
    ...duplicates(draft, 'maps', 'name'),
    ...mapLimits(draft),
    ...directDurability(draft),
    ...items<MapConfig>(draft, 'maps').flatMap(({ item, path }) => handlerProblems(draft, item, path)),
  ];
}

/**
 * What is allowed but hardly meant, in a configuration without problems.
 * @param nowMs wall clock, ms since 1970
 */
export function configWarnings(config: Config, nowMs: number): ConfigProblem[] {
  const warnings: ConfigProblem[] = [];
  config.tokens.forEach(({ expires }, i) => {
    if (expires !== undefined && Date.parse(expires) <= nowMs)
      warnings.push({ path: `tokens[${i}].expires`, message: `the token has expired (${expires})` });
  });
  const host = parseListen(config.listen)?.host ?? '';
  const open = config.tokens.length === 0;
  if (open && !isLoopbackHost(host))
    warnings.push({
      path: 'insecure',
      message: `everybody who can reach ${config.listen} may do everything: there are no tokens`,
    });
  if (isWildcardHost(host) && config.allowed_hosts.length === 0)
    warnings.push({
      path: 'allowed_hosts',
      message: `is empty, so with listen ${config.listen} only requests to localhost are answered; list the names or addresses that clients use`,
    });
  if (open && config.trust_proxy)
    warnings.push({
      path: 'trust_proxy',
      message: 'everybody whom the proxy lets through may do everything: there are no tokens',
    });
  return warnings;
}

function unprotectedListen({ config, isSound }: Draft): ConfigProblem[] {
  if (!isSound('listen') || !isSound('tokens') || !isSound('insecure')) return [];
  const host = parseListen(config.listen)?.host;
  if (host === undefined || isLoopbackHost(host) || config.tokens.length > 0 || config.insecure) return [];
  return [
    {
      path: 'listen',
      message:
        `${config.listen} can be reached from other machines, and no tokens are configured. ` +
        'Add one under "tokens" (make it with: ringbufd token --scope admin), or listen on 127.0.0.1, ' +
        'or, if the network itself keeps strangers out, set insecure: true (--insecure)',
    },
  ];
}

function backoffOrder({ config, isSound }: Draft): ConfigProblem[] {
  if (!isSound('drain.backoff_min_ms') || !isSound('drain.backoff_max_ms')) return [];
  const { backoff_min_ms: min, backoff_max_ms: max } = config.drain;
  if (min <= max) return [];
  return [{ path: 'drain.backoff_min_ms', message: `${min} is more than drain.backoff_max_ms (${max})` }];
}

function mapLimits(draft: Draft): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const { limits } = draft.config;
  const maps = items<MapConfig>(draft, 'maps');
  if (draft.isSound('limits.max_maps') && maps.length > limits.max_maps)
    problems.push({
      path: 'maps',
      message: `holds ${maps.length} maps, more than limits.max_maps (${limits.max_maps})`,
    });
  const bytes = maps
    .filter(({ path }) => draft.isSound(`${path}.max_entries`))
    .reduce((sum, { item }) => sum + item.max_entries, 0);
  if (draft.isSound('limits.max_total_ring_bytes') && bytes > limits.max_total_ring_bytes)
    problems.push({
      path: 'maps',
      message: `the rings take ${bytes} bytes together, more than limits.max_total_ring_bytes (${limits.max_total_ring_bytes})`,
    });
  return problems;
}

/** A direct map's producer has raw powers over its ring: nobody could say what of it was durable. */
function directDurability(draft: Draft): ConfigProblem[] {
  return items<MapConfig>(draft, 'maps').flatMap(({ item, path }) => {
    if (!draft.isSound(`${path}.mode`) || !draft.isSound(`${path}.durability`)) return [];
    if (item.mode !== 'direct' || item.durability === 'memory') return [];
    const message = `${item.durability} is for managed maps: a direct map is memory`;
    return [{ path: `${path}.durability`, message }];
  });
}

function handlerProblems(draft: Draft, map: MapConfig, mapPath: string): ConfigProblem[] {
  const path = `${mapPath}.handlers`;
  const handlers = items<HandlerConfig>(draft, path, map.handlers);
  const problems = duplicates(draft, path, 'name', map.handlers);
  const max = draft.config.limits.max_handlers_per_map;
  if (draft.isSound('limits.max_handlers_per_map') && handlers.length > max)
    problems.push({
      path,
      message: `holds ${handlers.length} handlers, more than limits.max_handlers_per_map (${max})`,
    });
  let automatic: string | undefined;
  for (const { item, path: handlerPath } of handlers) {
    const at = `${handlerPath}.trigger`;
    if (!draft.isSound(at) || !draft.isSound(`${at}.mode`) || item.trigger.mode !== 'auto') continue;
    if (automatic !== undefined)
      problems.push({
        path: at,
        message: `a map has at most one handler with an auto trigger, and ${automatic} has one: use mode: manual here`,
      });
    automatic ??= handlerPath;
    const sized = draft.isSound(`${mapPath}.max_entries`) && draft.isSound(`${at}.min_bytes`);
    if (sized && draft.isSound(`${at}.max_delay_ms`) && neverFires(item.trigger, map.max_entries))
      problems.push({
        path: `${at}.min_bytes`,
        message: `${item.trigger.min_bytes} is more than the ring holds (${map.max_entries}), so the handler would never drain: lower it or set max_delay_ms`,
      });
  }
  return problems;
}

interface Item<T> {
  item: T;
  path: string;
}

/** The items of a list that are mappings at least, with their key paths. */
function items<T>(draft: Draft, path: string, list: unknown = topLevel(draft, path)): Item<T>[] {
  if (!draft.isSound(path) || !Array.isArray(list)) return [];
  return (list as T[])
    .map((item, i) => ({ item, path: joinPath(path, i) }))
    .filter((entry) => draft.isSound(entry.path));
}

function topLevel(draft: Draft, path: string): unknown {
  return (draft.config as Readonly<Record<string, unknown>>)[path];
}

/** A problem for every item whose `key` was already used by an item before it. */
function duplicates(draft: Draft, path: string, key: string, list?: unknown): ConfigProblem[] {
  const first = new Map<string, string>();
  const problems: ConfigProblem[] = [];
  for (const { item, path: itemPath } of items<Record<string, unknown>>(draft, path, list)) {
    const at = joinPath(itemPath, key);
    if (!draft.isSound(at)) continue;
    // Hexadecimal digits mean the same in both cases; names do not.
    const value = key === 'sha256' ? String(item[key]).toLowerCase() : String(item[key]);
    const before = first.get(value);
    if (before === undefined) first.set(value, at);
    else problems.push({ path: at, message: `"${value}" is already used by ${before}` });
  }
  return problems;
}
