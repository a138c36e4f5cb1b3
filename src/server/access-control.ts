import type { Clock } from './clock.js';
import { RingbufdError } from './errors.js';
import type { RequestGuard } from './request-guard.js';
import {
  bearerFromHeader,
  bearerFromSubprotocols,
  type Action,
  type AuthenticationFailure,
  type Identity,
  type TokenStore,
} from './tokens.js';

/** The headers that decide who may call. */
export interface CallerHeaders {
  host?: string | undefined;
  origin?: string | undefined;
  'sec-fetch-site'?: string | string[] | undefined;
  authorization?: string | undefined;
  'sec-websocket-protocol'?: string | undefined;
}

const failures: Record<AuthenticationFailure, string> = {
  missing: 'a token is required',
  unknown: 'the token is not known here',
  expired: 'the token has expired',
};

/** Decides for every call, REST and WebSocket alike, where it may come from and who makes it. */
export class AccessControl {
  readonly #tokens: TokenStore;
  readonly #guard: RequestGuard;
  readonly #clock: Clock;

  constructor(tokens: TokenStore, guard: RequestGuard, clock: Clock) {
    this.#tokens = tokens;
    this.#guard = guard;
    this.#clock = clock;
  }

  /** @throws RingbufdError HOST_REFUSED, ORIGIN_REFUSED */
  checkSource(headers: CallerHeaders): void {
    const fetchSite = headers['sec-fetch-site'];
    const refusal = this.#guard.check({
      host: headers.host,
      origin: headers.origin,
      secFetchSite: Array.isArray(fetchSite) ? fetchSite[0] : fetchSite,
    });
    if (refusal === undefined) return;
    throw new RingbufdError(refusal.reason === 'host' ? 'HOST_REFUSED' : 'ORIGIN_REFUSED', refusal.message);
  }

  /** @throws RingbufdError UNAUTHENTICATED */
  identify(headers: CallerHeaders): Identity {
    const token =
      bearerFromHeader(headers.authorization) ?? bearerFromSubprotocols(headers['sec-websocket-protocol']);
    const identity = this.#tokens.authenticate(token, this.#clock.wallMs());
    if (typeof identity === 'string') throw new RingbufdError('UNAUTHENTICATED', failures[identity]);
    return identity;
  }
}

/** @throws RingbufdError FORBIDDEN, naming the scope that is missing */
export function requireScope(identity: Identity, action: Action, map?: string): void {
  if (identity.may(action, map)) return;
  const scope = action === 'admin' ? 'admin' : `${action}:${map ?? '*'}`;
  throw new RingbufdError('FORBIDDEN', `token "${identity.name}" lacks the scope ${scope}`);
}
