/** What a client that asks to be a handler has to bring: docs/PROTOCOL.md §11. */
import { HANDLER_SUBPROTOCOL } from '../wire/index.js';
import { RingbufdError } from './errors.js';
import { attachPointOf, type RemoteHandler } from './handlers/remote.js';
import type { HostedMap } from './hosted-map.js';
import { isValidName, NAME_RULE } from './names.js';

/** Path of the upgrade request: map, handler. */
export const ATTACH_PATH = /^\/v1\/maps\/([^/]+)\/handlers\/([^/]+)\/attach$/;

/** A request to attach that has passed every check of its own. */
export interface HandlerAttachment {
  name: string;
  handler: RemoteHandler;
  creditBytes: number;
  /** The name that the client gave itself. */
  client: string | undefined;
}

/**
 * Checks what is special about attaching; who may do it is checked elsewhere.
 * @param protocols the request's Sec-WebSocket-Protocol header
 * @throws RingbufdError BAD_NAME, NO_HANDLER, BAD_REQUEST
 */
export function checkAttachment(
  map: HostedMap,
  name: string,
  query: URLSearchParams,
  protocols: string | undefined,
): HandlerAttachment {
  if (!isValidName(name)) throw new RingbufdError('BAD_NAME', `handler name: ${NAME_RULE}`);
  const registered = map.handlers.get(name);
  const handler = attachPointOf(registered.handler);
  if (handler === undefined)
    throw new RingbufdError(
      'BAD_REQUEST',
      `handler "${name}" is of the kind "${registered.kind}": clients attach to handlers of the kind "remote"`,
    );
  if (!offersHandlerSubprotocol(protocols))
    throw new RingbufdError('BAD_REQUEST', `offer the subprotocol ${HANDLER_SUBPROTOCOL}`);
  return { name, handler, ...parseQuery(query) };
}

function offersHandlerSubprotocol(protocols: string | undefined): boolean {
  return (protocols ?? '').split(',').some((offered) => offered.trim() === HANDLER_SUBPROTOCOL);
}

/** @throws RingbufdError BAD_REQUEST, BAD_NAME */
function parseQuery(query: URLSearchParams): Pick<HandlerAttachment, 'creditBytes' | 'client'> {
  for (const key of query.keys())
    if (key !== 'credit' && key !== 'client')
      throw new RingbufdError('BAD_REQUEST', `unknown query parameter "${key}"; there are credit and client`);
  const client = query.get('client') ?? undefined;
  if (client !== undefined && !isValidName(client))
    throw new RingbufdError('BAD_NAME', `client: ${NAME_RULE}`);
  const credit = query.get('credit') ?? '0';
  const creditBytes = Number(credit);
  if (!/^\d{1,10}$/.test(credit) || creditBytes >= 2 ** 32)
    throw new RingbufdError(
      'BAD_REQUEST',
      `credit is a number of bytes from 0 to 4294967295, not "${credit}"`,
    );
  return { creditBytes, client };
}
