import { readFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { benchmarksPage } from '../../bench/report/page.js';
import type { BenchResults } from '../../bench/report/results.js';
import { committed, root } from './committed.js';

const PAGE = 'docs/BENCHMARKS.md';
const results = JSON.parse(readFileSync(root('bench/results/latest.json'), 'utf8')) as BenchResults;
const findings = readFileSync(root('bench/report/findings.md'), 'utf8');

describe('docs/BENCHMARKS.md', () => {
  it('is what the committed results and findings say (UPDATE_DOCS=1 writes it)', async () => {
    const options = await resolveConfig(root(PAGE));
    const page = await format(benchmarksPage(results, findings), { ...options, parser: 'markdown' });
    expect(committed(PAGE, page)).toBe(page);
  });

  it('refuses findings that quote a figure which was not measured', () => {
    expect(() => benchmarksPage(results, 'At {{scale-idle/nobody/kib/1}}.')).toThrow(
      'scale-idle / nobody / kib',
    );
  });

  it('is what the README quotes', () => {
    const targets = results.groups.flatMap((group) => group.targets);
    const times = (broker: string): string => {
      const measured = targets.find(({ what }) =>
        what.startsWith(`64 KiB frames against ${broker}`),
      )!.measured;
      return `${Math.round(measured)} times`;
    };
    const text = readFileSync(root('README.md'), 'utf8').replace(/\s+/g, ' ');
    expect(text).toContain(`${times('Redis')} the 64-byte samples that Redis Streams takes`);
    expect(text).toContain(`${times('NATS')} those of NATS`);
    expect(text).toContain(`${times('JetStream')} those of JetStream`);
  });

  it('comes from full runs', () => {
    for (const { group, quick, tries } of results.groups) {
      expect(quick, group).toBe(false);
      expect(tries, group).toBeGreaterThanOrEqual(5);
    }
  });
});
