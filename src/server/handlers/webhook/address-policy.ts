/**
 * Which addresses a webhook may connect to. Whoever may register a handler chooses the URL, so that without this the
 * daemon would be a way into the network that it stands in: only public unicast addresses are let through, and whatever
 * else the operator names.
 */
import { BlockList, isIP } from 'node:net';

/** Ranges of IANA's special-purpose registry for IPv4, with the multicast and reserved blocks. */
const REFUSED_IPV4 = [
  ['0.0.0.0/8', 'this network'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'carrier-grade NAT'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'protocol assignments'],
  ['192.0.2.0/24', 'documentation'],
  ['192.88.99.0/24', '6to4 relay'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'benchmarking'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
] as const;

/** The same for IPv6. Whatever lies outside 2000::/3 is refused, named here or not. */
const REFUSED_IPV6 = [
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['::ffff:0:0/96', 'IPv4-mapped'],
  ['::/96', 'IPv4-compatible'],
  ['64:ff9b::/96', 'NAT64'],
  ['64:ff9b:1::/48', 'NAT64'],
  ['fc00::/7', 'unique-local'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'site-local'],
  ['ff00::/8', 'multicast'],
  ['2001::/23', 'protocol assignments, Teredo'],
  ['2001:db8::/32', 'documentation'],
  ['2002::/16', '6to4'],
  ['3fff::/20', 'documentation'],
] as const;

const GLOBAL_IPV6 = '2000::/3';

export const ALLOW_RULE = 'an IP address or a range such as 10.1.2.3, 10.0.0.0/8, ::1 or fd00::/8';

type Family = 'ipv4' | 'ipv6';

interface Range {
  address: string;
  prefix: number;
  family: Family;
}

// A BlockList with IPv6 ranges takes an IPv4 address for its mapped form, and the other way round: one list per family.
const refusals: Record<Family, { list: BlockList; name: string }[]> = {
  ipv4: REFUSED_IPV4.map(toRefusal),
  ipv6: REFUSED_IPV6.map(toRefusal),
};
const globalIpv6 = listOf([rangeOf(GLOBAL_IPV6)]);

/** Whether the text may stand in the operator's allow-list ({@link ALLOW_RULE}). */
export function isAllowEntry(text: string): boolean {
  return parseRange(text) !== undefined;
}

export class AddressPolicy {
  readonly #allowed: Record<Family, BlockList>;

  /**
   * @param allow addresses and ranges that are let through beside public ones. An entry allows the form that it is
   *   written in: 127.0.0.0/8 does not allow ::ffff:127.0.0.1.
   * @throws RangeError for an entry that does not follow {@link ALLOW_RULE}
   */
  constructor(allow: readonly string[] = []) {
    const ranges = allow.map(rangeOf);
    this.#allowed = {
      ipv4: listOf(ranges.filter(({ family }) => family === 'ipv4')),
      ipv6: listOf(ranges.filter(({ family }) => family === 'ipv6')),
    };
  }

  /**
   * Why an address must not be connected to.
   * @param address in any spelling that node:net knows, with or without a zone
   * @returns a few words, or `undefined` when it may be connected to
   */
  refusalOf(address: string): string | undefined {
    const plain = address.replace(/%.*$/, '');
    const family = familyOf(plain);
    if (family === undefined) return 'not an IP address';
    if (this.#allowed[family].check(plain, family)) return undefined;
    const refusal = refusals[family].find(({ list }) => list.check(plain, family));
    if (refusal !== undefined) return refusal.name;
    return family === 'ipv6' && !globalIpv6.check(plain, family) ? 'not global unicast' : undefined;
  }
}

function toRefusal([range, name]: readonly [string, string]): { list: BlockList; name: string } {
  return { list: listOf([rangeOf(range)]), name };
}

function listOf(ranges: Range[]): BlockList {
  const list = new BlockList();
  for (const { address, prefix, family } of ranges) list.addSubnet(address, prefix, family);
  return list;
}

function rangeOf(text: string): Range {
  const range = parseRange(text);
  if (range === undefined) throw new RangeError(`"${text}" is not ${ALLOW_RULE}`);
  return range;
}

function parseRange(text: string): Range | undefined {
  const match = /^([0-9a-f:.]+)(?:\/(\d{1,3}))?$/i.exec(text);
  const address = match?.[1];
  const family = address === undefined ? undefined : familyOf(address);
  if (address === undefined || family === undefined) return undefined;
  const bits = family === 'ipv4' ? 32 : 128;
  const prefix = match?.[2] === undefined ? bits : Number(match[2]);
  return prefix <= bits ? { address, prefix, family } : undefined;
}

function familyOf(address: string): Family | undefined {
  const version = isIP(address);
  return version === 0 ? undefined : version === 4 ? 'ipv4' : 'ipv6';
}
