import { writeManaged } from './managed-script.js';
import { Random } from './random.js';
import { writeRaw } from './raw-script.js';
import { Script } from './script.js';
import { writeWrap } from './wrap-script.js';

/**
 * Random op scripts for the recorder. Three families take turns:
 *
 * - managed: a well-behaved producer; sizes, order of commits, flags and verdicts vary.
 * - raw: a hostile producer, which writes headers and positions of its own making.
 * - wrap: a well-behaved producer whose records straddle the end of the data area, some of them after the positions
 *   were led to just below a power of two where 32-bit code goes wrong.
 */
export const FAMILIES = ['managed', 'raw', 'wrap'] as const;
export type Family = (typeof FAMILIES)[number];

/** The same seed and index always give the same script. */
export function generateScript(seed: number, index: number): string[] {
  const family = FAMILIES[index % FAMILIES.length]!;
  const random = new Random(seed, index);
  const script = new Script(`${family}-${seed}-${index}`, ringSize(random));
  writers[family](random, script);
  return script.lines;
}

/** `count` scripts, from the index `first` on. */
export function generateScripts(seed: number, count: number, first = 0): string[][] {
  return Array.from({ length: count }, (_, i) => generateScript(seed, first + i));
}

const writers: Record<Family, (random: Random, script: Script) => void> = {
  managed: writeManaged,
  raw: writeRaw,
  wrap: writeWrap,
};

/** 4 KiB to 1 MiB; half of all rings are the smallest, where edges are nearest. */
function ringSize(random: Random): number {
  return 4096 << (random.chance(0.5) ? 0 : random.int(1, 8));
}
