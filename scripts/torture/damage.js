// @ts-check
import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectJournals } from '../../dist/server/journal/inspect.js';
import { dataAt } from '../../dist/server/journal/layout.js';

const ALL_RECORDS = 1e6;
const HEADER_BYTES = 8;
const PAGE_BYTES = 4096;
const FLIPS_MAX = 4;
/** The first copy of the header and of each commit record. */
const SPARED = [
  [0, 512],
  ...[0, 1, 2, 3].map((slot) => [12_288 + slot * 32_768, 12_288 + slot * 32_768 + 512]),
];

/** @typedef {{ pos: string, bytes: number }} Stretch */
/** @typedef {{ position: bigint, offset: number, bytes: number, sample: string }} KeptRecord */

/**
 * Samples that a journal holds, read from the file itself, and where in the file they are.
 * @param {string} path
 */
async function readJournal(path) {
  const [report] = await inspectJournals(path, ALL_RECORDS);
  if (report === undefined || 'problem' in report) throw new Error(`${path}: ${report?.problem}`);
  if (report.damage.length > 0) throw new Error(`${path}: damaged before it was damaged`);
  const { maxEntries, tableBytes } = report.header;
  const data = dataAt(tableBytes);
  return { data, maxEntries, list: report.list.filter(({ kind }) => kind === 'sample') };
}

/**
 * Gives the pages of a journal in which no record lies back to the file system, as a copy of the file might: a disk that is
 * full then refuses them to the journal.
 * @param {string} dataDir
 * @param {string} map
 */
export async function freePages(dataDir, map) {
  const path = join(dataDir, 'journal', `${map}.ring`);
  const [report] = await inspectJournals(path, 0);
  if (report === undefined || 'problem' in report) throw new Error(`${path}: ${report?.problem}`);
  const { header, commit } = report;
  const data = dataAt(header.tableBytes);
  const start = Number(commit.producerPos % BigInt(header.maxEntries));
  const free = header.maxEntries - Number(commit.producerPos - commit.consumerPos);
  const untilEnd = Math.min(free, header.maxEntries - start);
  for (const { from, length } of [
    { from: data + start, length: untilEnd },
    { from: data, length: free - untilEnd },
  ]) {
    const first = Math.ceil(from / PAGE_BYTES) * PAGE_BYTES;
    const bytes = Math.floor((from + length) / PAGE_BYTES) * PAGE_BYTES - first;
    if (bytes > 0) execFileSync('fallocate', ['-p', '-o', String(first), '-l', String(bytes), path]);
  }
}

/**
 * Damages the journal of a daemon that was killed: flips bits in its records, or cuts it short.
 * @param {string} dataDir
 * @param {string} map it has no open reservations
 * @param {import('./chance.js').Chance} chance
 * @returns {Promise<{ samples: string[], stretches: Stretch[], isCut: boolean }>} the samples that were hit, and the
 *   stretches that have to be quarantined, records side by side in one
 */
export async function damageRecords(dataDir, map, chance) {
  const path = join(dataDir, 'journal', `${map}.ring`);
  const { data, maxEntries, list } = await readJournal(path);
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    // A file that was cut before is short until the ring comes to its end again: zeros are what a reader finds there.
    const image = Buffer.alloc(data + maxEntries);
    await file.read(image, 0, Math.min(size, image.length), 0);
    const before = Buffer.from(image);
    const at = (/** @type {bigint} */ position) => data + Number(position % BigInt(maxEntries));
    const isCut = chance.happens(0.4);
    const target = list[chance.whole(0, list.length)];
    if (target === undefined) return { samples: [], stretches: [], isCut };
    if (isCut) {
      const length = Math.min(size, at(target.position) + chance.whole(0, HEADER_BYTES + target.length));
      image.fill(0, length);
      await file.truncate(length);
    } else {
      for (let flips = chance.whole(1, FLIPS_MAX + 1); flips > 0; flips--) {
        const hit = list[chance.whole(0, list.length)] ?? target;
        const position = hit.position + BigInt(chance.whole(0, HEADER_BYTES + hit.length));
        const byte = at(position);
        // A byte that was flipped already stays so: a second flip might undo the first.
        if (image[byte] !== before[byte]) continue;
        image[byte] = (before[byte] ?? 0) ^ (1 << chance.whole(0, 8));
        await file.write(image, byte, 1, byte);
      }
    }
    return { ...hits(list, before, image, at), isCut };
  } finally {
    await file.close();
  }
}

/**
 * @param {readonly { position: bigint, length: number }[]} list
 * @param {Buffer} before
 * @param {Buffer} after
 * @param {(position: bigint) => number} at
 */
function hits(list, before, after, at) {
  const samples = [];
  /** @type {Stretch[]} */
  const stretches = [];
  let end = -1n;
  for (const { position, length } of list) {
    const bytes = (HEADER_BYTES + length + 7) & ~7;
    const offsets = Array.from({ length: bytes }, (_, index) => at(position + BigInt(index)));
    if (offsets.every((offset) => before[offset] === after[offset])) continue;
    const text = Buffer.from(
      offsets.slice(HEADER_BYTES, HEADER_BYTES + length).map((offset) => before[offset] ?? 0),
    );
    samples.push(text.toString('latin1').split(' ', 2).join(' '));
    const last = stretches.at(-1);
    if (last !== undefined && position === end) last.bytes += bytes;
    else stretches.push({ pos: String(position), bytes });
    end = position + BigInt(bytes);
  }
  return { samples, stretches };
}

/**
 * Flips one bit of what a journal has twice. Nothing may be missing after that.
 * @param {string} dataDir
 * @param {string} map
 * @param {import('./chance.js').Chance} chance
 */
export async function damageSpared(dataDir, map, chance) {
  const [from = 0, to = 0] = SPARED[chance.whole(0, SPARED.length)] ?? [];
  const file = await open(join(dataDir, 'journal', `${map}.ring`), 'r+');
  try {
    const byte = chance.whole(from, to);
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, byte);
    buffer[0] = (buffer[0] ?? 0) ^ (1 << chance.whole(0, 8));
    await file.write(buffer, 0, 1, byte);
  } finally {
    await file.close();
  }
}
