import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliError, explainListenError } from '../../src/cli/index.js';
import { configFromText, configOptions } from '../../src/server/config.js';
import { configExample } from '../../src/server/config-reference.js';
import { TokenStore } from '../../src/server/tokens.js';
import { run } from './cli-run.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringbufd-cli-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function file(text: string): string {
  const path = join(directory, 'ringbufd.yaml');
  writeFileSync(path, text);
  return path;
}

describe('serve', () => {
  it('hands over the configuration of file, environment and flags', async () => {
    const { code, served, stdout, stderr } = await run(
      [
        'serve',
        '--config',
        file('data_dir: /a\nlisten: 127.0.0.1:1\n'),
        '--listen',
        '127.0.0.1:3',
        '--insecure',
      ],
      { env: { RINGBUFD_LISTEN: '127.0.0.1:2', RINGBUFD_LIMITS_MAX_MAPS: '9' } },
    );
    expect([code, stdout, stderr]).toEqual([0, '', '']);
    expect(served).toHaveLength(1);
    expect(served[0]?.config).toMatchObject({ data_dir: '/a', listen: '127.0.0.1:3', insecure: true });
    expect(served[0]?.config.limits.max_maps).toBe(9);
  });

  it.each([
    [['--insecure'], true],
    [['--insecure', 'true'], true],
    [['--insecure', 'false'], false],
    [['--insecure=false'], false],
    [[], false],
  ])('%j sets insecure to %s', async (flags, expected) => {
    const { served } = await run(['serve', ...flags]);
    expect(served[0]?.config.insecure).toBe(expected);
  });

  it('has a flag that works for every key', async () => {
    const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
    const { code, served } = await run([
      'serve',
      ...configOptions.flatMap(({ flag, default: value }) => [flag, text(value)]),
    ]);
    expect(code).toBe(0);
    expect(served[0]?.config).toEqual(configFromText('').config);
  });

  it('prints every problem and starts nothing', async () => {
    const config = file('listn: x\nlog: { level: loud }\n');
    const { code, stdout, stderr, served } = await run(
      ['serve', '-c', config, '--limits-max-maps', 'many', '--insecure=maybe'],
      { env: { RINGBUFD_LOG_FROMAT: 'json' } },
    );
    expect([code, stdout, served]).toEqual([1, '', []]);
    expect(stderr.split('\n')).toEqual([
      'ringbufd: the configuration has 5 problems',
      `  ${config}:1: listn: unknown key; did you mean "listen"?`,
      `  ${config}:2: log.level: must be one of fatal, error, warn, info, debug, trace, silent, not the text "loud"`,
      '  RINGBUFD_LOG_FROMAT: unknown variable; did you mean RINGBUFD_LOG_FORMAT?',
      '  --insecure: insecure: must be true or false, not the text "maybe"',
      '  --limits-max-maps: limits.max_maps: must be a whole number of at least 1, not the text "many"',
      '',
    ]);
  });

  it('says plainly that the port is taken', async () => {
    const serve = async (): Promise<void> => {
      const cause = Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE' });
      throw explainListenError(cause, '127.0.0.1:7890') ?? cause;
    };
    const { code, stderr } = await run(['serve'], { serve });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^ringbufd: cannot listen on 127\.0\.0\.1:7890: another process already does\n.*--listen/,
    );
  });

  it('lets errors of the daemon itself through', async () => {
    const serve = async (): Promise<void> => {
      throw new RangeError('a defect');
    };
    await expect(run(['serve'], { serve })).rejects.toThrow('a defect');
  });
});

describe('listen errors', () => {
  it.each(['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN'])('%s is explained', (code) => {
    const explained = explainListenError(Object.assign(new Error('x'), { code }), 'h:1');
    expect(explained).toBeInstanceOf(CliError);
    expect(explained?.message).toMatch(/^cannot listen on h:1: /);
    expect(explained?.advice).toMatch(/\.$/);
  });

  it.each([new Error('x'), undefined, 'x'])('%s is not one', (error) => {
    expect(explainListenError(error, 'h:1')).toBeUndefined();
  });
});

