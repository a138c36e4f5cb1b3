/** Peers that fail now and then: a webhook server, and clients that attach themselves as a remote handler. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { attachUrl, RawHandler } from '../support/raw-handler.js';
import type { Random } from '../conformance/recorder/random.js';

/** Counts what it does wrong, by name. */
export type Faults = Map<string, number>;

export function note(faults: Faults, name: string): void {
  faults.set(name, (faults.get(name) ?? 0) + 1);
}

export interface WebhookPeer {
  readonly url: string;
  /** From now on it behaves. */
  calm(): void;
  stop(): Promise<void>;
}

/** Answers 200 to nine requests in ten; otherwise it hangs, fails, redirects, hangs up, or answers without end. */
export async function startWebhookPeer(random: Random, faults: Faults): Promise<WebhookPeer> {
  let calm = false;
  const sockets = new Set<Socket>();
  const acts: Record<string, (response: ServerResponse) => void> = {
    'webhook hangs': () => undefined,
    'webhook 500': (response) => response.writeHead(500).end(),
    'webhook 429': (response) => response.writeHead(429, { 'retry-after': '1' }).end(),
    'webhook redirects': (response) => response.writeHead(302, { location: 'http://10.0.0.1/' }).end(),
    'webhook hangs up': (response) => response.socket?.resetAndDestroy(),
    'webhook endless body': (response) => {
      response.writeHead(200);
      const chunk = Buffer.alloc(65_536);
      const send = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', send);
      send();
    },
  };
  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    request.resume().on('end', () => {
      const name = !calm && random.chance(0.1) ? random.pick(Object.keys(acts)) : undefined;
      if (name === undefined) response.writeHead(200).end();
      else {
        note(faults, name);
        acts[name]!(response);
      }
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    calm: () => (calm = true),
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Attaches a client that does one thing wrong with its first delivery, then leaves. */
export async function attachHostileClient(
  url: string,
  map: string,
  handler: string,
  { random, faults }: { random: Random; faults: Faults },
): Promise<void> {
  const client = await RawHandler.open(attachUrl(url, map, handler, 'credit=65536&client=hostile'));
  const acts: Record<string, (number: number, samples: number) => void> = {
    'remote never answers': () => undefined,
    'remote answers twice': (number, samples) => {
      client.answer(number, samples);
      client.answer(number, samples);
    },
    'remote answers for more': (number, samples) => client.answer(number, samples + 1),
    'remote answers for one never given': (number) => client.answer(number + 1000, 1),
    'remote dies in the middle': () => client.terminate(),
    'remote says that it failed': (number) => client.fail(number, 'by intent'),
    'remote sends nonsense': () => client.send(Buffer.from('nonsense')),
  };
  const name = random.pick(Object.keys(acts));
  client.onDelivery = ({ number, samples }) => {
    client.onDelivery = () => undefined;
    note(faults, name);
    acts[name]!(number, samples.length);
    setTimeout(() => client.terminate(), 300);
  };
}
