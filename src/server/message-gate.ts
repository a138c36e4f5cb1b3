import type { SessionSocket } from './session-socket.js';

interface HeldMessage {
  data: Uint8Array;
  isBinary: boolean;
}

/**
 * Stands between a socket and its session. While the session waits for room, the socket is paused and what had been
 * read already (at most one read) is kept here, in order.
 */
export class MessageGate {
  readonly #socket: SessionSocket;
  readonly #handle: (data: Uint8Array, isBinary: boolean) => void;
  readonly #onIdle: () => void;
  #held: HeldMessage[] = [];
  #shut = false;

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
    if (this.#shut) this.#held.push({ data, isBinary });
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
    const held = this.#held;
    this.#held = [];
    for (const [index, { data, isBinary }] of held.entries()) {
      this.#handle(data, isBinary);
      // The handler may have shut the gate again, which the compiler cannot see.
      if (this.#shut as boolean) {
        this.#held = held.slice(index + 1);
        return;
      }
    }
    this.#socket.resume();
    this.#onIdle();
  }

  /** Forgets what is held; returns how many messages that were. */
  drop(): number {
    const dropped = this.#held.length;
    this.#held = [];
    return dropped;
  }
}
