import { HeldMessages } from './held-messages.js';
import type { SessionSocket } from './session-socket.js';

/**
 * Stands between a socket and its session. While the session waits for room, the socket is paused and what had been
 * read already (at most one read) is kept here, in order.
 */
export class MessageGate {
  readonly #socket: SessionSocket;
  readonly #handle: (data: Uint8Array, isBinary: boolean) => void;
  readonly #onIdle: () => void;
  readonly #held = new HeldMessages();
  #shut = false;
  #dropped = false;

  /** @param onIdle called when everything that was held has been handled */
  constructor(
    socket: SessionSocket,
    handle: (data: Uint8Array, isBinary: boolean) => void,
    onIdle: () => void,
  ) {
    this.#socket = socket;
    this.#handle = handle;
    this.#onIdle = onIdle;
  }

  /** Whether the session waits. */
  get shut(): boolean {
    return this.#shut;
  }

  message(data: Uint8Array, isBinary: boolean): void {
    if (this.#shut) this.#held.add(data, isBinary);
    else this.#handle(data, isBinary);
  }

  shutDown(): void {
    if (this.#shut) return;
    this.#shut = true;
    this.#socket.pause();
  }

  /** Handles what was held, until the session waits again; then reads on. */
  open(): void {
    this.#shut = false;
    // Each message leaves the queue before it is handled: its handler may shut the gate again, or drop the rest.
    for (let next = this.#held.take(); next !== undefined; next = this.#held.take()) {
      this.#handle(next.data, next.isBinary);
      if (this.#shut as boolean) return;
    }
    if (this.#dropped) return;
    this.#socket.resume();
    this.#onIdle();
  }

  /** Forgets what is held, for good: the session has ended. Returns how many messages that were. */
  drop(): number {
    this.#dropped = true;
    const dropped = this.#held.count;
    this.#held.clear();
    // A paused socket would never see the end of the closing handshake.
    this.#socket.resume();
    return dropped;
  }
}
