import { describe, expect, it } from 'vitest';
import { configFromObject, configFromText, loadConfig } from '../../src/server/config.js';
import { problemsOf } from './config-problems.js';

const SHA = 'a'.repeat(64);
const token = (more: object = {}): object => ({ name: 't', sha256: SHA, scopes: ['admin'], ...more });
const map = (more: object = {}): object => ({ name: 'm', max_entries: 4096, ...more });
const handler = (more: object = {}): object => ({ name: 'h', kind: 'count', ...more });
const auto = (more: object = {}): object => ({ mode: 'auto', ...more });

const problems = (value: object): string[] =>
  problemsOf(() => configFromObject(value)).map(({ path, message }) => `${path}: ${message}`);
const accepted = (value: object): void => expect(() => configFromObject(value)).not.toThrow();

describe('listen', () => {
  it.each(['127.0.0.1:0', '127.9.9.9:65535', '[::1]:7890', 'localhost:1'])('%s needs no token', (listen) => {
    accepted({ listen });
  });

  it.each(['0.0.0.0:7890', '[::]:7890', '192.168.1.5:7890', 'ring.example.org:80', '[::2]:1'])(
    '%s is refused without tokens, with advice',
    (listen) => {
      const [problem, ...others] = problems({ listen });
      expect(problem).toMatch(/^listen: .* can be reached from other machines, and no tokens are configured/);
      expect(problem).toMatch(/ringbufd token/);
      expect(problem).toMatch(/--insecure/);
      expect(others).toEqual([]);
      accepted({ listen, tokens: [token()] });
      accepted({ listen, insecure: true });
    },
  );

  it('is blamed on the flag that set it, not on the variable that the flag beats', () => {
    const sources = { env: { RINGBUFD_LISTEN: '127.0.0.1:1' }, flags: { '--listen': '0.0.0.0:1' } };
    const [problem] = problemsOf(() => loadConfig(sources));
    expect(problem).toMatchObject({ path: 'listen', where: '--listen' });
  });

  it.each([
    '7890',
    ':7890',
    '127.0.0.1',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '::1:7890',
    'http://x:1',
    'a b:1',
    '127.1:80',
    '',
  ])('%j is no address', (listen) => {
    expect(problems({ listen })).toEqual([expect.stringMatching(/^listen: must be host:port/)]);
  });
});

describe('names', () => {
  it.each(['a', 'A.b_c-9', '...', '-', 'x'.repeat(64)])('%s is a name', (name) => {
    accepted({ maps: [map({ name })] });
  });

  it.each(['', '.', '..', 'a/b', 'ä', 'a b', 'x'.repeat(65), 'a\n'])('%j is no name', (name) => {
    const line = /: must be 1 to 64 characters of A-Z a-z 0-9 \. _ - and neither "\." nor "\.\.", not /;
    expect(
      problems({ maps: [map({ name, handlers: [handler({ name })] })], tokens: [token({ name })] }),
    ).toEqual([expect.stringMatching(line), expect.stringMatching(line), expect.stringMatching(line)]);
  });

  it('are unique among maps, among handlers of a map and among tokens', () => {
    const maps = [map({ handlers: [handler(), handler()] }), map(), map({ name: 'M' })];
    expect(problems({ maps, tokens: [token(), token({ sha256: 'b'.repeat(64) })] })).toEqual([
      'tokens[1].name: "t" is already used by tokens[0].name',
      'maps[1].name: "m" is already used by maps[0].name',
      'maps[0].handlers[1].name: "h" is already used by maps[0].handlers[0].name',
    ]);
    accepted({ maps: [map({ handlers: [handler()] }), map({ name: 'n', handlers: [handler()] })] });
  });

  it('that are doubled are found although other keys are wrong too', () => {
    expect(problems({ maps: [map({ mode: 'x' }), map({ max_entries: 1 })] })).toEqual([
      expect.stringMatching(/^maps\[0\]\.mode: /),
      expect.stringMatching(/^maps\[1\]\.max_entries: /),
      'maps[1].name: "m" is already used by maps[0].name',
    ]);
  });
});

