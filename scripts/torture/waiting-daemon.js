// @ts-check
// A daemon that has loaded its modules and starts when it is told so by a line on stdin: most of a start's time is Node's, and
// a torture wants the daemon's. Its arguments are those of dist/main.js.
import { once } from 'node:events';
import '../../dist/app.js';
import '../../dist/cli/index.js';

// Ends with whoever started it.
process.stdin.once('end', () => process.exit(0));
await once(process.stdin, 'data');
process.stdin.removeAllListeners('end').destroy();
await import('../../dist/main.js');
