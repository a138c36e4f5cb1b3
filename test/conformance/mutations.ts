/**
 * `npm run conformance:mutations [-- TEXT]`: puts mistakes into copies of src/ring, one at a time, and replays the committed traces
 * on each. A mistake that no trace notices is a missing trace. Prints the table for docs/CONFORMANCE.md. With a
 * TEXT, only mistakes with that text in their description. Exit status: 0 all
 * caught; 1 one survived, or does not apply.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MutantMessage } from './mutant.js';
import { MUTATIONS, type Mutation } from './mutation-list.js';
import { copyProject, makeMistake, runTests, type Finding } from '../support/source-mutation.js';
import { Progress } from './progress.js';

const MUTANT = fileURLToPath(new URL('./mutant.ts', import.meta.url));
const PARALLEL = 2;
/** A mistake may well make a loop endless. The whole replay takes a few seconds. */
const TIMEOUT_MS = 45_000;

interface Verdict extends Finding {
  mutation: Mutation;
}

/** A copy of `src/ring` with one mistake. @throws Error when the text does not occur exactly once */
function copyWith(mutation: Mutation, folder: string): string {
  copyProject(folder, 'src/ring', 'test/ring');
  const ring = join(folder, 'src', 'ring');
  makeMistake(join(ring, mutation.file), mutation);
  return ring;
}

function replayTraces(ring: string): Promise<Finding> {
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

async function judge(mutation: Mutation): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), 'ringbufd-mutant-'));
  try {
    const ring = copyWith(mutation, folder);
    const verdict =
      mutation.caughtBy === undefined
        ? await replayTraces(ring)
        : await runTests(folder, [mutation.caughtBy], TIMEOUT_MS);
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