describe('max_entries', () => {
  it.each([4096, 8192, 65536, 2 ** 30])('%i is a ring size', (max_entries) => {
    accepted({ maps: [map({ max_entries })] });
  });

  it.each([
    [0, 'EINVAL'],
    [-4096, 'EINVAL'],
    [4095, 'EINVAL'],
    [12288, 'nearest: 8192 or 16384'],
    [2048, 'EINVAL'],
    [2 ** 31, 'E2BIG'],
    [2 ** 40, 'E2BIG'],
  ])('%i is none (%s)', (max_entries, reason) => {
    const [problem, ...others] = problems({ maps: [map({ max_entries })] });
    expect(problem).toMatch(/^maps\[0\]\.max_entries: must be a power of two from 4096 to 1073741824/);
    expect(problem).toContain(reason);
    expect(others).toEqual([]);
  });

  it.each(['x', '4096', 4096.5])('%j is no number of bytes', (max_entries) => {
    expect(problems({ maps: [map({ max_entries })] })).toEqual([
      expect.stringMatching(/^maps\[0\]\.max_entries: must be a whole number, not /),
    ]);
  });
});

describe('durability', () => {
  it.each(['written', 'synced'])('%s is for managed maps', (durability) => {
    accepted({ maps: [map({ durability })] });
    expect(problems({ maps: [map({ mode: 'direct', durability })] })).toEqual([
      `maps[0].durability: ${durability} is for managed maps: a direct map is memory`,
    ]);
  });
});

describe('triggers', () => {
  it('are automatic at most once in a map', () => {
    const handlers = [
      handler({ trigger: auto() }),
      handler({ name: 'i' }),
      handler({ name: 'j', trigger: auto() }),
    ];
    expect(problems({ maps: [map({ handlers })] })).toEqual([
      'maps[0].handlers[2].trigger: a map has at most one handler with an auto trigger, and maps[0].handlers[0] has one: use mode: manual here',
    ]);
    accepted({
      maps: [map({ handlers: handlers.slice(0, 2) }), map({ name: 'n', handlers: handlers.slice(1) })],
    });
  });

  it('that wait for more bytes than the ring holds need a delay', () => {
    const maps = (trigger: object): object => ({ maps: [map({ handlers: [handler({ trigger })] })] });
    expect(problems(maps(auto({ min_bytes: 4097 })))).toEqual([
      expect.stringMatching(
        /^maps\[0\]\.handlers\[0\]\.trigger\.min_bytes: 4097 is more than the ring holds \(4096\)/,
      ),
    ]);
    accepted(maps(auto({ min_bytes: 4096 })));
    accepted(maps(auto({ min_bytes: 4097, max_delay_ms: 1 })));
  });
});

describe('limits', () => {
  it('bound the maps of the file', () => {
    const maps = [map(), map({ name: 'n', handlers: [handler(), handler({ name: 'i' })] })];
    expect(
      problems({ maps, limits: { max_maps: 1, max_total_ring_bytes: 8191, max_handlers_per_map: 1 } }),
    ).toEqual([
      'maps: holds 2 maps, more than limits.max_maps (1)',
      'maps: the rings take 8192 bytes together, more than limits.max_total_ring_bytes (8191)',
      'maps[1].handlers: holds 2 handlers, more than limits.max_handlers_per_map (1)',
    ]);
    accepted({ maps, limits: { max_maps: 2, max_total_ring_bytes: 8192, max_handlers_per_map: 2 } });
  });

  it('of the back-off are in order', () => {
    expect(problems({ drain: { backoff_min_ms: 200, backoff_max_ms: 100 } })).toEqual([
      'drain.backoff_min_ms: 200 is more than drain.backoff_max_ms (100)',
    ]);
  });
});

