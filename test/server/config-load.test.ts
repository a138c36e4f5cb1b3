import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ConfigError,
  configFromObject,
  configFromText,
  configOptions,
  loadConfig,
} from '../../src/server/config.js';
import { problemsOf } from './config-problems.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringbufd-config-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function file(text: string): string {
  const path = join(directory, 'ringbufd.yaml');
  writeFileSync(path, text);
  return path;
}

describe('defaults', () => {
  // Written out by hand, so that a default that moves by accident is noticed.
  it('are those that the contract fixes', () => {
    expect(loadConfig({ env: {} }).config).toEqual({
      listen: '127.0.0.1:7890',
      data_dir: './data',
      handlers_dir: '',
      insecure: false,
      trust_proxy: false,
      allowed_hosts: [],
      allowed_origins: [],
      shutdown_grace_ms: 10000,
      log: { level: 'info', format: 'auto' },
      producers: { lease_ms: 30000, heartbeat_ms: 30000, state_ttl_ms: 86400000 },
      drain: { turn_time_ms: 5, max_turn_samples: 131072, backoff_min_ms: 100, backoff_max_ms: 30000 },
      webhooks: { allow: [] },
      limits: {
        max_maps: 1024,
        max_total_ring_bytes: 4294967296,
        max_connections: 16384,
        max_connections_per_address: 16384,
        max_sockets: 17408,
        max_frame_bytes: 1048576,
        max_body_bytes: 1048576,
        max_reservations_per_connection: 1024,
        max_handlers_per_map: 16,
        max_producers_per_map: 16384,
        max_queued_bytes: 1048576,
        max_shadow_bytes: 262144,
        max_ledger_runs_per_map: 16384,
        max_requests_per_minute: 6000,
        max_peek_samples: 1000,
        max_unread_answer_bytes: 67108864,
        answer_timeout_ms: 30000,
        max_disk_wait_ms: 100,
        max_event_loop_delay_ms: 1000,
        max_file_bytes_per_map: 1073741824,
        max_quarantine_bytes_per_map: 64 * 2 ** 20,
      },
      tokens: [],
      maps: [],
    });
  });

  it('are filled in inside list items', () => {
    const text = `
maps:
  - name: a
    max_entries: 4096
    handlers:
      - { name: h, kind: count }
      - { name: i, kind: count, trigger: { mode: auto } }
`;
    const plain = { on_error: { policy: 'stop' }, enabled: true, shadow: false };
    expect(configFromText(text).config.maps).toEqual([
      {
        name: 'a',
        max_entries: 4096,
        mode: 'managed',
        durability: 'memory',
        ledger: 'count',
        handlers: [
          { name: 'h', kind: 'count', config: {}, trigger: { mode: 'manual' }, ...plain },
          {
            name: 'i',
            kind: 'count',
            config: {},
            trigger: { mode: 'auto', flags: [], min_bytes: 1, max_delay_ms: 0 },
            ...plain,
          },
        ],
      },
    ]);
  });

  it('of an empty file are all defaults', () => {
    expect(loadConfig({ file: file('# nothing yet\n') }).config).toEqual(loadConfig().config);
  });
});

describe('precedence', () => {
  it('is flags over environment over file over defaults, key by key', () => {
    const sources = {
      file: file('listen: 127.0.0.1:1\nlog: { level: warn }\nlimits: { max_maps: 1, max_connections: 1 }\n'),
      env: { RINGBUFD_LISTEN: '127.0.0.1:2', RINGBUFD_LIMITS_MAX_MAPS: '2', PATH: '/bin' },
      flags: { '--listen': '127.0.0.1:3' },
    };
    const { config } = loadConfig(sources);
    expect(config.listen).toBe('127.0.0.1:3');
    expect(config.limits.max_maps).toBe(2);
    expect(config.limits.max_connections).toBe(1);
    expect(config.log).toEqual({ level: 'warn', format: 'auto' });
    expect(config.data_dir).toBe('./data');
  });

  it('replaces lists as a whole', () => {
    const { config } = loadConfig({
      file: file('allowed_hosts: [a.example, b.example]\n'),
      env: { RINGBUFD_ALLOWED_HOSTS: '["c.example"]' },
    });
    expect(config.allowed_hosts).toEqual(['c.example']);
  });

  it('takes the file from RINGBUFD_CONFIG when none is given', () => {
    const env = { RINGBUFD_CONFIG: file('data_dir: /elsewhere\n') };
    expect(loadConfig({ env }).config.data_dir).toBe('/elsewhere');
    expect(loadConfig({ env, flags: { '--data-dir': 'x' } }).config.data_dir).toBe('x');
  });
});

