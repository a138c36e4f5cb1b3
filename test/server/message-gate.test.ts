import { describe, expect, it } from 'vitest';
import { MessageGate } from '../../src/server/message-gate.js';
import { fakeSocket, type FakeSocket } from '../support/fake-socket.js';

interface Fixture {
  gate: MessageGate;
  socket: FakeSocket;
  handled: string[];
  idle: () => number;
  /** What handling a message of this text does beside noting it. */
  on: Map<string, () => void>;
  message: (text: string, isBinary?: boolean) => void;
}

function fixture(): Fixture {
  const socket = fakeSocket();
  const handled: string[] = [];
  const on = new Map<string, () => void>();
  let idle = 0;
  const gate = new MessageGate(
    socket,
    (data, isBinary) => {
      const text = Buffer.from(data).toString();
      handled.push(isBinary ? `${text} (binary)` : text);
      on.get(text)?.();
    },
    () => void idle++,
  );
  return {
    gate,
    socket,
    handled,
    idle: () => idle,
    on,
    message: (text, isBinary = false) => gate.message(Buffer.from(text), isBinary),
  };
}

describe('the message gate', () => {
  it('lets messages through while open', () => {
    const { handled, message, socket } = fixture();
    message('a');
    message('b', true);
    expect([handled, socket.paused]).toEqual([['a', 'b (binary)'], false]);
  });

  it('pauses the socket, holds what had been read, and hands it over in order before it reads on', () => {
    const { gate, socket, handled, message, idle } = fixture();
    gate.shutDown();
    expect([gate.shut, socket.paused]).toEqual([true, true]);
    for (const text of ['a', 'b', 'c']) message(text);
    expect(handled).toEqual([]);
    gate.open();
    expect([handled, socket.paused, gate.shut, idle()]).toEqual([['a', 'b', 'c'], false, false, 1]);
  });

  it('holds copies: what it is given is lent', () => {
    const { gate, handled } = fixture();
    const lent = Buffer.from('a');
    gate.shutDown();
    gate.message(lent, true);
    lent.fill('z');
    gate.open();
    expect(handled).toEqual(['a (binary)']);
  });

  it('stops at a message that shuts it again and keeps the rest', () => {
    const { gate, socket, handled, message, idle, on } = fixture();
    on.set('b', () => gate.shutDown());
    gate.shutDown();
    for (const text of ['a', 'b', 'c']) message(text);
    gate.open();
    expect([handled, socket.paused, gate.shut, idle()]).toEqual([['a', 'b'], true, true, 0]);
    message('d');
    gate.open();
    expect([handled, socket.paused, idle()]).toEqual([['a', 'b', 'c', 'd'], false, 1]);
  });

  it('handles nothing that came behind a message which ended the session', () => {
    const { gate, socket, handled, message, idle, on } = fixture();
    let dropped = 0;
    on.set('bad', () => (dropped = gate.drop()));
    gate.shutDown();
    for (const text of ['a', 'bad', 'c', 'd']) message(text);
    gate.open();
    expect([handled, dropped, idle()]).toEqual([['a', 'bad'], 2, 0]);
    // The peer's answer to the close is still to be read.
    expect(socket.paused).toBe(false);
  });

  it('forgets what it held when dropped, and reads on for the sake of the closing handshake', () => {
    const { gate, socket, handled, message } = fixture();
    gate.shutDown();
    message('a');
    message('b');
    expect(gate.drop()).toBe(2);
    expect([socket.paused, handled]).toEqual([false, []]);
    expect(gate.drop()).toBe(0);
  });
});
