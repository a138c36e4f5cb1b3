/** docs/CONFIGURATION.md and examples/ringbufd.yaml, made from the schema. A test holds the committed files to it. */
import { configOptions, type ConfigOption } from './config-options.js';
import { ConfigSchema } from './config-schema.js';
import type { SchemaNode } from './config-shape.js';
import { TriggerSchema } from './trigger.js';

/** The whole text of docs/CONFIGURATION.md. */
export function configReference(): string {
  const [top, sections] = grouped();
  const maps = itemsOf('maps');
  return [
    '# Configuration',
    '',
    '<!-- Generated from src/server/config-schema.ts. Do not edit; run UPDATE_DOCS=1 npx vitest run test/docs/configuration.test.ts -->',
    '',
    'Every key can stand in the YAML file (`--config FILE`, or the variable `RINGBUFD_CONFIG`), in an environment',
    'variable, and in a flag of `ringbufd serve`. A flag beats the environment, the environment beats the file, the file',
    'beats the default. A list is replaced as a whole; in a variable or a flag it is YAML or JSON text, such as',
    "`--allowed-hosts '[ring.example.org]'`. Unknown keys, unknown `RINGBUFD_*` variables and wrong types are errors, and",
    'all of them are reported at once. Nothing is converted: `"5"` in quotes is a text and not a number.',
    '',
    '`ringbufd check-config FILE` checks a file without starting anything, `ringbufd token` makes a token, and',
    '[examples/ringbufd.yaml](../examples/ringbufd.yaml) holds every key with its default.',
    '',
    '## Top level',
    '',
    ...optionTable(top),
    ...sections.flatMap(([name, options]) => [
      '',
      `## ${name}`,
      '',
      propertyOf(name).description ?? '',
      '',
      ...optionTable(options),
    ]),
    '',
    '## Items of tokens',
    '',
    ...fieldTable(itemsOf('tokens')),
    '',
    '## Items of maps',
    '',
    ...fieldTable(maps),
    '',
    '## Items of maps[].handlers',
    '',
    ...fieldTable(maps.properties?.handlers?.items ?? {}),
    '',
    '## Triggers',
    '',
    '`trigger: { mode: manual }` is the default. At most one handler of a map has `mode: auto`, with these fields:',
    '',
    ...fieldTable((TriggerSchema as SchemaNode).anyOf?.[1] ?? {}),
    '',
  ].join('\n');
}

/** The whole text of examples/ringbufd.yaml: every key at its default, and one map that works. */
export function configExample(): string {
  const [top, sections] = grouped();
  return [
    '# Every key of ringbufd with its default. Generated from the schema; docs/CONFIGURATION.md has the same as tables.',
    '# Check a file with: ringbufd check-config ringbufd.yaml',
    '',
    ...top.filter(({ key }) => key !== 'tokens' && key !== 'maps').flatMap(exampleLines),
    ...sections.flatMap(([name, options]) => [
      `# ${propertyOf(name).description ?? ''}`,
      `${name}:`,
      ...options.flatMap((option) => exampleLines(option).map((line) => (line === '' ? '' : `  ${line}`))),
    ]),
    ...EXAMPLE_LISTS,
    '',
  ].join('\n');
}

const EXAMPLE_LISTS = [
  `# ${propertyOf('tokens').description ?? ''}`,
  '# Make one with: ringbufd token --name sensors --scope "produce:sensor-*" --scope "read:*"',
  'tokens: []',
  '#  - name: sensors',
  '#    sha256: 0000000000000000000000000000000000000000000000000000000000000000',
  "#    scopes: ['produce:sensor-*', 'read:*']",
  "#    expires: '2030-01-01T00:00:00Z'",
  '',
  `# ${propertyOf('maps').description ?? ''}`,
  'maps:',
  '  - name: example',
  '    # A power of two from 4096 to 1073741824, in bytes.',
  '    max_entries: 65536',
  '    mode: managed',
  '    durability: memory',
  '    handlers:',
  '      # Drains by itself as soon as there is a sample.',
  '      - name: counter',
  '        kind: count',
  '        config: {}',
  '        trigger:',
  '          mode: auto',
  '          flags: []',
  '          min_bytes: 1',
  '          max_delay_ms: 0',
  '      # Drains only when asked to: POST /v1/maps/example/drain',
  '      - name: look',
  '        kind: capture',
  '        config:',
  '          max: 100',
  '        trigger:',
  '          mode: manual',
];

type Section = [name: string, options: ConfigOption[]];

function grouped(): [top: ConfigOption[], sections: Section[]] {
  const sections = new Map<string, ConfigOption[]>();
  const top: ConfigOption[] = [];
  for (const option of configOptions) {
    const [name = ''] = option.path;
    if (option.path.length === 1) top.push(option);
    else sections.set(name, [...(sections.get(name) ?? []), option]);
  }
  return [top, [...sections]];
}

function propertyOf(key: string): SchemaNode {
  return (ConfigSchema as SchemaNode).properties?.[key] ?? {};
}

function itemsOf(key: string): SchemaNode {
  return propertyOf(key).items ?? {};
}

function optionTable(options: readonly ConfigOption[]): string[] {
  return table(
    ['Key', 'Type', 'Default', 'Meaning', 'Environment', 'Flag'],
    options.map(({ key, type, default: value, description, env, flag }) => [
      code(key),
      typeText(type),
      code(JSON.stringify(value)),
      description,
      code(env),
      code(flag),
    ]),
  );
}

function fieldTable(node: SchemaNode): string[] {
  return table(
    ['Field', 'Type', 'Default', 'Meaning'],
    Object.entries(node.properties ?? {}).map(([key, field]) => {
      const required = node.required?.includes(key) === true && field.default === undefined;
      return [code(key), fieldType(field), defaultText(field, required), field.description ?? ''];
    }),
  );
}

function defaultText(field: SchemaNode, required: boolean): string {
  if (field.const !== undefined || required) return 'required';
  return field.default === undefined ? 'absent' : code(JSON.stringify(field.default));
}

function fieldType(field: SchemaNode): string {
  if (field.const !== undefined) return code(field.const);
  if (field.enum !== undefined) return typeText(field.enum.join('|'));
  if (field.type === 'string') return 'text';
  if (field.type === 'array') return 'list';
  return field.type === 'integer' ? 'integer' : 'mapping';
}

function typeText(type: string): string {
  return type.includes('|') ? type.split('|').map(code).join(' or ') : type;
}

const code = (text: string): string => `\`${text}\``;

/** A Markdown table with aligned columns, as the formatter leaves it. */
function table(head: string[], rows: string[][]): string[] {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)];
}

function exampleLines({ path, type, default: value, description }: ConfigOption): string[] {
  const allowed = type.includes('|') ? ` One of ${type.split('|').join(', ')}.` : '';
  return [`# ${description}${allowed}`, `${path.at(-1) ?? ''}: ${yamlText(value)}`, ''];
}

function yamlText(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  return /^[a-z]+$/.test(value) ? value : `'${value}'`;
}
