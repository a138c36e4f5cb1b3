import { inProcess } from './in-process/suite.js';
import { latency } from './latency/suite.js';
import type { Group } from './measure/group.js';
import { soak } from './scale/soak.js';
import { scale } from './scale/suite.js';
import { webSocket } from './websocket/suite.js';

/** Every group, in the order in which they run. */
export const groups: readonly Group[] = [inProcess, webSocket, latency, scale, soak];
