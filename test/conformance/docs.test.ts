import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { committedFiles, committedTraces } from './committed.js';
import { MUTATIONS } from './mutation-list.js';
import { readTraceFile } from './trace-file.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(`${ROOT}docs/CONFORMANCE.md`, 'utf8');

describe('docs/CONFORMANCE.md', () => {
  it('names only traces that are committed, and for every rule at least one', () => {
    const names = new Set(committedTraces().map(({ name }) => name));
    const rules = page.slice(page.indexOf('## The rules'), page.indexOf('## Where ringbufd differs'));
    const rows = rules.split('\n').filter((line) => /^\| (?!rule|-)/.test(line));
    expect(rows.length).toBeGreaterThan(40);
    for (const row of rows) {
      const cited = [...row.split(/(?<!\\)\|/)[2]!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
      expect(cited, row).not.toEqual([]);
      for (const name of cited) if (!name.startsWith('test/')) expect(names, row).toContain(name);
    }
  });

  it('names only tests that exist', () => {
    const cited = [...page.matchAll(/`(test\/[^`]+\.ts)`: "([^"]+)"/g)];
    expect(cited.length).toBeGreaterThan(10);
    for (const [, file, name] of cited) expect(readFileSync(ROOT + file, 'utf8'), file).toContain(name);
  });

  it('counts traces and operations of each file as they are', () => {
    const number = new Intl.NumberFormat('en-US');
    for (const path of committedFiles()) {
      const traces = readTraceFile(path);
      const operations = traces.reduce((sum, { ops }) => sum + ops.length, 0);
      const row = page.split('\n').find((line) => line.includes(`\`${path.slice(ROOT.length)}\``));
      expect(row?.split('|').map((cell) => cell.trim())).toEqual(
        expect.arrayContaining([number.format(traces.length), number.format(operations)]),
      );
    }
  });

  it('lists mutations that still apply to src/ring, each in exactly one place', () => {
    for (const { what, file, find } of MUTATIONS)
      expect(readFileSync(`${ROOT}src/ring/${file}`, 'utf8').split(find), what).toHaveLength(2);
  });

  it('has a row for every mutation, and no other', () => {
    const table = page.slice(page.indexOf('## Mutations'));
    const rows = table.split('\n').filter((line) => /^\| (?!rule|-)/.test(line));
    const shown = rows.map((row) =>
      row
        .split('|')
        .slice(1, 3)
        .map((cell) => cell.trim()),
    );
    expect(shown).toEqual(MUTATIONS.map(({ rule, what }) => [rule, what]));
    expect(table).toContain(`${MUTATIONS.length} mistakes`);
    expect(table).not.toContain('**nothing**');
  });
});
