import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface ReceivedRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Answers one request; the body has been read. */
export type Behaviour = (response: ServerResponse, request: IncomingMessage) => void;

export const answer =
  (status: number, headers: Record<string, string> = {}): Behaviour =>
  (response) =>
    response.writeHead(status, headers).end('x');

export const neverAnswer: Behaviour = () => undefined;

export const reset: Behaviour = (response) => response.socket?.resetAndDestroy();

/** A real HTTP server. Behaviours are used up in order; the last one stays. */
export class Receiver {
  readonly requests: ReceivedRequest[] = [];
  readonly sockets: Socket[] = [];
  readonly #behaviours: Behaviour[];
  readonly #server = createServer({ keepAlive: true }, (request, response) => this.#take(request, response));

  private constructor(behaviours: Behaviour[]) {
    this.#behaviours = behaviours;
    this.#server.on('connection', (socket) => {
      this.sockets.push(socket);
      socket.on('error', () => undefined);
    });
  }

  static async start(options: { behaviours?: Behaviour[]; host?: string; port?: number }): Promise<Receiver> {
    const { behaviours = [answer(200)], host = '127.0.0.1', port = 0 } = options;
    const receiver = new Receiver(behaviours);
    await new Promise<void>((resolve, reject) => {
      receiver.#server.once('error', reject).listen(port, host, resolve);
    });
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path = '/hook', host = '127.0.0.1'): string {
    return `http://${host}:${this.port}${path}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request;
      this.requests.push({ method, path, headers, body: Buffer.concat(chunks) });
      const behaviour = this.#behaviours.length > 1 ? this.#behaviours.shift() : this.#behaviours[0];
      behaviour?.(response, request);
    });
  }
}
