/** `npm run soak -- [--seconds N] [--seed S]`. Exit status: 0 the books hold, 1 they do not, 2 usage. */
import { parseArgs } from 'node:util';
import { booksTable } from './books.js';
import { runSoak } from './soak.js';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
if (!(seconds > 0) || !Number.isInteger(seed)) {
  console.error('usage: soak -- [--seconds N] [--seed S], both numbers');
  process.exit(2);
}
console.error(`soak: ${seconds} s, seed ${seed}`);
const live = process.stderr.isTTY;
const { books, faults, wrong } = await runSoak({
  seconds,
  seed,
  progress: (line) => process.stderr.write(live ? `\r\x1b[K${line}` : `${line}\n`),
});
if (live) process.stderr.write('\n');
console.log(
  [...faults]
    .map(([name, count]) => `${String(count).padStart(6)}  ${name}`)
    .sort()
    .join('\n'),
);
console.log(`\n${booksTable(books)}\n`);
for (const text of wrong) console.log(`WRONG  ${text}`);
console.log(
  wrong.length === 0
    ? `soak: accepted = drained + discarded + buffered + dead-lettered on each of ${books.length} maps, with a kind of handler each`
    : `soak: ${wrong.length} things do not add up; again with --seed ${seed}`,
);
process.exit(wrong.length === 0 ? 0 : 1);