describe('check-config', () => {
  it('says ok and what the file sets up', async () => {
    const path = file(configExample());
    const { code, stdout, stderr } = await run(['check-config', path]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.split('\n')).toEqual([
      `ok: ${path}`,
      '  listen    127.0.0.1:7890',
      '  data_dir  ./data',
      '  tokens    none: every caller may do everything',
      '  maps      1, with 65536 bytes of rings and 2 handlers',
      '            example: 65536 bytes, managed, memory',
      '',
    ]);
  });

  it('prints warnings and is content', async () => {
    const path = file('trust_proxy: true\n');
    const { code, stdout } = await run(['check-config', path]);
    expect(code).toBe(0);
    expect(stdout).toContain(`warning: ${path}:1: trust_proxy: everybody`);
  });

  it('prints every problem with its path and ends with code 1', async () => {
    const path = file('maps:\n  - name: a/b\n    max_entries: "4096"\n');
    const { code, stdout, stderr } = await run(['check-config', path]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr.split('\n')).toEqual([
      'ringbufd: the configuration has 2 problems',
      expect.stringMatching(/:2: maps\[0\]\.name: must be 1 to 64 characters/),
      expect.stringMatching(/:3: maps\[0\]\.max_entries: .*write it without quotes/),
      '',
    ]);
  });

  it('names the handlers that their kinds refuse', async () => {
    const path = file(`maps:
  - name: a
    max_entries: 4096
    handlers:
      - { name: x, kind: nope }
      - { name: y, kind: capture, config: { maxi: 3 } }
`);
    const { code, stderr } = await run(['check-config', path]);
    expect(code).toBe(1);
    expect(stderr).toContain('maps[0].handlers[0]: x: "nope" is none of count, capture, log, file');
    expect(stderr).toContain('maps[0].handlers[1]: y: config.maxi is not a known key');
  });

  it('finds samples that would go round over several maps, and names the way', async () => {
    const map = (name: string, to: string): string => `  - name: ${name}
    max_entries: 4096
    handlers:
      - { name: x, kind: count, on_error: { policy: dead_letter, map: ${to} } }
`;
    const sound = await run(['check-config', file(`maps:\n${map('a', 'b')}${map('b', 'c')}`)]);
    expect([sound.code, sound.stderr]).toEqual([0, '']);
    const round = await run([
      'check-config',
      file(`maps:\n${map('a', 'b')}${map('b', 'c')}${map('c', 'a')}`),
    ]);
    expect(round.code).toBe(1);
    expect(round.stderr).toContain('maps[2].handlers[0]: x: samples would go round: "c" → "a" → "b" → "c"');
    expect(round.stderr).not.toContain('maps[0]');
  });

  it('names a file that is not there', async () => {
    const { code, stderr } = await run(['check-config', join(directory, 'none.yaml')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/cannot read .*none\.yaml: there is no such file/);
  });

  it('sees the environment as serve would', async () => {
    const env = { RINGBUFD_LISTEN: '0.0.0.0:1' };
    const { code, stderr } = await run(['check-config', file('')], { env });
    expect(code).toBe(1);
    expect(stderr).toContain('RINGBUFD_LISTEN: listen: 0.0.0.0:1 can be reached from other machines');
  });
});

describe('token', () => {
  const tokenOf = (stdout: string): string => /^rbd_[\w-]{43}$/m.exec(stdout)?.[0] ?? '';

  it('prints a token and an entry that lets it in', async () => {
    const { code, stdout, stderr } = await run([
      ...['token', '--name', 'sensors', '--scope', 'produce:s-*', 'read:*', '--scope', 'drain:x'],
      ...['--expires', '2100-01-01T00:00:00Z'],
    ]);
    expect([code, stderr]).toEqual([0, '']);
    const token = tokenOf(stdout);
    const { config } = configFromText(stdout.replace(token, ''));
    expect(config.tokens).toEqual([
      {
        name: 'sensors',
        sha256: createHash('sha256').update(token).digest('hex'),
        scopes: ['produce:s-*', 'read:*', 'drain:x'],
        expires: '2100-01-01T00:00:00Z',
      },
    ]);
    expect(new TokenStore(config.tokens).authenticate(token, 0)).toMatchObject({ name: 'sensors' });
  });

  it('is an admin by default, and another token each time', async () => {
    const [first, second] = [await run(['token']), await run(['token'])];
    expect(configFromText(first.stdout.replace(tokenOf(first.stdout), '')).config.tokens).toMatchObject([
      { name: 'admin', scopes: ['admin'] },
    ]);
    expect(tokenOf(first.stdout)).not.toBe('');
    expect(tokenOf(first.stdout)).not.toBe(tokenOf(second.stdout));
  });

  it('with fewer rights is called client by default', async () => {
    const { stdout } = await run(['token', '--scope', 'read:*']);
    expect(configFromText(stdout.replace(tokenOf(stdout), '')).config.tokens).toMatchObject([
      { name: 'client', scopes: ['read:*'] },
    ]);
  });

  it.each([
    [['--name', 'a/b'], /name: must be 1 to 64 characters/],
    [['--scope', 'produce'], /scopes\[0\]: must be admin.*for all maps write produce:\*/],
    [['--expires', 'soon'], /expires: must be an ISO date-time/],
  ])('%j is refused', async (flags, message) => {
    const { code, stdout, stderr } = await run(['token', ...flags]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });
});

describe.each([['inspect'], ['migrate', 'orders', '--max-entries', '4096']])('%s', (command, ...rest) => {
  it('says what to give when nothing is at the path', async () => {
    const path = join(directory, 'dat');
    const { code, stdout, stderr } = await run([command, path, ...rest]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(`there is nothing at ${path}\nGive the data_dir of a daemon`);
  });
});
