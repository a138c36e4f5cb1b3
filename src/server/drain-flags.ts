import { BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP } from '../ring/index.js';
import { RingbufdError } from './errors.js';
import type { DrainFlagName } from './trigger.js';

const bits: Record<DrainFlagName, number> = { BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP };

/** The flags of a drain as a number, from their names. */
export function flagsFromNames(names: readonly DrainFlagName[]): number {
  return names.reduce((flags, name) => flags | bits[name], 0);
}

/**
 * The flags of a drain as callers may write them: an array of names, a number, or a decimal string (u64).
 * A number with unknown bits passes: the drain itself refuses it, as the kernel does.
 * @throws RingbufdError BAD_FLAGS for a name that is none, and for what is no u64
 */
export function parseFlags(value: unknown): number {
  if (value === undefined) return 0;
  if (Array.isArray(value)) return value.reduce<number>((flags, name) => flags | bitOf(name), 0);
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return Number(value);
  throw new RingbufdError('BAD_FLAGS', `flags ${JSON.stringify(value)}`);
}

function bitOf(name: unknown): number {
  if (typeof name === 'string' && Object.hasOwn(bits, name)) return bits[name as DrainFlagName];
  throw new RingbufdError(
    'BAD_FLAGS',
    `${JSON.stringify(name)} is neither BPF_RB_NO_WAKEUP nor BPF_RB_FORCE_WAKEUP`,
  );
}
