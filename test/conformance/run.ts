/** `npm run conformance -- [--ring-only] [FILE...]`, as a process. */
import { runConformance } from './cli.js';

process.exitCode = await runConformance(process.argv.slice(2), {
  out: (line) => console.log(line),
  error: (line) => console.error(line),
});
