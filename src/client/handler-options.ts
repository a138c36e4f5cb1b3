import { HANDLER_SUBPROTOCOL } from '../wire/index.js';
import { openWebSocket } from '#websocket';
import { systemClock, type Clock } from './clock.js';
import type { OnBatch } from './handler-delivery.js';
import {
  checkedName,
  count,
  endpointUrl,
  reconnectOptions,
  subprotocolsOf,
  type DaemonAddress,
} from './options.js';
import type { ReconnectOptions } from './reconnect.js';
import type { OpenWebSocket } from './socket.js';

/** Which handler to attach to, as whom, and how much it takes at a time. */
export interface HandleOptions extends DaemonAddress {
  /** Name of the map. */
  map: string;
  /** Name of a handler of the kind `remote` on that map. */
  handler: string;
  onBatch: OnBatch;
  /** How operators see this client. Absent: the daemon numbers it. Need not be unique. */
  client?: string;
  /** Bearer token; it needs the scope `drain:` for this map. */
  token?: string;
  /** Largest delivery that this client takes, in bytes. Default 4 MiB. 0 is refused: it would never get any. */
  creditBytes?: number;
  /** `false`: the first disconnect is the end. */
  reconnect?: false | ReconnectOptions;
  /** Milliseconds from the first packet to being attached, for each attempt. Default 10000. */
  connectTimeoutMs?: number;
  /** A daemon that is silent for up to twice this time, in milliseconds, is given up. Default 30000. 0 = off. */
  keepaliveMs?: number;
  /** Ends the attaching with the signal's reason; after that, the same as `close()`. */
  signal?: AbortSignal;
  /** For tests: time and chance. */
  clock?: Clock;
  /** For tests and unusual platforms: how a WebSocket is opened. */
  openWebSocket?: OpenWebSocket;
}

/** The options with every default filled in, and the address made. */
export interface ResolvedHandleOptions {
  readonly url: string;
  readonly subprotocols: readonly string[];
  readonly onBatch: OnBatch;
  readonly creditBytes: number;
  readonly reconnect: Required<ReconnectOptions> | undefined;
  readonly connectTimeoutMs: number;
  readonly keepaliveMs: number;
  readonly clock: Clock;
  readonly openWebSocket: OpenWebSocket;
}

/** @throws RingbufError EINVAL, naming the option */
export function resolveHandleOptions(options: HandleOptions): ResolvedHandleOptions {
  const creditBytes = count('creditBytes', options.creditBytes ?? 4 * 2 ** 20, 1);
  const handler = checkedName('handler', options.handler);
  const query = new URLSearchParams({ credit: String(creditBytes) });
  if (options.client !== undefined) query.set('client', checkedName('client', options.client));
  return {
    url: endpointUrl(options, `/handlers/${handler}/attach`, query),
    subprotocols: subprotocolsOf(HANDLER_SUBPROTOCOL, options.token),
    onBatch: options.onBatch,
    creditBytes,
    reconnect: reconnectOptions(options.reconnect),
    connectTimeoutMs: count('connectTimeoutMs', options.connectTimeoutMs ?? 10_000, 1),
    keepaliveMs: count('keepaliveMs', options.keepaliveMs ?? 30_000),
    clock: options.clock ?? systemClock,
    openWebSocket: options.openWebSocket ?? openWebSocket,
  };
}
