import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configFromObject, configFromText, configOptions } from '../../src/server/config.js';
import { configExample, configReference } from '../../src/server/config-reference.js';

const root = (path: string): URL => new URL(`../../${path}`, import.meta.url);

/** The committed text; with UPDATE_DOCS=1 it is written first. */
function committed(path: string, text: string): string {
  if (process.env.UPDATE_DOCS === '1') writeFileSync(root(path), text);
  return readFileSync(root(path), 'utf8');
}

describe('docs/CONFIGURATION.md', () => {
  it('is what the schema says (UPDATE_DOCS=1 writes it)', () => {
    expect(committed('docs/CONFIGURATION.md', configReference())).toBe(configReference());
  });

  it('is formatted as the formatter wants it', async () => {
    const options = await resolveConfig(root('docs/CONFIGURATION.md'));
    expect(await format(configReference(), { ...options, parser: 'markdown' })).toBe(configReference());
  });

  it('names every key, variable and flag', () => {
    const text = configReference();
    for (const { key, env, flag } of configOptions)
      for (const word of [key, env, flag]) expect(text).toContain(`\`${word}\``);
  });
});

describe('examples/ringbufd.yaml', () => {
  it('is what the schema says (UPDATE_DOCS=1 writes it)', () => {
    expect(committed('examples/ringbufd.yaml', configExample())).toBe(configExample());
  });

  it('is formatted as the formatter wants it', async () => {
    const options = await resolveConfig(root('examples/ringbufd.yaml'));
    expect(await format(configExample(), { ...options, parser: 'yaml' })).toBe(configExample());
  });

  it('loads without a warning', () => {
    const { config, warnings } = configFromText(configExample());
    expect(warnings).toEqual([]);
    expect(config.maps.map(({ name }) => name)).toEqual(['example']);
  });

  it('writes down every key, at its default', () => {
    const written = parse(configExample()) as Record<string, unknown>;
    const { maps, ...rest } = configFromObject({}).config;
    expect(maps).toEqual([]);
    expect({ ...written, maps: [] }).toEqual({ ...rest, maps: [] });
  });
});
