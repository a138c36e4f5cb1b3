// A process of its own that holds the lock until it is killed.
import { openSync } from 'node:fs';
import { tryLock } from 'fs-native-extensions';

if (!tryLock(openSync(process.argv[2], 'a+'))) process.exit(1);
process.send('locked');
setInterval(() => {}, 1000);
