import { describe, expect, it } from 'vitest';
import { EncodedFrame } from '../../src/server/encoded-frame.js';
import { Outbox } from '../../src/server/outbox.js';
import { Op, type AckFrame, type ServerFrame, type WakeupFrame } from '../../src/wire/index.js';
import { fakeSocket, type FakeSocket } from '../support/fake-socket.js';

const ack = (seq: number): AckFrame => ({
  op: Op.ACK,
  durability: 'memory',
  seq,
  producerPos: BigInt(seq * 16),
  consumerPos: BigInt(seq),
});

const wakeup = (fields: Partial<WakeupFrame> = {}): EncodedFrame<WakeupFrame> =>
  new EncodedFrame<WakeupFrame>({
    op: Op.WAKEUP,
    forced: false,
    writable: false,
    atOnce: false,
    drained: 1,
    seq: 1n,
    producerPos: 16n,
    consumerPos: 16n,
    ...fields,
  });

const error = (seq: bigint): ServerFrame => ({
  op: Op.ERROR,
  request: Op.OUTPUT,
  errno: 28,
  seq,
  accepted: 0,
  retryAfterMs: 0,
  producerPos: 0n,
  consumerPos: 0n,
  message: 'full',
});

interface Fixture {
  socket: FakeSocket;
  outbox: Outbox;
  slow: () => number;
}

function fixture(maxQueuedBytes = 1000, keep = false): Fixture {
  const socket = fakeSocket({ keep });
  let slow = 0;
  const outbox = new Outbox(socket, 'binary', maxQueuedBytes, () => void slow++);
  return { socket, outbox, slow: () => slow };
}

describe('the outbox of a client that reads', () => {
  it('sends everything at once and merges nothing', () => {
    const { socket, outbox } = fixture();
    outbox.ack(ack(1));
    expect(outbox.wakeup(wakeup({ seq: 1n }))).toBe(false);
    outbox.ack(ack(2));
    expect(outbox.wakeup(wakeup({ seq: 2n }))).toBe(false);
    expect(socket.frames().map(({ op, seq }) => [op, Number(seq)])).toEqual([
      [Op.ACK, 1],
      [Op.WAKEUP, 1],
      [Op.ACK, 2],
      [Op.WAKEUP, 2],
    ]);
  });

  it('writes each dialect', () => {
    const socket = fakeSocket();
    new Outbox(socket, 'json', 1000, () => undefined).ack(ack(1));
    expect(socket.sent).toEqual([
      '{"op":"ack","seq":"1","durability":"memory","producer_pos":"16","consumer_pos":"1"}',
    ]);
  });
});

describe('the outbox of a client that reads slowly', () => {
  it('keeps the newest ACK only', () => {
    const { socket, outbox } = fixture();
    socket.congested = true;
    for (let seq = 1; seq <= 100; seq++) outbox.ack(ack(seq));
    expect(socket.sent).toEqual([]);
    outbox.flush();
    expect(socket.frames()).toEqual([ack(100)]);
    outbox.flush();
    expect(socket.sent).toEqual([]);
  });

  it('merges WAKEUPs: flags OR, samples summed, newest number and positions', () => {
    const { socket, outbox } = fixture();
    socket.congested = true;
    expect(outbox.wakeup(wakeup({ forced: true, drained: 3, seq: 1n }))).toBe(false);
    expect(outbox.wakeup(wakeup({ writable: true, drained: 4, seq: 2n, consumerPos: 64n }))).toBe(true);
    expect(
      outbox.wakeup(wakeup({ atOnce: true, drained: 5, seq: 3n, producerPos: 96n, consumerPos: 80n })),
    ).toBe(true);
    outbox.flush();
    expect(socket.frames()).toEqual([
      wakeup({
        forced: true,
        writable: true,
        atOnce: true,
        drained: 12,
        seq: 3n,
        producerPos: 96n,
        consumerPos: 80n,
      }).frame,
    ]);
    // The next one starts anew.
    expect(outbox.wakeup(wakeup({ drained: 1 }))).toBe(false);
  });

  it('keeps the sum of drained samples within a u32', () => {
    const { socket, outbox } = fixture();
    socket.congested = true;
    outbox.wakeup(wakeup({ drained: 2 ** 32 - 2 }));
    outbox.wakeup(wakeup({ drained: 131072 }));
    outbox.flush();
    expect(socket.frames()[0]).toMatchObject({ drained: 2 ** 32 - 1 });
  });

  it('never merges an ERROR, and sends it behind the ACK that came before it', () => {
    const { socket, outbox } = fixture();
    socket.congested = true;
    outbox.ack(ack(1));
    outbox.wakeup(wakeup());
    outbox.send(error(2n));
    outbox.send(error(2n));
    expect(socket.frames().map(({ op, seq }) => [op, Number(seq)])).toEqual([
      [Op.ACK, 1],
      [Op.WAKEUP, 1],
      [Op.ERROR, 2],
      [Op.ERROR, 2],
    ]);
  });

  it('closes with 4408 once the byte limit is passed, and sends nothing afterwards', () => {
    const { socket, outbox, slow } = fixture(100, true);
    // 44 bytes each: the third one passes 100.
    for (let i = 1; i <= 10; i++) outbox.send(error(BigInt(i)));
    expect(socket.frames().map(({ seq }) => seq)).toEqual([1n, 2n, 3n]);
    expect(socket.closes).toEqual([{ code: 4408, reason: expect.stringMatching(/^ENOSPC/) as string }]);
    expect(slow()).toBe(1);
    outbox.ack(ack(9));
    outbox.wakeup(wakeup());
    outbox.flush();
    outbox.close(1000, 'bye');
    expect([socket.sent, socket.closes.length, slow()]).toEqual([[], 1, 1]);
  });

  it('stays open at exactly the limit', () => {
    const { socket, outbox } = fixture(2 * 44, true);
    outbox.send(error(1n));
    outbox.send(error(2n));
    expect(socket.closes).toEqual([]);
  });
});

describe('closing', () => {
  it('sends what was held back, then the close, then nothing', () => {
    const { socket, outbox } = fixture();
    socket.congested = true;
    outbox.ack(ack(3));
    outbox.close(4506, 'EBUSY: replaced');
    outbox.ack(ack(4));
    outbox.send(error(5n));
    outbox.close(4507, 'again');
    expect(socket.frames()).toEqual([ack(3)]);
    expect(socket.closes).toEqual([{ code: 4506, reason: 'EBUSY: replaced' }]);
  });

  it('cuts a reason to the 123 bytes that fit, between characters', () => {
    const { socket, outbox } = fixture();
    outbox.close(4505, `EPROTO: ${'€'.repeat(100)}`);
    const { reason } = socket.closes[0]!;
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
    expect(reason).toBe(`EPROTO: ${'€'.repeat(38)}`);
  });
});
