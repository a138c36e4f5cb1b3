import { describe, expect, it } from 'vitest';
import { format, resolveConfig } from 'prettier';
import { readFileSync } from 'node:fs';
import { loadOptions } from '../../src/cli/load/load-options.js';
import { markdownTable } from '../../src/server/markdown-table.js';
import { committed, root } from './committed.js';

const START = '<!-- generated: UPDATE_DOCS=1 npx vitest run test/docs/load.test.ts -->\n';
const END = '<!-- /generated -->';

/** The page with the options as the table of the command line has them. */
function page(): string {
  const text = readFileSync(root('docs/LOAD.md'), 'utf8');
  const from = text.indexOf(START) + START.length;
  const to = text.indexOf(END);
  const rows = loadOptions.map(({ flags, default: value, description }) => [
    `\`${flags}\``,
    value === undefined ? '' : `\`${value}\``,
    description,
  ]);
  const table = markdownTable(['option', 'default', 'meaning'], rows);
  return `${text.slice(0, from)}\n${table}\n\n${text.slice(to)}`;
}

describe('docs/LOAD.md', () => {
  it('lists the options as the command line has them (UPDATE_DOCS=1 writes them)', () => {
    expect(committed('docs/LOAD.md', page())).toBe(page());
  });

  it('is formatted as the formatter wants it', async () => {
    const options = await resolveConfig(root('docs/LOAD.md'));
    expect(await format(page(), { ...options, parser: 'markdown' })).toBe(page());
  });

  it('shows an example that ends with a verdict', () => {
    expect(page()).toMatch(/```\nrun +[^]*\nPROVEN\n```/);
  });
});