describe('text of variables and flags', () => {
  it('is read by the type in the schema', () => {
    const { config } = loadConfig({
      env: {
        RINGBUFD_INSECURE: 'true',
        RINGBUFD_SHUTDOWN_GRACE_MS: '0',
        RINGBUFD_DATA_DIR: '5',
        RINGBUFD_MAPS: '[{name: m, max_entries: 4096}]',
      },
      flags: { '--allowed-origins': '["https://app.example"]' },
    });
    expect(config.insecure).toBe(true);
    expect(config.shutdown_grace_ms).toBe(0);
    expect(config.data_dir).toBe('5');
    expect(config.maps[0]?.name).toBe('m');
    expect(config.allowed_origins).toEqual(['https://app.example']);
  });

  it.each([
    [
      'RINGBUFD_LIMITS_MAX_MAPS',
      '5k',
      'limits.max_maps',
      'must be a whole number of at least 1, not the text "5k"',
    ],
    [
      'RINGBUFD_LIMITS_MAX_MAPS',
      '',
      'limits.max_maps',
      'must be a whole number of at least 1, not the text ""',
    ],
    ['RINGBUFD_LIMITS_MAX_MAPS', '-1', 'limits.max_maps', 'must be a whole number of at least 1, not -1'],
    ['RINGBUFD_INSECURE', 'yes', 'insecure', 'must be true or false, not the text "yes"'],
    [
      'RINGBUFD_ALLOWED_HOSTS',
      'a.example',
      'allowed_hosts',
      'must be a list, not the text "a.example" (write a list, such as [a, b])',
    ],
    [
      'RINGBUFD_MAPS',
      '[{name: m',
      'maps',
      expect.stringMatching(/^must be a list as YAML or JSON text: /) as string,
    ],
    ['RINGBUFD_MAPS', '[{name: m}]', 'maps[0].max_entries', expect.stringMatching(/^is missing: /) as string],
    ['RINGBUFD_LOG_LEVEL', 'debgu', 'log.level', expect.stringMatching(/did you mean debug\?$/) as string],
  ])('%s=%s is refused', (name, text, path, message) => {
    expect(problemsOf(() => loadConfig({ env: { [name]: text } }))).toEqual([{ path, message, where: name }]);
  });

  it('of an unknown variable is refused with the nearest name', () => {
    expect(problemsOf(() => loadConfig({ env: { RINGBUFD_LIMIT_MAX_MAPS: '1' } }))).toEqual([
      {
        path: '',
        where: 'RINGBUFD_LIMIT_MAX_MAPS',
        message: 'unknown variable; did you mean RINGBUFD_LIMITS_MAX_MAPS?',
      },
    ]);
  });

  it('of an unknown flag is refused with the nearest name', () => {
    const [problem] = problemsOf(() => loadConfig({ flags: { '--lisen': 'x' } }));
    expect(problem).toMatchObject({ where: '--lisen', message: 'unknown flag; did you mean --listen?' });
  });
});

