/** Measures the case in its only argument (JSON) and prints what it took (JSON). */
import { measureRingSpeed, type RingSpeedCase } from './ring-speed.js';

const measured = JSON.parse(process.argv[2] ?? '{}') as RingSpeedCase;
console.log(JSON.stringify(await measureRingSpeed(measured)));
