import type { Clock } from './clock.js';

/** A connection that is asked for a sign of life now and then. */
export interface HeartbeatPeer {
  /** Set by the heartbeat when it pings; cleared by the peer at every sign of life, and when a pause ends. */
  awaitingPong: boolean;
  /** A connection that the daemon itself has paused cannot answer: its silence does not count. */
  readonly deadlineSuspended: boolean;
  ping(): void;
  /** Ends the connection without a handshake: nobody is there. */
  terminate(): void;
}

/** Pings every peer once an interval, and ends those that were silent for a whole one. Knows nothing of sockets. */
export class Heartbeat {
  readonly #peers = new Set<HeartbeatPeer>();
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #onLost: () => void;
  #cancel: (() => void) | undefined;

  /**
   * @param intervalMs 0 = no heartbeat at all
   * @param onLost called for each connection that was ended
   */
  constructor(clock: Clock, intervalMs: number, onLost: () => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#onLost = onLost;
  }

  add(peer: HeartbeatPeer): void {
    this.#peers.add(peer);
    if (this.#intervalMs > 0) this.#cancel ??= this.#clock.after(this.#intervalMs, () => this.#beat());
  }

  delete(peer: HeartbeatPeer): void {
    this.#peers.delete(peer);
    if (this.#peers.size === 0) this.stop();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #beat(): void {
    this.#cancel = this.#clock.after(this.#intervalMs, () => this.#beat());
    for (const peer of [...this.#peers]) {
      if (peer.awaitingPong && !peer.deadlineSuspended) {
        this.#peers.delete(peer);
        peer.terminate();
        this.#onLost();
        continue;
      }
      peer.awaitingPong = true;
      // Paused peers are pinged too: writing is how a socket that is not read from finds out that the other side has gone.
      peer.ping();
    }
  }
}
