// @ts-check
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Name that every `file` handler of the torture writes to. */
export const OUTPUT_NAME = 'torture.ndjson';

/**
 * What the handler's files of a map hold, the oldest rotation first. A sample is `PRODUCER NUMBER …`, numbered from 0 by
 * each producer.
 * @param {string} dataDir
 * @param {string} map
 * @returns {Promise<{ id: string, number: number }[]>}
 */
async function drained(dataDir, map) {
  const folder = join(dataDir, 'out', map);
  const files = (await readdir(folder)).filter((name) => name.startsWith(OUTPUT_NAME));
  files.sort((a, b) => Number(b.split('.')[2] ?? 0) - Number(a.split('.')[2] ?? 0));
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  return texts
    .flatMap((text) => text.split('\n').filter((line) => line !== ''))
    .map((line) => {
      const [id, number] = JSON.parse(line).sample.split(' ');
      return { id, number: Number(number) };
    });
}

/**
 * Compares what was acknowledged with what the deduplicating handler has, in order for each producer.
 * @param {string} dataDir
 * @param {string} map
 * @param {ReadonlyMap<string, number>} acknowledged producer to number of its samples
 * @param {ReadonlySet<string>} damaged samples `PRODUCER NUMBER` that were damaged on purpose
 */
export async function compare(dataDir, map, acknowledged, damaged) {
  /** @type {Map<string, number>} */
  const next = new Map();
  const books = { samples: 0, lost: 0, doubled: 0, damaged: damaged.size, damaged_but_drained: 0 };
  /** @param {string} id @param {number} from @param {number} to */
  const skip = (id, from, to) => {
    for (let number = from; number < to; number++) if (!damaged.has(`${id} ${number}`)) books.lost++;
  };
  for (const { id, number } of await drained(dataDir, map)) {
    const expected = next.get(id) ?? 0;
    books.samples++;
    if (number < expected) books.doubled++;
    if (damaged.has(`${id} ${number}`)) books.damaged_but_drained++;
    skip(id, expected, number);
    next.set(id, Math.max(expected, number + 1));
  }
  for (const [id, count] of acknowledged) skip(id, next.get(id) ?? 0, count);
  return books;
}
