import { describe, expect, it } from 'vitest';
import { loadOptions } from '../../../src/cli/load/load-options.js';
import { run } from '../cli-run.js';

const plain = (text: string): string => text.replace(/\s+/g, ' ');

describe('load --help', () => {
  it('shows every option of the table with its meaning and default, and nothing else', async () => {
    const { code, stdout } = await run(['load', '--help']);
    expect(code).toBe(0);
    for (const { flags, description, default: value } of loadOptions) {
      expect(stdout).toContain(`  ${flags}`);
      expect(plain(stdout)).toContain(
        plain(value === undefined ? description : `${description} (default: ${value})`),
      );
    }
    const shown = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag);
    expect(shown).toHaveLength(loadOptions.length + 1);
  });
});

describe('a wrong option of load', () => {
  it.each([
    [['--producers', '0'], /--producers: "0" is not a number from 1 to/],
    [['--producers', '1.5'], /--producers: "1.5" is not a whole number/],
    [['--rate', 'fast'], /--rate: "fast" is not a number/],
    [['--duration', 'long'], /--duration: "long" is not a time of at least 100 ms, such as 10s/],
    [['--sample-size', '-1'], /--sample-size: "-1" is not a size/],
    [['--map', 'a/b'], /--map: "a\/b" is not 1 to 64 characters/],
    [['--url', 'ftp://x'], /--url: "ftp:\/\/x" is not an address such as/],
    [['--durability', 'forever'], /--durability: "forever" is not one of memory, written, synced/],
    [['--reserve-share', '101'], /--reserve-share: "101" is not a number from 0 to 100/],
    [['--producers', '2', '--slow-reader', '3'], /--slow-reader: "3" is not a number from 0 to 2/],
    [['--token-file', '/nowhere/token'], /--token-file: ENOENT/],
    [['--rest', '--cut', '1s', '--reserve-share', '5'], /--cut, --reserve-share: not with --rest/],
    [['extra'], /too many arguments/],
  ])('%j ends with code 2 and says what is wrong', async (argv, message) => {
    const { code, stdout, stderr } = await run(['load', ...argv]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });
});
