import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { COMMITTED_KERNEL, committedTraces } from './committed.js';
import { hasNetworkForm } from './network-replay.js';
import { describeDifference } from './outcome.js';
import { countResults, describeCounts, replayTraces, type TraceResult } from './replay.js';

const PAGES = ['README.md', 'docs/CONFORMANCE.md'].map((page) =>
  fileURLToPath(new URL(`../../${page}`, import.meta.url)),
);
const COUNT_LINE = /[\d,]+ operations recorded on Linux[^,]*, [\d,]+ identical/g;

/** What traces.jsonl of the issue held; the committed files hold these and our own. */
const LEAST_TRACES = 188;
const LEAST_OPERATIONS = 10_724;

describe('the traces recorded on a real kernel', () => {
  let results: TraceResult[];

  beforeAll(async () => {
    results = await replayTraces(committedTraces());
  }, 180_000);

  it('are all there', () => {
    const counts = countResults(results);
    expect(counts.traces).toBeGreaterThan(LEAST_TRACES);
    expect(counts.operations).toBeGreaterThan(LEAST_OPERATIONS);
  });

  it('give the same answers on src/ring', () => {
    expect(results.flatMap(({ ring }) => ring.difference ?? []).map(describeDifference)).toEqual([]);
  });

  it('give the same answers over the network', () => {
    expect(results.flatMap(({ network }) => network?.difference ?? []).map(describeDifference)).toEqual([]);
  });

  it('run over the network unless they drain from inside a callback', () => {
    const missing = results.filter(({ network }) => network === undefined).map(({ trace }) => trace);
    expect(missing.map(hasNetworkForm)).toEqual(missing.map(() => false));
    expect(missing.map(({ name }) => name)).toEqual(['nested-busy', 'nested-flags']);
  });

  it('are counted in the line that README.md and docs/CONFORMANCE.md show', () => {
    const line = describeCounts(countResults(results), COMMITTED_KERNEL);
    console.log(line);
    const { operations, identical } = countResults(results);
    expect(identical).toBe(operations);
    const claims = PAGES.filter((page) => existsSync(page)).flatMap(
      (page) => readFileSync(page, 'utf8').match(COUNT_LINE) ?? [],
    );
    expect(claims.length).toBeGreaterThan(0);
    for (const claim of claims) expect(claim).toBe(line);
  });
});
