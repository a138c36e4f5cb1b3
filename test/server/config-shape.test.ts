import { describe, expect, it } from 'vitest';
import { ConfigError, configFromText, formatProblem } from '../../src/server/config.js';
import { problemsOf } from './config-problems.js';

const lines = (text: string): string[] => problemsOf(() => configFromText(text, 'f.yaml')).map(formatProblem);

describe('unknown keys', () => {
  it.each([
    ['lisen: "127.0.0.1:1"', 'f.yaml:1: lisen: unknown key; did you mean "listen"?'],
    ['limits: { max_map: 1 }', 'f.yaml:1: limits.max_map: unknown key; did you mean "max_maps"?'],
    ['allowed_orgns: []', 'f.yaml:1: allowed_orgns: unknown key; did you mean "allowed_origins"?'],
    ['max_maps: 1', 'f.yaml:1: max_maps: unknown key; did you mean "limits.max_maps"?'],
    ['log: { leve: info }', 'f.yaml:1: log.leve: unknown key; did you mean "level"?'],
    [
      'drain: { zzzzzzzz: 1 }',
      'f.yaml:1: drain.zzzzzzzz: unknown key; known keys here: turn_time_ms, max_turn_samples, backoff_min_ms, backoff_max_ms',
    ],
    ['__proto__: { a: 1 }', expect.stringMatching(/^f\.yaml:1: __proto__: unknown key; known keys here: /)],
    ['constructor: 1', expect.stringMatching(/^f\.yaml:1: constructor: unknown key; /)],
  ])('%s', (text, line) => {
    expect(lines(text)).toEqual([line]);
  });

  it('are found in list items, with their line', () => {
    const text = `
maps:
  - name: a
    max_entries: 4096
  - name: b
    max_entries: 4096
    handler: []
    handlers:
      - name: h
        kind: count
        trigger: { mode: auto, minbytes: 3 }
`;
    expect(lines(text)).toEqual([
      'f.yaml:7: maps[1].handler: unknown key; did you mean "handlers"?',
      'f.yaml:11: maps[1].handlers[0].trigger.minbytes: unknown key; did you mean "min_bytes"?',
    ]);
  });

  it('of a handler config are left to its kind', () => {
    const text =
      'maps: [{ name: a, max_entries: 4096, handlers: [{ name: h, kind: x, config: { what: [ever] } }] }]';
    expect(configFromText(text).config.maps[0]?.handlers[0]?.config).toEqual({ what: ['ever'] });
  });
});

describe('wrong types', () => {
  it.each([
    [
      'limits: { max_maps: "5" }',
      'limits.max_maps: must be a whole number of at least 1, not the text "5" (write it without quotes)',
    ],
    ['limits: { max_maps: 1.5 }', 'limits.max_maps: must be a whole number of at least 1, not 1.5'],
    ['limits: { max_maps: 0 }', 'limits.max_maps: must be a whole number of at least 1, not 0'],
    ['limits: { max_maps: .inf }', 'limits.max_maps: must be a whole number of at least 1, not Infinity'],
    [
      'limits: { max_maps: }',
      'limits.max_maps: must be a whole number of at least 1, not nothing (the value is empty)',
    ],
    [
      'producers: { lease_ms: 2147483648 }',
      'producers.lease_ms: must be a whole number from 1 to 2147483647, not 2147483648',
    ],
    [
      'drain: { max_turn_samples: 131073 }',
      'drain.max_turn_samples: must be a whole number from 1 to 131072, not 131073',
    ],
    ['insecure: "true"', 'insecure: must be true or false, not the text "true" (write it without quotes)'],
    ['insecure: 1', 'insecure: must be true or false, not 1'],
    ['data_dir: 5', 'data_dir: must be a text that is not empty, not 5 (write it in quotes)'],
    ['data_dir: ""', 'data_dir: must be a text that is not empty, not the text ""'],
    [
      'log: { format: prety }',
      'log.format: must be one of auto, json, pretty, not the text "prety"; did you mean pretty?',
    ],
    ['log: []', 'log: must be a mapping (lines of key: value), not a list'],
    ['limits: 5', 'limits: must be a mapping (lines of key: value), not 5'],
    ['maps: { a: 1 }', 'maps: must be a list, not a mapping'],
    ['maps: [a]', 'maps[0]: must be a mapping (lines of key: value), not the text "a"'],
    ['allowed_hosts: [1]', 'allowed_hosts[0]: must be a text that is not empty, not 1 (write it in quotes)'],
  ])('%s', (text, line) => {
    expect(lines(text)).toEqual([`f.yaml:1: ${line}`]);
  });

  it.each([['manual'], ['{ mode: never }'], ['[]']])('trigger: %s', (trigger) => {
    const text = `maps: [{ name: a, max_entries: 4096, handlers: [{ name: h, kind: count, trigger: ${trigger} }] }]`;
    expect(lines(text)).toEqual([
      'f.yaml:1: maps[0].handlers[0].trigger: must be a mapping with mode: manual or a mapping with mode: auto',
    ]);
  });

  it('a word that a rule in code does not know either', () => {
    expect(lines('maps: [{ name: a, max_entries: 4096, durability: sinced }]')).toEqual([
      'f.yaml:1: maps[0].durability: must be one of memory, written, synced, not the text "sinced"; did you mean synced?',
    ]);
  });

  it('a drain flag that does not exist', () => {
    const trigger = '{ mode: auto, flags: [BPF_RB_NO_WAKEUPS] }';
    const text = `maps: [{ name: a, max_entries: 4096, handlers: [{ name: h, kind: count, trigger: ${trigger} }] }]`;
    expect(lines(text)).toEqual([
      expect.stringMatching(
        /trigger\.flags\[0\]: must be one of BPF_RB_NO_WAKEUP, .*did you mean BPF_RB_NO_WAKEUP\?$/,
      ),
    ]);
  });
});

describe('the error', () => {
  it('holds every problem of the file, in order, and says so in its message', () => {
    const text = `listen: nowhere
log:
  level: loud
maps:
  - name: a/b
    max_entries: 12288
    durability: forever
  - name: "."
tokens:
  - name: t
    sha256: abc
    scopes: [produce]
`;
    let caught: unknown;
    try {
      configFromText(text, 'f.yaml');
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(ConfigError);
    const { problems, message } = caught as ConfigError;
    expect(problems.map(({ where, path }) => `${where} ${path}`)).toEqual([
      'f.yaml:1 listen',
      'f.yaml:3 log.level',
      'f.yaml:11 tokens[0].sha256',
      'f.yaml:12 tokens[0].scopes[0]',
      'f.yaml:5 maps[0].name',
      'f.yaml:6 maps[0].max_entries',
      'f.yaml:7 maps[0].durability',
      'f.yaml:8 maps[1].name',
      'f.yaml:8 maps[1].max_entries',
    ]);
    expect(message).toBe(problems.map(formatProblem).join('\n'));
  });
});
