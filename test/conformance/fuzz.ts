/** `npm run conformance:fuzz -- [--seed S] [--count N] [--first I] [--out FOLDER]`, as a process. */
import { runFuzz } from './fuzz-cli.js';

process.exitCode = await runFuzz(process.argv.slice(2), {
  out: (line) => console.log(line),
  error: (line) => console.error(line),
});