describe('tokens', () => {
  it.each([['sha256:' + SHA], ['a'.repeat(63)], ['g'.repeat(64)], ['']])('sha256 %j is refused', (sha256) => {
    expect(problems({ tokens: [token({ sha256 })] })).toEqual([
      expect.stringMatching(
        /^tokens\[0\]\.sha256: must be the SHA-256 of the token as 64 hexadecimal digits/,
      ),
    ]);
  });

  it('with the same hash are refused, whatever the case of its digits', () => {
    expect(problems({ tokens: [token(), token({ name: 'u', sha256: SHA.toUpperCase() })] })).toEqual([
      `tokens[1].sha256: "${SHA}" is already used by tokens[0].sha256`,
    ]);
  });

  it.each(['admin', 'produce:*', 'drain:sensor-?', 'read:a.b_c-*'])('scope %s is accepted', (scope) => {
    accepted({ tokens: [token({ scopes: [scope] })] });
  });

  it.each(['root', 'admin:*', 'produce', 'produce:', 'write:*', 'read:a/b', 'read:a b', 'Admin'])(
    'scope %j is refused',
    (scope) => {
      expect(problems({ tokens: [token({ scopes: [scope] })] })).toEqual([
        expect.stringMatching(/^tokens\[0\]\.scopes\[0\]: must be admin, produce:GLOB/),
      ]);
    },
  );

  it('say how a scope without a glob is meant', () => {
    expect(problems({ tokens: [token({ scopes: ['drain'] })] })[0]).toMatch(/for all maps write drain:\*$/);
  });

  it('without any scope are refused', () => {
    expect(problems({ tokens: [token({ scopes: [] })] })).toEqual([
      'tokens[0].scopes: must have at least 1 item',
    ]);
  });

  it.each(['tomorrow', '2030-01-01', '2030-01-01T00:00:00', '2030-13-01T00:00:00Z'])(
    'expires %s is refused',
    (expires) => {
      expect(problems({ tokens: [token({ expires })] })).toEqual([
        expect.stringMatching(/^tokens\[0\]\.expires: must be an ISO date-time with a zone/),
      ]);
    },
  );

  it('whose time is over are a warning, from the very millisecond on', () => {
    const value = { tokens: [token({ expires: '2030-01-01T02:00:00+02:00' })] };
    const end = Date.UTC(2030, 0, 1);
    expect(configFromObject(value, end - 1).warnings).toEqual([]);
    expect(configFromObject(value, end).warnings).toEqual([
      { path: 'tokens[0].expires', message: 'the token has expired (2030-01-01T02:00:00+02:00)' },
    ]);
  });
});

describe('allow-lists', () => {
  it.each(['ring.example.org', 'ring.example.org:8443', '[::2]', '[fe80::1]:80', '10.0.0.1'])(
    'host %s',
    (host) => {
      accepted({ allowed_hosts: [host] });
    },
  );

  it.each(['http://ring.example.org', 'a/b', '*', '', 'a:99999', 'user@host'])(
    'host %j is refused',
    (host) => {
      expect(problems({ allowed_hosts: [host] })).toEqual([
        expect.stringMatching(/^allowed_hosts\[0\]: must be a host or host:port/),
      ]);
    },
  );

  it.each(['https://app.example.org', 'http://localhost:3000', 'http://[::1]:5'])('origin %s', (origin) => {
    accepted({ allowed_origins: [origin] });
  });

  it.each([
    'app.example.org',
    'https://app.example.org/',
    'https://a/b',
    'null',
    'ftp://a',
    'https://u@a',
    '',
  ])('origin %j is refused', (origin) => {
    expect(problems({ allowed_origins: [origin] })).toEqual([
      expect.stringMatching(/^allowed_origins\[0\]: must be an origin/),
    ]);
  });

  it('refuse the origin *', () => {
    expect(problems({ allowed_origins: ['*'] })).toEqual([
      expect.stringMatching(/^allowed_origins\[0\]: would let every web page in/),
    ]);
  });
});

describe('warnings', () => {
  const warned = (value: object): string[] => configFromObject(value).warnings.map(({ path }) => path);

  it('are none by default', () => expect(warned({})).toEqual([]));

  it('speak up when everybody may do everything', () => {
    expect(warned({ listen: '10.0.0.1:1', insecure: true })).toEqual(['insecure']);
    expect(warned({ insecure: true })).toEqual([]);
    expect(warned({ trust_proxy: true })).toEqual(['trust_proxy']);
  });

  it('speak up when no remote Host header would be answered', () => {
    expect(warned({ listen: '0.0.0.0:1', tokens: [token()] })).toEqual(['allowed_hosts']);
    expect(warned({ listen: '0.0.0.0:1', tokens: [token()], allowed_hosts: ['r.example'] })).toEqual([]);
  });

  it('name the place of the key', () => {
    const { warnings } = configFromText('trust_proxy: true\n', 'f.yaml');
    expect(warnings[0]?.where).toBe('f.yaml:1');
  });
});
