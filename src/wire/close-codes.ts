/**
 * WebSocket close codes of the daemon. The range is the retry policy: 4000-4499 = a reconnect may help,
 * 4500-4999 = it will not. 1000-1999 are RFC 6455's.
 */
export const CloseCode = {
  /** The client reads too slowly: its queue passed the byte limit. */
  SLOW_CLIENT: 4408,
  /** The daemon is shutting down. */
  DRAINING: 4412,
  /** Too many connections, or too many requests. */
  TOO_MANY: 4429,
  /** No token, or one that is unknown or expired. */
  UNAUTHENTICATED: 4501,
  /** The token, the Origin or the Host may not do this. */
  FORBIDDEN: 4503,
  /** No map of that name, or it was deleted. */
  NO_MAP: 4504,
  /** A frame that cannot be read, or a sequence that cannot go on. */
  PROTOCOL_ERROR: 4505,
  /** A newer connection of the same producer id took over. */
  REPLACED: 4506,
  /** An operator disconnected this producer. */
  DISCONNECTED: 4507,
  /** A direct map has one producer, and another one is connected. */
  DIRECT_TAKEN: 4509,
} as const;
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];
// Retired codes, never to be used again: none yet.

/** RFC 6455 §7.4.1 codes after which trying again is pointless: the endpoint itself refused what was sent. */
const FINAL_RFC_CODES = new Set([1002, 1003, 1007, 1008, 1009, 1010]);

/** Whether a client may reconnect after this close code. */
export function mayReconnect(code: number): boolean {
  if (code >= 4000) return code < 4500;
  return code !== 1000 && !FINAL_RFC_CODES.has(code);
}
