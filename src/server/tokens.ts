import { createHash, timingSafeEqual } from 'node:crypto';
import { BEARER_SUBPROTOCOL_PREFIX } from '../wire/index.js';
import type { TokenConfig } from './config-schema.js';

/** What a token may do. `admin` implies the others. */
export type Action = 'admin' | 'produce' | 'drain' | 'read';

/** Who calls. */
export interface Identity {
  /** Name of the token, or `anonymous`. */
  readonly name: string;
  /**
   * Whether this caller may do something.
   * @param map the map that it concerns; without it the answer is about all maps (as for metrics)
   */
  may(action: Action, map?: string): boolean;
}

/** Why a caller is not let in. */
export type AuthenticationFailure = 'missing' | 'unknown' | 'expired';

/** The caller when no tokens are configured. */
export const ANONYMOUS: Identity = Object.freeze({ name: 'anonymous', may: () => true });

interface StoredToken {
  hash: Buffer;
  /** Ms since 1970; Infinity = never. */
  expiresMs: number;
  identity: Identity;
}

/** The tokens of the configuration. Only their SHA-256 is held. */
export class TokenStore {
  readonly #tokens: readonly StoredToken[];

  constructor(tokens: readonly TokenConfig[]) {
    this.#tokens = tokens.map(({ name, sha256, scopes, expires }) => ({
      hash: Buffer.from(sha256, 'hex'),
      expiresMs: expires === undefined ? Infinity : Date.parse(expires),
      identity: identityOf(name, scopes),
    }));
  }

  /** Whether callers need a token at all. */
  get required(): boolean {
    return this.#tokens.length > 0;
  }

  /**
   * Tells who presents this token.
   * @param token as read from the request; `undefined` when it carried none
   * @param nowMs wall clock, ms since 1970
   */
  authenticate(token: string | undefined, nowMs: number): Identity | AuthenticationFailure {
    if (!this.required) return ANONYMOUS;
    if (token === undefined) return 'missing';
    const hash = createHash('sha256').update(token, 'utf8').digest();
    let found: StoredToken | undefined;
    // Every token is compared, in constant time each: the time taken tells nothing about which one matched.
    for (const stored of this.#tokens) if (timingSafeEqual(stored.hash, hash)) found = stored;
    if (found === undefined) return 'unknown';
    return nowMs >= found.expiresMs ? 'expired' : found.identity;
  }
}

/** SHA-256 of a token in hexadecimal digits, as it stands in the configuration. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex');
}

/** The token of an Authorization header (`Bearer TOKEN`); `undefined` when there is none of that kind. */
export function bearerFromHeader(header: string | undefined): string | undefined {
  return /^bearer +(\S+) *$/i.exec(header ?? '')?.[1];
}

/**
 * The token that a browser offers in Sec-WebSocket-Protocol as `bearer.<base64url of the token>`; `undefined` when none
 * is offered. One that is not base64url yields the empty token, which nobody has.
 */
export function bearerFromSubprotocols(header: string | undefined): string | undefined {
  const offer = (header ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .find((entry) => entry.startsWith(BEARER_SUBPROTOCOL_PREFIX));
  if (offer === undefined) return undefined;
  const encoded = offer.slice(BEARER_SUBPROTOCOL_PREFIX.length);
  return /^[A-Za-z0-9_-]+$/.test(encoded) ? Buffer.from(encoded, 'base64url').toString('utf8') : '';
}

/** Whether a glob matches a whole name: `*` stands for any characters, `?` for one. Takes |glob| x |name| steps at most. */
export function matchesGlob(glob: string, name: string): boolean {
  let g = 0;
  let n = 0;
  let star = -1;
  let resume = 0;
  while (n < name.length) {
    if (glob[g] === '*') {
      star = g++;
      resume = n;
    } else if (g < glob.length && (glob[g] === '?' || glob[g] === name[n])) {
      g++;
      n++;
    } else if (star >= 0) {
      // The last star takes one more character. Earlier stars need no second try.
      g = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (glob[g] === '*') g++;
  return g === glob.length;
}

function identityOf(name: string, scopes: readonly string[]): Identity {
  const admin = scopes.includes('admin');
  const globs = scopes.map((scope) => {
    const [action, glob] = scope.split(':');
    return { action, glob: glob ?? '' };
  });
  const may = (action: Action, map?: string): boolean => {
    if (admin) return true;
    const own = globs.filter((scope) => scope.action === action && action !== 'admin');
    if (map === undefined) return own.some(({ glob }) => /^\*+$/.test(glob));
    return own.some(({ glob }) => matchesGlob(glob, map));
  };
  return Object.freeze({ name, may });
}
