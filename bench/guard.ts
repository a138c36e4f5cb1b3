/**
 * `npm run bench:guard [-- --update]`: has the ring become a different one? Rates of the ring as shares of a plain copy's, in
 * one process, so that a slow or a busy machine slows both; the best of several tries, so that one undisturbed try is
 * enough. Fails only when a share has fallen below half of the committed one: on a collapse, never on noise.
 * Exit status: 0 all is well; 1 a collapse.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ringSpeedOf } from './in-process/suite.js';
import type { RingSpeed } from './in-process/ring-speed.js';
import { median } from './measure/statistics.js';

const BASELINE = new URL('./guard-baseline.json', import.meta.url);
const TRIES = 5;
const FILLS = 200;
const SIZES = [64, 256] as const;
const STEPS = ['outputRun', 'output', 'drain', 'drainRun'] as const satisfies (keyof RingSpeed)[];
const COLLAPSE = 0.5;

const { values: options } = parseArgs({ options: { update: { type: 'boolean', default: false } } });
const shares = new Map<string, number[]>();
for (let number = 0; number < TRIES; number++)
  for (const size of SIZES) {
    const speed = await ringSpeedOf({ size, kind: 'managed', fills: FILLS });
    for (const step of STEPS) {
      const name = `${step}, ${size} bytes`;
      shares.set(name, [...(shares.get(name) ?? []), speed.copy / speed[step]]);
    }
  }

if (options.update) {
  const medians = [...shares].map(([name, values]) => [name, Number(median(values).toFixed(3))]);
  writeFileSync(BASELINE, `${JSON.stringify(Object.fromEntries(medians), undefined, 2)}\n`);
}
const baseline = JSON.parse(readFileSync(BASELINE, 'utf8')) as Record<string, number>;
let collapsed = false;
for (const [name, values] of shares) {
  const expected = baseline[name];
  if (expected === undefined) throw new Error(`${name} has no baseline: npm run bench:guard -- --update`);
  const best = Math.max(...values);
  const holds = best >= expected * COLLAPSE;
  collapsed ||= !holds;
  console.log(
    `${holds ? 'ok' : 'COLLAPSED'}  ${name}: ${best.toFixed(3)} of a plain copy's rate, committed ${expected.toFixed(3)}`,
  );
}
process.exitCode = collapsed ? 1 : 0;
