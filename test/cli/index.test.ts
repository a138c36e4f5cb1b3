import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { configOptions } from '../../src/server/config.js';
import { run } from './cli-run.js';

const plain = (text: string): string => text.replace(/\s+/g, ' ');

describe('help and version', () => {
  it('--version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await run(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('--help names every command', async () => {
    const { code, stdout, stderr } = await run(['--help']);
    expect([code, stderr]).toEqual([0, '']);
    for (const command of ['serve', 'check-config', 'token', 'load'])
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });

  it('serve --help shows every key of the schema with its meaning and default', async () => {
    const { code, stdout } = await run(['serve', '--help']);
    expect(code).toBe(0);
    for (const { flag, type, description, default: value } of configOptions) {
      expect(stdout).toContain(`  ${flag} `);
      const allowed = type.includes('|') ? ` One of ${type.replaceAll('|', ', ')}.` : '';
      const shown = typeof value === 'string' ? value : JSON.stringify(value);
      expect(plain(stdout)).toContain(plain(`${description}${allowed} (default: ${shown})`));
    }
  });

  it('serve --help shows no flag that the schema does not know', async () => {
    const { stdout } = await run(['serve', '--help']);
    const shown = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag);
    const known = configOptions.map(({ flag }) => flag);
    expect(shown.sort()).toEqual([...known, '--config', '--help'].sort());
  });
});

describe('a wrong command line', () => {
  it.each([
    [['srve'], /unknown command 'srve'[^]*Did you mean serve\?/],
    [['serve', '--lisen', 'x'], /unknown option '--lisen'[^]*Did you mean --listen\?/],
    [['serve', '--limits-max-map', '5'], /unknown option[^]*Did you mean --limits-max-maps\?/],
    [['serve', '--listen'], /option '--listen <text>' argument missing/],
    [['serve', 'ringbufd.yaml'], /too many arguments/],
    [['check-config'], /missing required argument 'file'/],
    [['check-config', 'a', 'b'], /too many arguments/],
    [['--verison'], /unknown option '--verison'[^]*Did you mean --version\?/],
  ])('%j ends with code 2 and advice', async (argv, message) => {
    const { code, stdout, stderr, served } = await run(argv);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^ringbufd: /);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/--help/);
    expect(served).toEqual([]);
  });

  it('without a command prints the help to standard error and ends with code 2', async () => {
    const { code, stdout, stderr } = await run([]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^Usage: ringbufd/);
  });
});
