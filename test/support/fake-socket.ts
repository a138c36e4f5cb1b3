import { decodeServerFrame, isFrameError, type ServerFrame } from '../../src/wire/index.js';
import type { SessionSocket } from '../../src/server/session-socket.js';

/** A {@link SessionSocket} that remembers what was done to it. */
export interface FakeSocket extends SessionSocket {
  readonly sent: (Uint8Array | string)[];
  readonly closes: { code: number; reason: string }[];
  paused: boolean;
  queuedBytes: number;
  congested: boolean;
  /** What was sent, decoded, and taken off the list. */
  frames(): ServerFrame[];
}

/** @param options.keep sent bytes stay queued: the client does not read */
export function fakeSocket(options: { keep?: boolean } = {}): FakeSocket {
  const socket: FakeSocket = {
    sent: [],
    closes: [],
    paused: false,
    queuedBytes: 0,
    congested: false,
    send(message) {
      socket.sent.push(message);
      if (options.keep) socket.queuedBytes += message.length;
    },
    close: (code, reason) => void socket.closes.push({ code, reason }),
    pause: () => void (socket.paused = true),
    resume: () => void (socket.paused = false),
    frames: () =>
      socket.sent.splice(0).map((message) => {
        const frame = decodeServerFrame(message as Uint8Array);
        if (isFrameError(frame)) throw new Error(frame.message);
        return frame;
      }),
  };
  return socket;
}
