import { isLoopbackHost, isWildcardHost, parseAuthority, type Authority } from './config-listen.js';
import type { Config } from './config-schema.js';

/** The request headers that the guard reads. */
export interface GuardedHeaders {
  host?: string | undefined;
  origin?: string | undefined;
  secFetchSite?: string | undefined;
}

/** Why a request is refused, with a message for whoever runs the daemon. */
export interface GuardRefusal {
  reason: 'host' | 'origin';
  message: string;
}

/**
 * Keeps out web pages that the daemon does not know. The Host allow-list stops DNS rebinding (a foreign name that
 * resolves to this machine); the Origin allow-list stops a page on another origin, on the same machine too.
 */
export class RequestGuard {
  readonly #hosts: readonly Authority[];
  readonly #origins: ReadonlySet<string>;
  readonly #listenHosts: () => readonly string[];

  /**
   * @param listenHosts the hosts listened on, as configured or as bound (no brackets); a wildcard address adds nothing
   */
  constructor(
    config: Pick<Config, 'allowed_hosts' | 'allowed_origins'>,
    listenHosts: () => readonly string[],
  ) {
    this.#hosts = config.allowed_hosts.map(parseAuthority).filter((entry) => entry !== undefined);
    this.#origins = new Set(config.allowed_origins.map((origin) => new URL(origin).origin));
    this.#listenHosts = listenHosts;
  }

  /** `undefined` when the request may go on to authentication. */
  check({ host, origin, secFetchSite }: GuardedHeaders): GuardRefusal | undefined {
    const authority = host === undefined ? undefined : parseAuthority(host);
    if (authority === undefined)
      return { reason: 'host', message: 'the request has no Host header, or one that is no host' };
    if (!this.#isAllowedHost(authority))
      return {
        reason: 'host',
        message: `the host ${authority.host} is not one of this daemon; if it should be, add it to allowed_hosts`,
      };
    if (origin !== undefined) return this.#checkOrigin(origin, authority);
    // Browsers leave Origin out of some requests (images, links) but still say that another site caused them.
    if (secFetchSite?.trim().toLowerCase() === 'cross-site')
      return { reason: 'origin', message: 'the request was caused by a web page of another site' };
    return undefined;
  }

  #isAllowedHost({ host, port }: Authority): boolean {
    if (isLoopbackHost(host)) return true;
    const listed = this.#hosts.some(
      (entry) =>
        entry.host === host &&
        // A Host header without a port stands for the scheme's own, and a proxy may have ended TLS.
        (entry.port === undefined ||
          (port === undefined ? entry.port === 80 || entry.port === 443 : entry.port === port)),
    );
    if (listed || isWildcardHost(host)) return listed;
    return this.#listenHosts().some(
      (name) => parseAuthority(name.includes(':') ? `[${name}]` : name)?.host === host,
    );
  }

  #checkOrigin(text: string, host: Authority): GuardRefusal | undefined {
    const origin = httpOrigin(text);
    if (origin !== undefined && (isSameOrigin(origin, host) || this.#origins.has(origin.origin)))
      return undefined;
    return {
      reason: 'origin',
      message: `web pages of the origin ${JSON.stringify(text.slice(0, 200))} may not call this daemon; if they should, add it to allowed_origins`,
    };
  }
}

/** An http or https origin and nothing more; `undefined` for "null", other schemes, paths and user names. */
function httpOrigin(text: string): URL | undefined {
  if (!/^https?:\/\/[^/?#@\\\s]+$/i.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text);
}

function isSameOrigin(origin: URL, host: Authority): boolean {
  const standardPort = origin.protocol === 'https:' ? 443 : 80;
  const name = parseAuthority(origin.hostname)?.host;
  const port = origin.port === '' ? standardPort : Number(origin.port);
  return name === host.host && port === (host.port ?? standardPort);
}
