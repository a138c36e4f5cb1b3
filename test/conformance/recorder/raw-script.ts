import { drain, drainFlags, sampleSize, writeOps } from './managed-script.js';
import type { Random } from './random.js';
import type { Script } from './script.js';
import { BUSY, DISCARD, LARGEST_DRAIN, LARGEST_SAMPLE } from './sketch.js';
import { leadToPowerOfTwo } from './wrap-script.js';

const HEADER_BITS = { none: 0, discard: DISCARD, busy: BUSY, both: BUSY | DISCARD };

export function writeRaw(random: Random, script: Script): void {
  if (random.chance(0.05) && script.ring.size >= 65536) leadToPowerOfTwo(random, script);
  const steps = random.int(6, 20);
  for (let i = 0; i < steps && script.opsLeft > 10; i++) {
    switch (
      random.weighted({
        run: 30,
        head: 12,
        position: 16,
        far: 5,
        limit: 1,
        ops: 8,
        again: 3,
        drain: 28,
        poll: 6,
      })
    ) {
      case 'run':
        writeRun(random, script);
        break;
      case 'head':
        rewriteHead(random, script);
        break;
      case 'position':
        movePosition(random, script);
        break;
      case 'far':
        moveFar(random, script);
        break;
      case 'limit':
        approachDrainLimit(random, script);
        break;
      case 'ops':
        writeOps(random, script, random.int(1, 4));
        break;
      case 'again':
        script.commitAgain(random.int(0, Math.max(0, script.ended.length - 1)), random.chance(0.5));
        break;
      case 'drain':
        drain(random, script);
        break;
      case 'poll':
        script.poll();
        break;
    }
  }
  script.drain(0n, 50);
  script.drain(2n, 50);
  script.poll();
}

/** A length field as a hostile producer might write it: at the limits of the ring, of a dynptr, of the field. */
function hostileHeader(random: Random, script: Script): number {
  const { size } = script.ring;
  const used = Number(BigInt.asUintN(30, script.ring.used));
  const length = random.pick([
    size - 9,
    size - 8,
    size - 7,
    size,
    Math.max(0, used - 8),
    Math.max(0, used - 7),
    used,
    LARGEST_SAMPLE,
    LARGEST_SAMPLE + 1,
    2 ** 24 - 8,
    2 ** 30 - 1,
    2 ** 30 - 8,
    random.uint32() % 2 ** 30,
  ]);
  return (length | random.pick([0, 0, 0, BUSY, DISCARD, BUSY | DISCARD])) >>> 0;
}

function runHeader(random: Random, script: Script): number {
  if (random.chance(0.06)) return hostileHeader(random, script);
  const length = random.pick([
    0,
    1,
    7,
    8,
    9,
    random.int(0, 64),
    random.int(0, 64),
    random.int(0, script.ring.size / 3),
  ]);
  const bits = random.weighted({ none: 75, discard: 17, busy: 5, both: 3 });
  return (length | HEADER_BITS[bits]) >>> 0;
}

/** A few records back to back, and a producer position after them that is mostly the right one. */
function writeRun(random: Random, script: Script): void {
  const start =
    script.ring.prod < script.ring.cons || random.chance(0.1) ? script.ring.cons : script.ring.prod & ~7n;
  let end = start;
  for (let i = random.int(1, 4); i > 0; i--) {
    const header = runHeader(random, script);
    const payload = Uint8Array.from({ length: Math.min(header & 0x3fffffff, 24) }, () => random.int(0, 255));
    // A hostile length would send the run's end far away; its successors go where an empty record's would.
    const next = script.writeRecord(end, header, random.chance(0.3) ? random.uint32() : 0, payload);
    end = next - end > BigInt(script.ring.size) ? end + 8n : next;
  }
  const slips = [8n, -8n, 4n, -4n, 1n, -1n, 16n, BigInt(script.ring.size), BigInt(2 * script.ring.size)];
  script.prodpos(random.chance(0.75) ? end : end + random.pick(slips));
}

/** Changes the record at the head, where a drain may be stuck: makes it valid, or bad in another way. */
function rewriteHead(random: Random, script: Script): void {
  const { ring } = script;
  const header = ring.header(ring.cons);
  const used = Number(BigInt.asUintN(30, ring.used));
  const headers = [
    (header & ~BUSY) >>> 0,
    (header | BUSY) >>> 0,
    (header | DISCARD) >>> 0,
    (header & ~DISCARD) >>> 0,
    0,
    Math.max(0, Math.min(used, ring.size) - 8),
    hostileHeader(random, script),
  ];
  script.writeRecord(ring.cons, random.pick(headers));
}

/** The producer position near the consumer's: behind it, at it, misaligned, a ring or two ahead. */
function movePosition(random: Random, script: Script): void {
  const { cons, prod, size } = script.ring;
  const ring = BigInt(size);
  const deltas = [
    -ring,
    -16n,
    -8n,
    -4n,
    -1n,
    0n,
    0n,
    1n,
    4n,
    7n,
    8n,
    16n,
    ring - 8n,
    ring,
    ring + 8n,
    2n * ring,
  ];
  const base = random.pick([cons, cons, prod]);
  script.prodpos(random.chance(0.05) ? 0n : base + random.pick(deltas));
}

/** The producer position where narrower arithmetic breaks, a short drain there, and mostly back again. */
function moveFar(random: Random, script: Script): void {
  const { cons } = script.ring;
  const bits = random.pick([31n, 32n, 32n, 53n, 53n, 63n, 63n, 64n, 64n]);
  const slips = [-16n, -8n, -8n, -1n, 0n, 0n, 1n, 8n, 16n];
  script.prodpos((1n << bits) + random.pick(slips) + random.pick([0n, 0n, cons]));
  script.poll();
  // libbpf's room is computed in 32 bits, and comes out absurd here.
  if (random.chance(0.3)) script.reserve(sampleSize(random, script));
  // Mostly one that stops: a ring of zeros would else be drained to the limit time and again.
  script.drain(drainFlags(random), random.chance(0.95) ? random.int(0, 6) : -1);
  if (random.chance(0.8)) script.prodpos(script.ring.cons + BigInt(8 * random.int(0, 4)));
}

/** A ring of empty records, some discarded, drained by a producer position about as many turns ahead as a drain takes. */
function approachDrainLimit(random: Random, script: Script): void {
  const { ring } = script;
  if (ring.size > 65536 && random.chance(0.8)) return;
  for (let i = random.int(0, 3); i > 0; i--) {
    script.writeRecord(
      ring.cons + BigInt(8 * random.int(0, ring.size / 8 - 1)),
      random.pick([DISCARD, DISCARD, 8]),
    );
  }
  const turns = LARGEST_DRAIN + random.pick([-2, -1, 0, 0, 1, 2, random.int(-64, 64)]);
  script.prodpos(ring.cons + BigInt(8 * turns));
  script.drain(drainFlags(random));
  script.drain(0n, random.pick([-1, 3]));
}
