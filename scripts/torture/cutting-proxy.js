// @ts-check
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** Bytes after which a connection is cut: inside the handshake at the least, behind some hundred frames at the most. */
const BUDGET_BYTES = { least: 150, most: 60_000 };

/**
 * Stands between producers and the daemon and cuts each connection in both directions after a number of bytes that the
 * seed says: nearly always inside a frame, sometimes inside the handshake.
 */
export class CuttingProxy {
  #server;
  #chance;
  #target;
  /** @type {Set<import('node:net').Socket>} */
  #sockets = new Set();
  #isCutting = false;
  cuts = 0;

  /**
   * @param {number} target port of the daemon
   * @param {import('./chance.js').Chance} chance
   */
  constructor(target, chance) {
    this.#target = target;
    this.#chance = chance;
    this.#server = createServer((client) => this.#join(client));
  }

  /** @returns {Promise<number>} its port */
  async listen() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    return address.port;
  }

  /** @param {boolean} on whether connections that are made from now on get cut */
  set cutting(on) {
    this.#isCutting = on;
  }

  /** @param {import('node:net').Socket} client */
  #join(client) {
    const daemon = connect(this.#target, '127.0.0.1');
    const end = () => {
      for (const socket of [client, daemon]) {
        socket.destroy();
        this.#sockets.delete(socket);
      }
    };
    for (const socket of [client, daemon]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true).on('error', end).on('close', end);
    }
    // Only one direction has the budget; which one decides whether a frame or an acknowledgement is torn.
    const tearsFrames = this.#chance.happens(0.7);
    const budget = this.#isCutting ? this.#chance.whole(BUDGET_BYTES.least, BUDGET_BYTES.most) : Infinity;
    this.#pass(client, daemon, tearsFrames ? budget : Infinity, end);
    this.#pass(daemon, client, tearsFrames ? Infinity : budget / 10, end);
  }

  /**
   * @param {import('node:net').Socket} from
   * @param {import('node:net').Socket} to
   * @param {number} budget bytes
   * @param {() => void} end
   */
  #pass(from, to, budget, end) {
    let left = budget;
    from.on('data', (chunk) => {
      if (chunk.length < left) {
        left -= chunk.length;
        if (!to.write(chunk)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
        return;
      }
      this.cuts++;
      from.pause();
      // What fits the budget arrives; the rest of the frame never does.
      to.end(chunk.subarray(0, Math.floor(left)), end);
    });
  }

  async close() {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
