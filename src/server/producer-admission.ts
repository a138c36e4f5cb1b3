/** What a client that asks to produce has to bring: docs/PROTOCOL.md §1. */
import { Subprotocol } from '../wire/index.js';
import { RingbufdError } from './errors.js';
import type { HostedMap } from './hosted-map.js';
import { isValidName, NAME_RULE } from './names.js';
import type { WhenFull } from './producer-session.js';

/** A request to produce that has passed every check of its own. */
export interface Production {
  /** The producer id; absent: anonymous. */
  producer: string | undefined;
  whenFull: WhenFull;
  subprotocol: Subprotocol;
}

/**
 * Checks what is special about producing; who may do it is checked elsewhere.
 * @param protocols the request's Sec-WebSocket-Protocol header
 * @throws RingbufdError BAD_REQUEST, BAD_NAME, NOT_ALLOWED_HERE, DIRECT_TAKEN, JOURNAL_FULL, JOURNAL_FAILED
 */
export function checkProduction(
  map: HostedMap,
  query: URLSearchParams,
  protocols: string | undefined,
): Production {
  const { producer, whenFull } = parseQuery(query);
  const subprotocol = requireSubprotocol(protocols);
  if (map.attributes.mode === 'direct' && subprotocol === Subprotocol.PLAIN)
    throw new RingbufdError(
      'NOT_ALLOWED_HERE',
      'plain mode on a direct map: use ringbuf.v1 or ringbuf.v1.json',
    );
  checkDirectOwner(map, producer);
  checkJournal(map, producer);
  return { producer, whenFull, subprotocol };
}

/** The first subprotocol offered that the daemon speaks with producers. */
export function selectSubprotocol(offered: readonly string[]): Subprotocol | undefined {
  const spoken = new Set<string>(Object.values(Subprotocol));
  return offered.find((name): name is Subprotocol => spoken.has(name));
}

/** @throws RingbufdError BAD_REQUEST when the client offers only what the daemon does not speak */
function requireSubprotocol(header: string | undefined): Subprotocol {
  const offered = (header ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith('bearer.'));
  if (offered.length === 0) return Subprotocol.PLAIN;
  const selected = selectSubprotocol(offered);
  if (selected !== undefined) return selected;
  throw new RingbufdError(
    'BAD_REQUEST',
    `none of the offered subprotocols (${offered.join(', ')}) is one of ${Object.values(Subprotocol).join(', ')}`,
  );
}

/** @throws RingbufdError BAD_REQUEST, BAD_NAME */
function parseQuery(query: URLSearchParams): { producer: string | undefined; whenFull: WhenFull } {
  for (const key of query.keys()) {
    if (key !== 'producer' && key !== 'on_full')
      throw new RingbufdError(
        'BAD_REQUEST',
        `unknown query parameter "${key}"; there are producer and on_full`,
      );
    if (query.getAll(key).length > 1)
      throw new RingbufdError('BAD_REQUEST', `query parameter "${key}" is given more than once`);
  }
  const producer = query.get('producer') ?? undefined;
  if (producer !== undefined && !isValidName(producer))
    throw new RingbufdError('BAD_NAME', `producer: ${NAME_RULE}`);
  const whenFull = query.get('on_full') ?? 'reject';
  if (whenFull !== 'reject' && whenFull !== 'block')
    throw new RingbufdError('BAD_REQUEST', `on_full is "reject" or "block", not "${whenFull}"`);
  return { producer, whenFull };
}

/** @throws RingbufdError DIRECT_TAKEN when another producer is connected to this direct map */
function checkDirectOwner(map: HostedMap, producer: string | undefined): void {
  if (map.attributes.mode !== 'direct') return;
  for (const connection of map.connections)
    if (producer === undefined || connection.state.id !== producer)
      throw new RingbufdError('DIRECT_TAKEN', `map "${map.name}" has a producer already`);
}

/**
 * A producer that cannot be welcomed is not let in: what is durable of it cannot be told, and whoever guesses would lose
 * samples or store them twice.
 * @throws RingbufdError JOURNAL_FAILED; JOURNAL_FULL when the journal still owes an answer about this producer
 */
function checkJournal(map: HostedMap, producer: string | undefined): void {
  const { journal } = map;
  if (journal?.state === 'failed') throw new RingbufdError('JOURNAL_FAILED');
  if (journal?.state !== 'full' || producer === undefined) return;
  if (map.states.get(producer)?.unsettled)
    throw new RingbufdError('JOURNAL_FULL', undefined, { retryAfterMs: map.retryAfterMs });
}
