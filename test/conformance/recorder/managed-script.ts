import type { Random } from './random.js';
import type { Script } from './script.js';
import { LARGEST_SAMPLE } from './sketch.js';

/** Every value here is one that a double holds exactly: traces carry flags as JSON numbers. */
const INVALID_FLAGS = [
  4n,
  5n,
  7n,
  8n,
  1n << 16n,
  1n << 31n,
  1n << 32n,
  (1n << 32n) + 2n,
  1n << 40n,
  1n << 63n,
];

export function drainFlags(random: Random): bigint {
  return random.chance(0.08) ? random.pick(INVALID_FLAGS) : random.pick([0n, 0n, 0n, 0n, 1n, 2n, 3n]);
}

function stopAfter(random: Random): number {
  return random.chance(0.6) ? -1 : random.pick([0, 1, 1, 2, 3, 5, random.int(4, 40)]);
}

export function drain(random: Random, script: Script): void {
  script.drain(drainFlags(random), stopAfter(random), random.chance(0.08));
}

function create(random: Random, script: Script): void {
  const maxEntries = [0, 1, 2048, 4095, 4096, 4097, 6144, 8192, 12288, 65536, 65544, 2 ** 20, 2 ** 20 + 4096];
  const mapFlags = [1, 2, 3, 4, 5, 8, 16, 1 << 10];
  script.create(
    random.chance(0.2) ? random.pick([1, 4, 8]) : 0,
    random.chance(0.2) ? random.pick([1, 4, 8]) : 0,
    random.pick(maxEntries),
    random.chance(0.3) ? random.pick(mapFlags) : 0,
  );
}

/** A sample size for `reserve`, most often one where an answer is about to change. */
export function sampleSize(random: Random, script: Script): number {
  const { size, free, untilEnd } = script.ring;
  // Of payloads, so a record that takes all free bytes has free - 8.
  const around = (payload: number): number => Math.max(0, payload + random.pick([0, 0, 0, -1, 1, -8, 8]));
  const kind = random.weighted({
    tiny: 22,
    small: 22,
    part: 14,
    half: 5,
    ring: 8,
    free: 16,
    end: 9,
    huge: 4,
  });
  switch (kind) {
    case 'tiny':
      return random.pick([0, 1, 7, 8, 9, 15, 16, 17]);
    case 'small':
      return random.int(0, 300);
    case 'part':
      return random.int(0, size / 2);
    case 'half':
      return around(size / 2 - 8);
    case 'ring':
      return random.pick([size - 9, size - 8, size - 8, size - 7, size, size + 8, size - 16]);
    case 'free':
      return around(free - 8);
    case 'end':
      return around(untilEnd - random.pick([8, 16, 0]));
    case 'huge':
      return random.pick([
        LARGEST_SAMPLE,
        LARGEST_SAMPLE + 1,
        2 ** 30 - 1,
        2 ** 30 - 8,
        2 ** 30,
        2 ** 30 + 8,
        2 ** 31 - 1,
        2 ** 31,
        2 ** 31 + 8,
        2 ** 32 - 8,
        2 ** 32 - 1,
      ]);
  }
}

/** Ends one open reservation. A later one before the first leaves a busy head, at which drains stop. */
export function commit(random: Random, script: Script): void {
  const place = random.chance(0.55) ? 0 : random.int(0, Math.max(0, script.open.length - 1));
  script.commit(place, random.chance(0.25));
}

/** The ops of a well-behaved producer and its consumer, until `ops` lines were added. */
export function writeOps(random: Random, script: Script, ops: number): void {
  const until = script.opsLeft - ops;
  while (script.opsLeft > Math.max(0, until)) {
    switch (random.weighted({ reserve: 26, output: 16, commit: 22, drain: 26, poll: 7, create: 1 })) {
      case 'reserve':
        script.reserve(sampleSize(random, script));
        break;
      case 'output':
        script.output(sampleSize(random, script));
        break;
      case 'commit':
        commit(random, script);
        break;
      case 'drain':
        drain(random, script);
        break;
      case 'poll':
        script.poll();
        break;
      case 'create':
        create(random, script);
        break;
    }
  }
}

/** A full ring that is drained in parts: a burst of equal records, as many as fit or as the script has room for. */
function writeBurst(random: Random, script: Script): void {
  const payload = random.pick([0, 8, 24, 56, 120, Math.floor(script.ring.size / 8) - 8, random.int(0, 400)]);
  for (let i = random.int(4, 16); i > 0; i--) {
    script.output(payload);
    if (random.chance(0.1)) script.reserve(payload);
  }
  drain(random, script);
}

export function writeManaged(random: Random, script: Script): void {
  if (random.chance(0.2)) writeBurst(random, script);
  writeOps(random, script, random.int(15, 60));
  settle(random, script);
}

/** Ends what is open and drains what is left, so that a script's last state is compared too. */
export function settle(random: Random, script: Script): void {
  while (script.open.length > 0 && script.opsLeft > 3) commit(random, script);
  script.drain();
  script.poll();
}
