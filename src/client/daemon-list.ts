/**
 * Which of several daemons has a map. Every client that is given the same list answers alike, without asking anybody;
 * a daemon that joins the list takes maps from all others and moves none between them (rendezvous hashing).
 */
import { RingbufError } from './errors.js';

const schemes = new Map([
  ['ws:', 'ws:'],
  ['http:', 'ws:'],
  ['wss:', 'wss:'],
  ['https:', 'wss:'],
]);

const encoder = new TextEncoder();

/**
 * The base address of a daemon as a WebSocket has it: `ws:` or `wss:`, without a slash at its end.
 * @throws RingbufError EINVAL for an address that is none
 */
export function daemonUrl(address: string | URL): string {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new RingbufError('EINVAL', 'BAD_ARGUMENT', `url: "${String(address)}" is not an address`);
  }
  const scheme = schemes.get(url.protocol);
  if (scheme === undefined)
    throw new RingbufError(
      'EINVAL',
      'BAD_ARGUMENT',
      `url: the scheme of "${String(address)}" is not one of ws, wss, http, https`,
    );
  // Assigning to `protocol` is refused between http and ws: the address is written out instead.
  return `${scheme}//${url.host}${url.pathname.replace(/\/+$/, '')}`;
}

/**
 * The daemon of `urls` that has the map: where to create it, and where `connect` and `handle` with the same `urls` go.
 *
 * It is the one with the largest 32-bit FNV-1a hash, mixed with Murmur3's finalizer, of the UTF-8 bytes of
 * `{host}{path} {map}`; of equal ones the first in the list. Host and path are as in the address, without a slash at the
 * end, so that `http://a:7890/` and `ws://a:7890` are one daemon.
 * @param urls base addresses, in any order
 * @returns the address as it is in `urls`
 * @throws RingbufError EINVAL for an empty list, or an address that is none
 */
export function daemonFor<Address extends string | URL>(map: string, urls: readonly Address[]): Address {
  let best: Address | undefined;
  let highest = -1;
  for (const url of urls) {
    const weight = hash(`${daemonUrl(url).replace(/^wss?:\/\//, '')} ${map}`);
    if (weight <= highest) continue;
    highest = weight;
    best = url;
  }
  if (best === undefined) throw new RingbufError('EINVAL', 'BAD_ARGUMENT', 'urls: the list has no daemon');
  return best;
}

/** As an unsigned 32-bit number. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of encoder.encode(text)) value = Math.imul(value ^ byte, 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
