import type { WebSocket } from 'ws';
import type { OpenWebSocket } from '../../client/index.js';
import { webSocketOpener } from '../../client/websocket-node.js';

/** How often a slow reader looks at what the daemon said, in ms. */
const SLOW_READ_MS = 500;

/** The connection of one producer, with the means to do to it what networks and bad clients do. */
export class ProducerSocket {
  #socket: WebSocket | undefined;
  #isSlow: boolean;
  readonly open: OpenWebSocket;

  /** @param isSlow reads replies only now and then */
  constructor(isSlow: boolean) {
    this.#isSlow = isSlow;
    this.open = webSocketOpener((socket) => {
      this.#socket = socket;
      if (this.#isSlow) readSlowly(socket);
    });
  }

  /** Ends the connection as a cable that is pulled: no close frame, nothing of what is on its way is read. */
  cut(): void {
    this.#socket?.terminate();
  }

  /** Reads at full speed again, over connections to come as well, so that a run can end. */
  hurry(): void {
    this.#isSlow = false;
    this.#socket?.emit(HURRY);
  }
}

const HURRY = 'ringbufd.hurry';

function readSlowly(socket: WebSocket): void {
  let timer: NodeJS.Timeout | undefined;
  // From the first message on, which is WELCOME: a producer that is never welcomed tests nothing.
  socket.once('message', () => {
    socket.pause();
    timer = setInterval(() => {
      socket.resume();
      setImmediate(() => {
        if (timer !== undefined) socket.pause();
      });
    }, SLOW_READ_MS);
  });
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
    socket.resume();
  };
  socket.once('close', stop);
  socket.once(HURRY, stop);
}
