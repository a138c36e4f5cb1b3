import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import type { AddressPolicy } from './address-policy.js';

/** Finds the addresses of a host name, as `dns.promises.lookup` does with `all`. */
export type Resolve = (
  hostname: string,
  options: { family?: number; hints?: number },
) => Promise<LookupAddress[]>;

/** A host that must not be connected to. */
export class AddressRefusedError extends Error {
  constructor(host: string, address: string, refusal: string) {
    const where = host === address ? address : `${host} is ${address},`;
    super(`${where} ${refusal}: not in the operator's allow-list`);
    this.name = 'AddressRefusedError';
  }
}

const systemResolve: Resolve = (hostname, options) => lookup(hostname, { ...options, all: true });

/**
 * A lookup for node:net and node:tls that answers with checked addresses only. The socket connects to what this call
 * answered, so that a name that changes its mind between a check and a connection gains nothing. One address that is
 * refused refuses the name: a name that mixes public and private addresses is a mistake or an attack.
 */
export function checkedLookup(policy: AddressPolicy, resolve: Resolve = systemResolve): LookupFunction {
  return (hostname, options, callback) => {
    const family = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : (options.family ?? 0);
    resolve(hostname, { family, hints: options.hints ?? 0 }).then(
      (addresses) => {
        const error = refusalError(policy, hostname, addresses);
        const [first] = addresses;
        if (error !== undefined || first === undefined) callback(error ?? noAddress(hostname), '', 0);
        else if (options.all === true) callback(null, addresses);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, '', 0),
    );
  };
}

function refusalError(
  policy: AddressPolicy,
  hostname: string,
  addresses: LookupAddress[],
): AddressRefusedError | undefined {
  for (const { address } of addresses) {
    const refusal = policy.refusalOf(address);
    if (refusal !== undefined) return new AddressRefusedError(hostname, address, refusal);
  }
  return undefined;
}

function noAddress(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' });
}
