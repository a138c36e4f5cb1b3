import { BEARER_SUBPROTOCOL_PREFIX, encodeBase64, Subprotocol } from '../wire/index.js';
import { openWebSocket } from '#websocket';
import { systemClock, type Clock } from './clock.js';
import { daemonFor, daemonUrl } from './daemon-list.js';
import { RingbufError } from './errors.js';
import type { WhenFull } from './output-call.js';
import { defaultReconnect, type ReconnectOptions } from './reconnect.js';
import type { OpenWebSocket } from './socket.js';

/** Where the daemon is. */
export interface DaemonAddress {
  /** Base address of the daemon: ws:, wss:, http: or https:, with the path prefix of a proxy if there is one. */
  url?: string | URL;
  /**
   * Instead of `url`: the base addresses of several daemons, over which maps are spread. The map's name says which one has
   * it: see `daemonFor`.
   */
  urls?: readonly (string | URL)[];
  /** Instead of `url`: host name or address. Default 127.0.0.1. */
  host?: string;
  /** Instead of `url`. Default 7890. */
  port?: number;
  /** Instead of `url`: whether to use TLS. Default false. */
  secure?: boolean;
}

/** Where to connect, as whom, and how much may wait. Every limit is in the unit that its name ends with. */
export interface ConnectOptions extends DaemonAddress {
  /** Name of the map. */
  map: string;
  /**
   * Stable identity of this producer on that map. With one, outputs are stored exactly once over any number of
   * reconnects, as long as the daemon keeps its content. Without one, outputs in flight at a disconnect fail with
   * `OUTCOME_UNKNOWN`.
   */
  producer?: string;
  /** Bearer token. */
  token?: string;
  /**
   * What the daemon does with an OUTPUT that does not fit: `reject` (default) answers ENOSPC at once, `block` stops
   * reading from this connection until there is room, RESERVE and QUERY included.
   */
  onFull?: 'reject' | 'block';
  /**
   * What `output` does after ENOSPC: `wait` (default) for a wakeup and send the rest, or `fail` with ENOSPC and the
   * number of samples that were stored.
   */
  whenFull?: WhenFull;
  /** `false`: the first disconnect is the end. */
  reconnect?: false | ReconnectOptions;
  /** Bytes sent and not acknowledged; above it, outputs wait. Default 4 MiB. 0 = one frame at a time. */
  maxUnackedBytes?: number;
  /**
   * Bytes of outputs that this producer holds, waiting ones included; an output above it is refused with EAGAIN
   * (`QUEUE_FULL`), except one that finds nothing waiting. Default 64 MiB. 0 = an output is refused unless it is alone.
   */
  maxQueuedBytes?: number;
  /** Requests other than outputs that may wait for their answers; above it they are refused with EAGAIN. Default 4096. */
  maxPendingRequests?: number;
  /** Milliseconds from the first packet to WELCOME, for each attempt. Default 10000. */
  connectTimeoutMs?: number;
  /**
   * A connection on which the daemon owes an answer and says nothing for so long, in milliseconds, is given up (after
   * up to twice this time). Default 60000. 0 = off; always off with `onFull: 'block'`, where silence is the rule.
   */
  replyTimeoutMs?: number;
  /**
   * Milliseconds between looks at the daemon's positions while an output waits for room or `drained` waits: drains with
   * BPF_RB_NO_WAKEUP wake nobody. The daemon's own advice goes before it. Default 1000. 0 = rely on wakeups alone.
   */
  fallbackQueryMs?: number;
  /** Ends the connecting with the signal's reason. It has no effect after that. */
  signal?: AbortSignal;
  /** For tests: time and chance. */
  clock?: Clock;
  /** For tests and unusual platforms: how a WebSocket is opened. */
  openWebSocket?: OpenWebSocket;
}

/** The options with every default filled in, and the address made. */
export interface ResolvedOptions {
  readonly url: string;
  readonly subprotocols: readonly string[];
  readonly map: string;
  readonly anonymous: boolean;
  readonly whenFull: WhenFull;
  readonly reconnect: Required<ReconnectOptions> | undefined;
  readonly maxUnackedBytes: number;
  readonly maxQueuedBytes: number;
  readonly maxPendingRequests: number;
  readonly connectTimeoutMs: number;
  readonly replyTimeoutMs: number;
  readonly fallbackQueryMs: number;
  readonly clock: Clock;
  readonly openWebSocket: OpenWebSocket;
}

const NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/;

/** @throws RingbufError EINVAL, naming the option */
export function resolveOptions(options: ConnectOptions): ResolvedOptions {
  const onFull = choice('onFull', options.onFull ?? 'reject', ['reject', 'block']);
  return {
    url: produceUrl(options, onFull),
    subprotocols: subprotocolsOf(Subprotocol.BINARY, options.token),
    map: options.map,
    anonymous: options.producer === undefined,
    whenFull: choice('whenFull', options.whenFull ?? 'wait', ['wait', 'fail']),
    reconnect: reconnectOptions(options.reconnect),
    maxUnackedBytes: count('maxUnackedBytes', options.maxUnackedBytes ?? 4 * 2 ** 20),
    maxQueuedBytes: count('maxQueuedBytes', options.maxQueuedBytes ?? 64 * 2 ** 20),
    maxPendingRequests: count('maxPendingRequests', options.maxPendingRequests ?? 4096, 1),
    connectTimeoutMs: count('connectTimeoutMs', options.connectTimeoutMs ?? 10_000, 1),
    replyTimeoutMs: onFull === 'block' ? 0 : count('replyTimeoutMs', options.replyTimeoutMs ?? 60_000),
    fallbackQueryMs: count('fallbackQueryMs', options.fallbackQueryMs ?? 1_000),
    clock: options.clock ?? systemClock,
    openWebSocket: options.openWebSocket ?? openWebSocket,
  };
}

function produceUrl(options: ConnectOptions, onFull: string): string {
  const query = new URLSearchParams({ on_full: onFull });
  if (options.producer !== undefined) query.set('producer', checkedName('producer', options.producer));
  return endpointUrl(options, '/produce', query);
}

/** @throws RingbufError EINVAL unless `value` is a name */
export function checkedName(option: string, value: string | undefined): string {
  if (value === undefined) throw bad(`${option}: a name is needed`);
  if (!NAME.test(value))
    throw bad(`${option}: "${value}" is not a name ([A-Za-z0-9._-], 1 to 64 characters)`);
  return value;
}

/**
 * The WebSocket address of a path of a map, on the daemon that has it, behind the path prefix of a proxy if there is one.
 * @param path below that of the map
 * @throws RingbufError EINVAL for an address that is none, for a map that has no name, for two ways to say where
 */
export function endpointUrl(
  options: DaemonAddress & { map: string },
  path: string,
  query: URLSearchParams,
): string {
  const { url, urls, host = '127.0.0.1', port = 7890, secure = false } = options;
  const map = checkedName('map', options.map);
  if (url !== undefined && urls !== undefined) throw bad('urls: not beside url');
  const base =
    urls === undefined ? (url ?? `${secure ? 'wss' : 'ws'}://${host}:${port}`) : daemonFor(map, urls);
  return `${daemonUrl(base)}/v1/maps/${map}${path}?${query.toString()}`;
}

/** A browser cannot set headers on a WebSocket, so the token travels as a subprotocol, everywhere alike. */
export function subprotocolsOf(subprotocol: string, token: string | undefined): readonly string[] {
  if (token === undefined) return [subprotocol];
  const base64 = encodeBase64(new TextEncoder().encode(token));
  const base64url = base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
  return [subprotocol, BEARER_SUBPROTOCOL_PREFIX + base64url];
}

/** @throws RingbufError EINVAL, naming the option */
export function reconnectOptions(
  options: false | ReconnectOptions | undefined,
): ResolvedOptions['reconnect'] {
  if (options === false) return undefined;
  const resolved = { ...defaultReconnect, ...options };
  for (const [name, value] of Object.entries(resolved)) count(`reconnect.${name}`, value);
  return resolved;
}

/** @throws RingbufError EINVAL unless `value` is a whole number from `least` on */
export function count(name: string, value: number, least = 0): number {
  if (!Number.isSafeInteger(value) || value < least)
    throw bad(`${name}: ${value} is not a whole number from ${least} on`);
  return value;
}

function choice<Choice extends string>(name: string, value: string, choices: readonly Choice[]): Choice {
  const known = choices.find((one) => one === value);
  if (known === undefined) throw bad(`${name}: "${value}" is none of ${choices.join(', ')}`);
  return known;
}

function bad(message: string): RingbufError {
  return new RingbufError('EINVAL', 'BAD_ARGUMENT', message);
}
