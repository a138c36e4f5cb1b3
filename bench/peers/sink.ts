import { nodeArguments } from '../measure/child.js';
import type { Contender } from './contender.js';
import { freePort, startServer } from './server.js';

export async function startSink(): Promise<Contender> {
  const port = await freePort();
  const server = await startServer(
    process.execPath,
    nodeArguments('peers/sink-process.ts', String(port)),
    port,
  );
  return {
    name: 'bare ws server',
    link: 'sink',
    server,
    port,
    target: '',
    setting: 'counts bytes, keeps nothing, acknowledges nothing until the end',
    overheadBytes: 16,
    batches: 'frames',
    settle: async () => {
      // What it counted was compared by the producers.
    },
    stop: () => server.stop(),
  };
}
