import { isIPv4, isIPv6 } from 'node:net';

/** A host with an optional port, as in a Host header or an allow-list. */
export interface Authority {
  /** Lower case, without brackets and without a final dot; an IPv6 address in its canonical form. */
  host: string;
  port?: number;
}

/** Where the daemon listens. */
export interface ListenAddress {
  /** As the operating system wants it: an IPv6 address has no brackets. */
  host: string;
  /** 0 = any free port. */
  port: number;
}

export const LISTEN_RULE =
  'host:port such as 127.0.0.1:7890, or [::1]:7890 for IPv6, with a port from 0 to 65535 (0 = any free port)';

const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** Reads `host`, `host:port`, `[v6]` or `[v6]:port`; `undefined` for anything else (user names, paths, white space). */
export function parseAuthority(text: string): Authority | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^[\]:@/\\?#\s]+?)\.?)(?::(\d{1,5}))?$/i.exec(text);
  if (match === null) return undefined;
  const [, v6, name, portText] = match;
  const host = v6 === undefined ? hostName(name as string) : canonicalV6(v6);
  if (host === undefined) return undefined;
  if (portText === undefined) return { host };
  const port = Number(portText);
  return port <= 65535 ? { host, port } : undefined;
}

/** Reads the `listen` key; `undefined` when it does not follow {@link LISTEN_RULE}. */
export function parseListen(text: string): ListenAddress | undefined {
  const authority = parseAuthority(text);
  if (authority?.port === undefined) return undefined;
  return { host: authority.host, port: authority.port };
}

/** Writes a host as it stands in a URL: an IPv6 address in brackets. */
export function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Whether only this machine can reach a socket bound to this host (no brackets). */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Whether this host means every address of the machine. */
export function isWildcardHost(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function hostName(text: string): string | undefined {
  const name = text.toLowerCase();
  // Digits and dots alone are an address or a mistake: resolvers read "127.1" and "2130706433" as addresses too.
  if (/^[\d.]+$/.test(name)) return isIPv4(name) ? name : undefined;
  return HOST_NAME.test(name) ? name : undefined;
}

function canonicalV6(text: string): string | undefined {
  return isIPv6(text) ? new URL(`http://[${text}]/`).hostname.slice(1, -1) : undefined;
}
