/**
 * `npm run journal:mutations [-- TEXT]`: puts mistakes into copies of src/server/journal, one at a time, and runs the
 * journal's tests on each. Prints the table for docs/DURABILITY.md. With a TEXT, only mistakes with that text in their
 * description. Exit status: 0 all caught; 1 one survived, or does not apply.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Progress } from '../../conformance/progress.js';
import {
  buildProject,
  copyProject,
  makeMistake,
  runTests,
  type Finding,
} from '../../support/source-mutation.js';
import { JOURNAL_MUTATIONS, type JournalMutation } from './mutation-list.js';

const PARALLEL = 2;
const TIMEOUT_MS = 120_000;
/** Those that need no other part of the daemon. */
const TESTS = [
  'checksum',
  'disk-waits',
  'loop-committer',
  'shown-records',
  'commit-choice',
  'file-journal',
  'file-store',
  'power-loss',
  'damage',
];

/** @param mutation absent: what the tests say of the sources as they are */
async function judge(mutation?: JournalMutation): Promise<Finding> {
  const folder = mkdtempSync(join(tmpdir(), 'ringbufd-mutant-'));
  try {
    copyProject(folder, 'src', 'test/server/journal', 'test/support');
    if (mutation !== undefined)
      makeMistake(join(folder, 'src', 'server', 'journal', mutation.file), mutation);
    // Threads run what was built.
    await buildProject(folder);
    const tests = TESTS.map((name) => `test/server/journal/${name}.test.ts`);
    return await runTests(folder, tests, TIMEOUT_MS);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main(text = ''): Promise<number> {
  const mutations = JOURNAL_MUTATIONS.filter(({ what }) => what.includes(text));
  const asTheyAre = await judge();
  if (asTheyAre.caughtBy !== undefined || asTheyAre.how !== '') {
    console.error(`the tests fail without a mistake: ${asTheyAre.caughtBy ?? asTheyAre.how}`);
    return 1;
  }
  const progress = new Progress('mutations', mutations.length);
  const findings = new Array<Finding>(mutations.length);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < mutations.length) {
      const place = next++;
      findings[place] = await judge(mutations[place]);
      progress.step();
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  progress.end();
  console.log('| mistake | caught by |');
  console.log('| --- | --- |');
  for (const [place, { what }] of mutations.entries())
    console.log(`| ${what} | ${findings[place]!.caughtBy ?? `**nothing** ${findings[place]!.how}`} |`);
  const survivors = findings.filter(({ caughtBy }) => caughtBy === undefined).length;
  console.log(`${findings.length - survivors} passed, ${survivors} failed`);
  return survivors === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv[2]);
