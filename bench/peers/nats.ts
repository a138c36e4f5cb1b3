import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Absent, Contender } from './contender.js';
import { natsRequest } from './nats-link.js';
import { freePort, startServer } from './server.js';

const STREAM = 'bench';
const SUBJECT = 'bench.samples';
const STREAM_BYTES = 2 ** 30;
/** JetStream: how many publishes may wait for their ack; nats.go's default is 4,000. */
const JETSTREAM_IN_FLIGHT = 4096;

/** One nats-server for both of its contenders, which never run at the same time. */
export async function startNats(): Promise<readonly (Contender | Absent)[]> {
  const names = ['NATS core, delivered', 'NATS core, nobody subscribed', 'NATS JetStream'] as const;
  const [port, webSocketPort, monitorPort] = [await freePort(), await freePort(), await freePort()];
  const folder = mkdtempSync(join(tmpdir(), 'ringbufd-bench-nats-'));
  const config = join(folder, 'nats.conf');
  writeFileSync(
    config,
    `listen: "127.0.0.1:${port}"
http: "127.0.0.1:${monitorPort}"
websocket { listen: "127.0.0.1:${webSocketPort}", no_tls: true }
jetstream { store_dir: "${folder}", max_mem: ${2 * STREAM_BYTES} }
`,
  );
  const server = await startServer('nats-server', ['-c', config], webSocketPort).catch(
    (error: unknown) => error,
  );
  if (server instanceof Error || !isServer(server)) {
    rmSync(folder, { recursive: true, force: true });
    return names.map((name) => ({ name, absent: 'nats-server is missing: run bench/setup' }));
  }
  let stops = names.length;
  const stop = async (): Promise<void> => {
    if (--stops > 0) return;
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  const created = await natsRequest(webSocketPort, `$JS.API.STREAM.CREATE.${STREAM}`, {
    name: STREAM,
    subjects: [SUBJECT],
    storage: 'memory',
    discard: 'new',
    retention: 'limits',
    max_bytes: STREAM_BYTES,
    num_replicas: 1,
  });
  if (created.error !== undefined) throw new Error(`JetStream: ${JSON.stringify(created.error)}`);
  const common = { server, port: webSocketPort, stop, batches: 'packed' } as const;
  let received = 0;
  return [
    {
      ...common,
      name: names[0],
      link: 'natsDelivered',
      target: 'bench-delivered',
      setting: 'WebSocket port; each producer subscribes to its subject and counts what is delivered',
      overheadBytes: 40,
      settle: async () => {
        // What was delivered was counted by the producers.
      },
    },
    {
      ...common,
      name: names[1],
      link: 'nats',
      target: 'bench-core',
      setting: 'WebSocket port; messages are received and dropped; PING and PONG at the end',
      overheadBytes: 20,
      async settle(_samples, messages) {
        const response = await fetch(`http://127.0.0.1:${monitorPort}/varz`);
        const { in_msgs } = (await response.json()) as { in_msgs: number };
        // Requests of ours count too: it cannot be less.
        if (in_msgs - received < messages)
          throw new Error(`NATS: ${messages} sent, ${in_msgs - received} received`);
        received = in_msgs;
      },
    },
    {
      ...common,
      name: names[2],
      link: 'jetstream',
      target: SUBJECT,
      mostInFlight: JETSTREAM_IN_FLIGHT,
      setting: `WebSocket port, memory stream, discard new, asynchronous acks, ${JETSTREAM_IN_FLIGHT} in flight`,
      overheadBytes: 40,
      async settle(_samples, messages) {
        const info = await natsRequest(webSocketPort, `$JS.API.STREAM.INFO.${STREAM}`, {});
        const stored = (info.state as { messages: number }).messages;
        await natsRequest(webSocketPort, `$JS.API.STREAM.PURGE.${STREAM}`, {});
        if (stored !== messages) throw new Error(`JetStream: ${messages} acknowledged, ${stored} stored`);
      },
    },
  ];
}

function isServer(value: unknown): value is Awaited<ReturnType<typeof startServer>> {
  return typeof value === 'object' && value !== null && 'pid' in value;
}
