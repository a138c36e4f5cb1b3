import { describe, expect, it } from 'vitest';
import { AddressPolicy, isAllowEntry } from '../../../src/server/handlers/webhook/address-policy.js';

const REFUSED = [
  ['0.0.0.0', 'this network'],
  ['0.1.2.3', 'this network'],
  ['10.0.0.1', 'private'],
  ['10.255.255.255', 'private'],
  ['100.64.0.1', 'carrier-grade NAT'],
  ['100.127.255.255', 'carrier-grade NAT'],
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['169.254.169.254', 'link-local'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.0.0.192', 'protocol assignments'],
  ['192.0.2.1', 'documentation'],
  ['192.88.99.1', '6to4 relay'],
  ['192.168.1.1', 'private'],
  ['198.18.0.1', 'benchmarking'],
  ['198.19.255.255', 'benchmarking'],
  ['198.51.100.7', 'documentation'],
  ['203.0.113.9', 'documentation'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['240.0.0.1', 'reserved'],
  ['255.255.255.255', 'reserved'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['0:0:0:0:0:0:0:1', 'loopback'],
  ['::ffff:127.0.0.1', 'IPv4-mapped'],
  ['::ffff:7f00:1', 'IPv4-mapped'],
  ['::ffff:8.8.8.8', 'IPv4-mapped'],
  ['::127.0.0.1', 'IPv4-compatible'],
  ['64:ff9b::7f00:1', 'NAT64'],
  ['64:ff9b::8.8.8.8', 'NAT64'],
  ['64:ff9b:1::a00:1', 'NAT64'],
  ['100::1', 'not global unicast'],
  ['fc00::1', 'unique-local'],
  ['fd12:3456::1', 'unique-local'],
  ['fe80::1', 'link-local'],
  ['fe80::1%eth0', 'link-local'],
  ['febf::1', 'link-local'],
  ['fec0::1', 'site-local'],
  ['ff02::1', 'multicast'],
  ['ff0e::1', 'multicast'],
  ['2001::7f00:1', 'protocol assignments, Teredo'],
  ['2001:db8::1', 'documentation'],
  ['2002:7f00:1::', '6to4'],
  ['2002:c0a8:101::1', '6to4'],
  ['3fff:0:1::', 'documentation'],
  ['4000::1', 'not global unicast'],
  ['localhost', 'not an IP address'],
  ['', 'not an IP address'],
] as const;

const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.1',
  '172.15.255.255',
  '172.32.0.0',
  '192.0.1.1',
  '192.167.255.255',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '2001:4860:4860::8888',
  '2400:cb00::1',
  '2606:4700::1111',
  '2a00:1450::1',
  '3ffe::1',
];

describe('the address policy of webhooks', () => {
  it.each(REFUSED)('refuses %s: %s', (address, refusal) => {
    expect(new AddressPolicy().refusalOf(address)).toBe(refusal);
  });

  it.each(PUBLIC)('lets the public address %s through', (address) => {
    expect(new AddressPolicy().refusalOf(address)).toBeUndefined();
  });

  it('lets through exactly what the allow-list names', () => {
    const policy = new AddressPolicy(['127.0.0.1', '10.1.0.0/16', 'fd00::/8']);
    const allowed = ['127.0.0.1', '10.1.0.0', '10.1.255.255', 'fd00::1', 'fdff::1', '8.8.8.8'];
    expect(allowed.filter((address) => policy.refusalOf(address) !== undefined)).toEqual([]);
    const refused = ['127.0.0.2', '10.0.255.255', '10.2.0.0', 'fc00::1', '::1'];
    expect(refused.filter((address) => policy.refusalOf(address) === undefined)).toEqual([]);
  });

  it('allows a form only where the entry is written in that form', () => {
    expect(new AddressPolicy(['127.0.0.0/8']).refusalOf('::ffff:127.0.0.1')).toBe('IPv4-mapped');
    expect(new AddressPolicy(['::ffff:127.0.0.1']).refusalOf('127.0.0.1')).toBe('loopback');
    expect(new AddressPolicy(['::/0']).refusalOf('127.0.0.1')).toBe('loopback');
    expect(new AddressPolicy(['::ffff:127.0.0.0/104']).refusalOf('::ffff:7f00:1')).toBeUndefined();
  });

  it.each(['127.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', '0.0.0.0/0', '::/0'])(
    'takes the entry %s',
    (entry) => {
      expect(isAllowEntry(entry)).toBe(true);
    },
  );

  it.each([
    '',
    'localhost',
    '127.1',
    '10.0.0.0/33',
    '::1/129',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '*',
    '1.2.3.4:80',
  ])('refuses the entry "%s"', (entry) => {
    expect(isAllowEntry(entry)).toBe(false);
    expect(() => new AddressPolicy([entry])).toThrow(RangeError);
  });
});
