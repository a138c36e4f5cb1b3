import { commit, drain, settle, writeOps } from './managed-script.js';
import type { Random } from './random.js';
import type { Script } from './script.js';
import { DISCARD, LARGEST_DRAIN } from './sketch.js';

export function writeWrap(random: Random, script: Script): void {
  const { ring } = script;
  if (random.chance(0.3) && ring.size >= 65536) leadToPowerOfTwo(random, script);
  // One record that ends a few bytes before the end of the data area: the next header, or its payload, lands on it.
  script.output(ring.size - 8 - 8 * random.pick([0, 1, 1, 2, 3, 4, 8, random.int(0, 64)]));
  script.drain();
  const rounds = random.int(3, 8);
  for (let i = 0; i < rounds && script.opsLeft > 20; i++) {
    const records = random.int(1, 4);
    for (let k = 0; k < records; k++) script.output(wrappingSize(random, script));
    if (random.chance(0.3)) writeOps(random, script, random.int(1, 4));
    if (random.chance(0.4)) commit(random, script);
    drain(random, script);
  }
  settle(random, script);
}

/** Sizes whose record ends exactly at the end of the data area, one slot before it, or just beyond. */
function wrappingSize(random: Random, script: Script): number {
  const { size, free, untilEnd } = script.ring;
  const end = untilEnd - 8;
  const sizes = [
    end,
    end - 1,
    end + 1,
    end - 8,
    end - 7,
    end + 8,
    end + 16,
    end - 16,
    free - 8,
    size - 8,
    size / 2,
  ];
  return Math.max(0, random.chance(0.8) ? random.pick(sizes) : random.int(0, size / 3));
}

/**
 * Leads both positions to just below a power of two, where the low or high half of a u64 changes, for ordinary
 * records to cross it. One discarded record as long as the ring is its own successor wherever the consumer
 * comes, so that a few thousand loop turns take the consumer there, and none of them is a sample to log.
 */
export function leadToPowerOfTwo(random: Random, script: Script): void {
  const size = BigInt(script.ring.size);
  const reachable = [31n, 32n, 33n]
    .map((bits) => 1n << bits)
    .filter((target) => target / size < LARGEST_DRAIN);
  script.writeRecord(0n, (DISCARD | (script.ring.size - 8)) >>> 0);
  script.prodpos(random.pick(reachable) - size * BigInt(random.int(1, 2)));
  script.drain(random.pick([0n, 1n, 2n]));
}
