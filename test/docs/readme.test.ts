/** The examples of README.md do what it says, typed as they stand; only the address is the test's own. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { MAIN } from '../support/daemon-process.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TIMEOUT_MS = 60_000;
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const exec = promisify(execFile);

/** The code blocks of a section that are in `language`. */
function blocksOf(heading: string, language: string): string[] {
  const section = readme.split(/^## /m).find((text) => text.startsWith(heading)) ?? '';
  return [...section.matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
    .filter(([, tag]) => tag === language)
    .map(([, , code]) => code!);
}

const isThere = (command: string): boolean => spawnSync(command, ['--version']).status === 0;
const canRun = isThere('bash') && isThere('curl') && existsSync(MAIN);

if (!canRun)
  describe('bash, curl or the built daemon is not there', () => {
    it.skip('NOT RUN: the examples of README.md (npm run build makes dist/)', () => undefined);
  });

describe.skipIf(!canRun)('README.md', { timeout: TIMEOUT_MS }, () => {
  let daemon: TestDaemon;

  beforeEach(async () => (daemon = await startDaemon()));
  afterEach(() => daemon.close());

  async function run(command: string, ...args: [...string[], string]): Promise<string> {
    const code = args.pop()!.replaceAll('127.0.0.1:7890', daemon.host);
    return (await exec(command, [...args, code], { cwd: ROOT, timeout: TIMEOUT_MS })).stdout;
  }

  it('leads to a first map, with the answer that it shows', async () => {
    const [start, ...others] = blocksOf('A first map', 'sh');
    expect(start).toContain('ringbufd serve');
    const said: string[] = [];
    for (const block of others) said.push(await run('bash', '-ec', block));
    const [made, overWebSocket, overRest, looked] = said;
    expect(said).toHaveLength(4);
    expect(made).toContain('"kind":"capture"');
    expect(overWebSocket).toBe('closed with 1000\n');
    expect(JSON.parse(overRest!)).toMatchObject({ accepted: 2 });
    const samples = ['hello', 'world', 'from', 'curl'];
    for (const sample of samples) {
      expect(looked).toContain(`"sample":"${sample}"`);
      expect(looked).toContain(`"head":"${Buffer.from(sample).toString('hex')}"`);
    }
    const [shown] = blocksOf('A first map', 'json');
    expect(looked).toContain(JSON.stringify(JSON.parse(shown!)));
  });

  it('has an example of the SDK that runs', async () => {
    await daemon.rest.createMap('first');
    const [code] = blocksOf('The SDK', 'js');
    expect(await run('node', '--input-type=module', '-e', code!)).toBe('');
    expect(
      (await daemon.rest.drainSamples('first')).map((hex) => Buffer.from(hex, 'hex').toString()),
    ).toEqual(['one', 'two', '\u0003', 'hello']);
  });

  it('makes a map that can be proven', async () => {
    const blocks = blocksOf('What an acknowledgement means', 'sh').join('\n').split('\n');
    const lines = blocks.filter((line) => line !== '' && !line.startsWith('#'));
    // Its daemon was started in the checkout.
    const here = lines.map((line) => line.replace('inspect data', `inspect ${daemon.dataDir}`));
    const said = await run('bash', '-ec', here.join('\n').replaceAll('npx ringbufd', `node ${MAIN}`));
    expect(said).toContain('"accepted":3');
    expect(said).toMatch(/accepted +3 samples/);
    expect(said).toMatch(/^PROVEN/m);
  });
});
