/**
 * `npm run conformance:mutations [-- TEXT]`: puts mistakes into copies of src/ring, one at a time, and replays the committed traces
 * on each. A mistake that no trace notices is a missing trace. Prints the table for docs/CONFORMANCE.md. With a
 * TEXT, only mistakes with that text in their description. Exit status: 0 all
 * caught; 1 one survived, or does not apply.
 */
import { fork, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MutantMessage } from './mutant.js';
import { MUTATIONS, type Mutation } from './mutation-list.js';
import { Progress } from './progress.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MUTANT = fileURLToPath(new URL('./mutant.ts', import.meta.url));
const PARALLEL = 2;
/** A mistake may well make a loop endless. The whole replay takes a few seconds. */
const TIMEOUT_MS = 45_000;

interface Verdict {
  mutation: Mutation;
  /** The trace or test that noticed; undefined for a survivor. */
  caughtBy: string | undefined;
  how: string;
}

/** A copy of `src/ring` with one mistake. @throws Error when the text does not occur exactly once */
function copyWith(mutation: Mutation, folder: string): string {
  const ring = join(folder, 'src', 'ring');
  cpSync(join(ROOT, 'src', 'ring'), ring, { recursive: true });
  const file = join(ring, mutation.file);
  const source = readFileSync(file, 'utf8');
  const places = source.split(mutation.find).length - 1;
  if (places !== 1)
    throw new Error(
      `"${mutation.what}" does not apply: ${places} times in ${mutation.file}: ${mutation.find}`,
    );
  writeFileSync(
    file,
    source.replace(mutation.find, () => mutation.replace),
  );
  return ring;
}

function replayTraces(ring: string): Promise<Omit<Verdict, 'mutation'>> {
  return new Promise((resolve) => {
    const child = fork(MUTANT, [ring], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], timeout: TIMEOUT_MS });
    let running = 'the start';
    let caught: { caughtBy: string; how: string } | undefined;
    let stderr = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('message', (message: MutantMessage) => {
      if ('begins' in message) running = message.begins;
      else caught = { caughtBy: message.caught, how: message.field };
    });
    child.on('close', (code, signal) => {
      if (caught) resolve(caught);
      else if (signal) resolve({ caughtBy: running, how: 'never ends' });
      else if (code !== 0)
        resolve({ caughtBy: running, how: /^\w*Error: .*$/m.exec(stderr)?.[0] ?? `exit status ${code}` });
      else resolve({ caughtBy: undefined, how: '' });
    });
  });
}

/** Runs the unit test that is to notice what no trace can show, against the copy. */
function runTest(test: string, folder: string): Omit<Verdict, 'mutation'> {
  cpSync(join(ROOT, 'test', 'ring'), join(folder, 'test', 'ring'), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const { status, stderr } = spawnSync(process.execPath, [vitest, 'run', '--root', folder, test], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  // File and describe block; the names of table tests are not worth a row.
  const failed = /FAIL\s+([^>\n]+> [^>\n]+?) >/.exec(stderr)?.[1];
  return status !== 0 && failed
    ? { caughtBy: failed, how: 'the test fails' }
    : { caughtBy: undefined, how: '' };
}

async function judge(mutation: Mutation): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), 'ringbufd-mutant-'));
  try {
    const ring = copyWith(mutation, folder);
    const verdict =
      mutation.caughtBy === undefined ? await replayTraces(ring) : runTest(mutation.caughtBy, folder);
    return { mutation, ...verdict };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main(text = ''): Promise<number> {
  const mutations = MUTATIONS.filter(({ what }) => what.includes(text));
  const progress = new Progress('mutations', mutations.length);
  const verdicts = new Array<Verdict>(mutations.length);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < mutations.length) {
      const place = next++;
      verdicts[place] = await judge(mutations[place]!);
      progress.step();
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  progress.end();
  console.log('| rule | mistake | caught by | at |');
  console.log('| --- | --- | --- | --- |');
  for (const { mutation, caughtBy, how } of verdicts)
    console.log(`| ${mutation.rule} | ${mutation.what} | ${caughtBy ?? '**nothing**'} | ${how} |`);
  const survivors = verdicts.filter(({ caughtBy }) => caughtBy === undefined).length;
  console.log(`${verdicts.length - survivors} passed, ${survivors} failed`);
  return survivors === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv[2]);
