/**
 * Handlers that do their map harm, one of each sort: code that loops, traps, leaks and exits, servers that hang and lie, clients that
 * do not answer for what they are given. Each does it for every sample that begins with {@link HOSTILE_BYTE}.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServerResponse } from 'node:http';
import { answer, neverAnswer, Receiver, type Behaviour } from '../server/handlers/webhook-receiver.js';
import type { DaemonProcess } from './daemon-process.js';
import { attachUrl, RawHandler, type Delivered } from './raw-handler.js';
import { until } from './until.js';
import { buildWasm, handlerParts, op } from './wasm-builder.js';

/** "X": the probe run of the verifier has no sample like that. */
export const HOSTILE_BYTE = 0x58;

export interface HostileHandler {
  readonly name: string;
  /** What drains through it end with, again and again; undefined where they succeed all the same. */
  readonly errno?: 'EIO' | 'EINVAL' | 'ETIMEDOUT';
  /** Whether its map gets its samples delivered in the end. */
  readonly delivers: boolean;
  /** Registers it on a map, as "hostile" with an auto trigger. Returns what ends its server or client. */
  start(daemon: DaemonProcess, map: string): Promise<() => Promise<void>>;
}

const GIGABYTE = 1_000_000_000;

async function register(
  { rest }: DaemonProcess,
  map: string,
  kind: string,
  config: Record<string, unknown>,
): Promise<void> {
  const body = { kind, config, trigger: { mode: 'auto' } };
  await rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/hostile`, body);
}

function wasm(name: string, errno: HostileHandler['errno'], harm: number[]): HostileHandler {
  const isHostile = [...op.get(0), ...op.load8, ...op.const(HOSTILE_BYTE), ...op.equal];
  const body = [...isHostile, ...op.if(harm), ...op.const(0)];
  const module = Buffer.from(buildWasm(handlerParts(body))).toString('base64');
  return {
    name: `wasm that ${name}`,
    ...(errno && { errno }),
    delivers: false,
    async start(daemon, map) {
      await register(daemon, map, 'wasm', { module, budget_ms: 100 });
      return () => Promise.resolve();
    },
  };
}

function module(name: string, errno: HostileHandler['errno'], harm: string): HostileHandler {
  const code = `const kept = [];\nexport default (sample, ctx) => { ${harm} };\n`;
  return {
    name: `module that ${name}`,
    ...(errno && { errno }),
    delivers: false,
    async start(daemon, map) {
      writeFileSync(join(daemon.handlersDir, `${map}.mjs`), code);
      // A leak has to meet its ceiling, not the time bound.
      const budget = /kept/.test(harm) ? 20_000 : 100;
      await register(daemon, map, 'module', { file: `${map}.mjs`, budget_ms: budget, memory_mb: 32 });
      return () => Promise.resolve();
    },
  };
}

interface WebhookFault {
  errno?: HostileHandler['errno'];
  delivers?: boolean;
  behaviour: () => Behaviour;
}

function webhook(name: string, { errno, delivers = false, behaviour }: WebhookFault): HostileHandler {
  return {
    name: `webhook whose server ${name}`,
    ...(errno && { errno }),
    delivers,
    async start(daemon, map) {
      const receiver = await Receiver.start({ behaviours: [behaviour()] });
      const bounds = { timeout_ms: errno === 'ETIMEDOUT' ? 100 : 5000, budget_ms: 10_000, max_attempts: 1 };
      await register(daemon, map, 'webhook', { url: receiver.url(), max_batch_samples: 20, ...bounds });
      return () => receiver.stop();
    },
  };
}

/** A 500 and a 200, in turns. */
function secondAttempts(): Behaviour {
  let request = 0;
  return (response, message) => answer(request++ % 2 === 0 ? 500 : 200)(response, message);
}

function sendGigabyte(response: ServerResponse): void {
  response.on('error', () => undefined);
  response.writeHead(200, { 'content-length': GIGABYTE });
  const chunk = Buffer.alloc(100_000);
  let left = GIGABYTE / chunk.length;
  const send = (): void => {
    while (left > 0 && !response.destroyed) if ((left--, !response.write(chunk))) return;
    if (left === 0) response.end();
  };
  response.on('drain', send);
  send();
}

interface RemoteFault {
  errno?: HostileHandler['errno'];
  delivers?: boolean;
  /** What the client does with a delivery. */
  act: (client: RawHandler, delivery: Delivered) => void;
}

function remote(name: string, { errno, delivers = false, act }: RemoteFault): HostileHandler {
  return {
    name: `remote whose client ${name}`,
    ...(errno && { errno }),
    delivers,
    async start(daemon, map) {
      const timeout = errno === 'ETIMEDOUT' ? 100 : 5000;
      await register(daemon, map, 'remote', { timeout_ms: timeout, max_batch_bytes: 1024 });
      let stopped = false;
      let current: RawHandler | undefined;
      // Whenever the daemon or its own fault ended it, it comes back.
      const attach = async (): Promise<void> => {
        const client = await RawHandler.open(attachUrl(daemon.url, map, 'hostile', 'credit=1048576'));
        current = client;
        client.onDelivery = (delivery) => act(client, delivery);
        // The first may have come together with ATTACHED, before anybody listened.
        for (const delivery of client.deliveries) act(client, delivery);
        if (client.closed === undefined) client.socket.once('close', again);
        if (stopped) client.terminate();
      };
      const again = (): void => {
        if (!stopped) attach().catch(() => undefined);
      };
      await attach();
      return () => {
        stopped = true;
        current?.terminate();
        return Promise.resolve();
      };
    },
  };
}

/** Leaves when it was told that its answer is not wanted any more. */
function neverAnswers(client: RawHandler): void {
  const isOver = (): boolean =>
    client.closed !== undefined || client.notices.some((notice) => notice.startsWith('cancel'));
  until(isOver, 'CANCEL', 30_000).then(
    () => client.terminate(),
    () => client.terminate(),
  );
}

/** Every sort there is; each is to cost its own map alone. */
export const HOSTILE_HANDLERS: readonly HostileHandler[] = [
  wasm('loops for ever', 'ETIMEDOUT', op.forever),
  wasm('traps', 'EIO', op.unreachable),
  wasm('grows its memory by 1 GiB', 'EIO', [
    ...[...op.const(16_384), ...op.grow, ...op.const(-1), ...op.equal],
    ...op.if(op.unreachable),
  ]),
  wasm('answers 2', 'EINVAL', [...op.const(2), ...op.return]),
  module('loops for ever', 'ETIMEDOUT', 'for (;;);'),
  module('throws', 'EIO', "throw new Error('by intent');"),
  module('calls process.exit', 'EIO', 'process.exit(3);'),
  module('leaves a rejection unhandled', 'EIO', "void Promise.reject(new Error('by intent')); return 0;"),
  module('allocates 1 GB', 'EIO', `kept.push(Buffer.alloc(${GIGABYTE})); return 0;`),
  module('leaks without end', 'EIO', 'for (;;) kept.push(new Array(1000).fill(kept.length));'),
  module('answers 2', 'EINVAL', 'return 2;'),
  module('answers a promise', 'EINVAL', 'return Promise.resolve(0);'),
  webhook('never answers', { errno: 'ETIMEDOUT', behaviour: () => neverAnswer }),
  webhook('answers 500, then 200', { errno: 'EIO', delivers: true, behaviour: secondAttempts }),
  webhook('redirects to a private address', {
    errno: 'EIO',
    behaviour: () => answer(302, { location: 'http://10.0.0.1/' }),
  }),
  webhook('sends a body of 1 GB', { delivers: true, behaviour: () => sendGigabyte }),
  remote('never answers', { errno: 'ETIMEDOUT', act: neverAnswers }),
  remote('answers twice', {
    delivers: true,
    act(client, { number, samples }) {
      client.answer(number, samples.length);
      client.answer(number, samples.length);
    },
  }),
  remote('answers for more than it was given', {
    errno: 'EINVAL',
    act: (client, { number, samples }) => {
      client.answer(number, samples.length + 1);
      // Refused once, it is not asked again.
      until(() => client.closed !== undefined || client.notices.includes('standby'), 'refused', 1000).then(
        () => client.terminate(),
        () => client.terminate(),
      );
    },
  }),
  remote('dies in the middle of a batch', { errno: 'EIO', act: (client) => client.terminate() }),
];