describe('files', () => {
  it('that are missing are named', () => {
    const [problem] = problemsOf(() => loadConfig({ file: join(directory, 'none.yaml') }));
    expect(problem?.message).toMatch(/^cannot read .*none\.yaml: there is no such file/);
  });

  it.each([
    ['a: [1', 1],
    ['listen: "x:1"\nlisten: "y:1"\n', 2],
    ['listen: !env HOME\n', 1],
    ['a: 1\n---\nb: 2\n', 2],
  ])('%j is not valid YAML', (text, line) => {
    const [problem] = problemsOf(() => configFromText(text, 'f.yaml'));
    expect(problem).toMatchObject({ path: '', where: `f.yaml:${line}` });
    expect(problem?.message).toMatch(/^not valid YAML: /);
  });

  it('that expand aliases without end are refused', () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) =>
        `x${i}: &x${i} [${
          i === 0
            ? '1'
            : Array(9)
                .fill(`*x${i - 1}`)
                .join(',')
        }]`,
    );
    const [problem] = problemsOf(() => configFromText(levels.join('\n')));
    expect(problem?.message).toMatch(/^not valid YAML: /);
  });

  it.each([['- a\n'], ['just text\n'], ['5\n']])('%j at the top is no configuration', (text) => {
    const [problem, ...others] = problemsOf(() => configFromText(text));
    expect(problem?.message).toMatch(/^must be a mapping \(lines of key: value\)/);
    expect(others).toEqual([]);
  });

  it('that are no mapping are not judged further', () => {
    const env = { RINGBUFD_LISTEN: '0.0.0.0:1' };
    const problems = problemsOf(() => loadConfig({ file: file('- a\n'), env }));
    expect(problems.map(({ message }) => message)).toEqual([expect.stringMatching(/^must be a mapping/)]);
  });

  it.each(['5', '', '[]', 'text'])('with "limits: %s" still have everything else checked', (limits) => {
    const text = `limits: ${limits}\nmaps: [{ name: m, max_entries: 4096, handlers: [{ name: h, kind: k }, { name: h, kind: k }] }]\n`;
    const env = { RINGBUFD_LIMITS_MAX_MAPS: '1', RINGBUFD_LISTEN: 'x' };
    const problems = problemsOf(() => loadConfig({ file: file(text), env }));
    expect(problems.map(({ path }) => path)).toEqual(['limits', 'listen', 'maps[0].handlers[1].name']);
  });

  it('in JSON are YAML too', () => {
    expect(configFromText('{"limits": {"max_maps": 7}}').config.limits.max_maps).toBe(7);
  });
});

describe('the result', () => {
  it('is frozen at every depth', () => {
    const { config } = configFromObject({
      maps: [
        {
          name: 'm',
          max_entries: 4096,
          handlers: [{ name: 'h', kind: 'count', config: { deep: { a: [] } } }],
        },
      ],
    });
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      expect(Object.isFrozen(value)).toBe(true);
      Object.values(value).forEach(visit);
    };
    visit(config);
    expect(() => ((config as { listen: string }).listen = 'x')).toThrow(TypeError);
  });

  it('shares nothing with the input or with other results', () => {
    const input = { maps: [{ name: 'm', max_entries: 4096 }], limits: { max_maps: 2 } };
    const first = configFromObject(input).config;
    expect(input).toEqual({ maps: [{ name: 'm', max_entries: 4096 }], limits: { max_maps: 2 } });
    expect(Object.isFrozen(input.maps)).toBe(false);
    expect(configFromObject({}).config.tokens).not.toBe(first.tokens);
  });
});

describe('any input at all', () => {
  const loadsOrExplains = (load: () => unknown): void => {
    try {
      load();
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      for (const { message } of (error as ConfigError).problems) expect(message).not.toBe('');
    }
  };

  it('gives a configuration or problems, never another error', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => loadsOrExplains(() => configFromObject(value))));
    const option = fc.constantFrom(...configOptions);
    const item = fc.record(
      {
        name: fc.jsonValue(),
        max_entries: fc.jsonValue(),
        handlers: fc.array(fc.jsonValue()),
        scopes: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(option, fc.oneof(fc.jsonValue(), fc.array(item)), ({ path }, value) => {
        const input = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
        loadsOrExplains(() => configFromObject(input));
      }),
    );
  });

  it('as text of files, variables and flags likewise', () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.string({ unit: fc.constantFrom(...'[]{}:,-&*!|> \n"a1') }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...configOptions), text, ({ env, flag }, value) => {
        loadsOrExplains(() => configFromText(value));
        loadsOrExplains(() => loadConfig({ env: { [env]: value } }));
        loadsOrExplains(() => loadConfig({ flags: { [flag]: value } }));
      }),
    );
  });
});
