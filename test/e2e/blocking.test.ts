/** on_full=block: outputs that wait for room. */
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/ring/index.js';
import { buildOutputFrame, Op, Subprotocol } from '../../src/wire/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { clientFrame, Opcode, upgradeRequest } from '../support/raw-socket.js';
import type { RawClient } from '../support/raw-client.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

/** A sample whose record takes 1 KiB: four fill the ring. */
const kib = (mark: number): Uint8Array => new Uint8Array(1016).fill(mark);

describe('on_full=block', () => {
  const clock = new ManualClock({ realSoon: true });
  const test = useDaemon({ producers: { heartbeat_ms: 1000 } }, { clock });
  const waiting = (map: string, count: number): Promise<unknown> =>
    until(
      async () => (await test.daemon.rest.showMap(map)).producers_waiting === count,
      `${count} producers wait for room`,
    );
  const marksOf = (heads: string[]): number[] => heads.map((head) => parseInt(head.slice(0, 2), 16));
  /** Drains one sample and tells its mark. */
  const drainOne = async (map: string, flags = 0): Promise<number> => {
    await test.daemon.rest.drain(map, 'capture', { flags, ctx: { stop_after: 1, reset: true } });
    const { state } = await test.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/capture`);
    return marksOf((state as { samples: { head: string }[] }).samples.map(({ head }) => head))[0]!;
  };
  const fill = async (client: RawClient, seq = 1): Promise<void> => {
    client.output(seq, [0, 0, 0, 0].map(kib));
    await client.expect(Op.ACK);
  };

  it('stores an output larger than the room as it appears, and ACKs it when all of it is in', async () => {
    const map = await test.newMap();
    const client = await test.client(map, 'on_full=block');
    client.output(1, [1, 2, 3, 4, 5, 6].map(kib));
    await waiting(map, 1);
    expect(await drainOne(map)).toBe(1);
    expect((await test.daemon.rest.showMap(map)).producer_pos).toBe('5120');
    expect(client.waiting).toBe(0);
    expect(await drainOne(map)).toBe(2);
    expect(await client.expect(Op.ACK)).toMatchObject({ seq: 1, producerPos: 6144n });
    await waiting(map, 0);
    expect(marksOf(await test.daemon.rest.drainSamples(map))).toEqual([3, 4, 5, 6]);
  });

  it('goes on after any drain that moved the consumer position, NO_WAKEUP included', async () => {
    const map = await test.newMap();
    const client = await test.client(map, 'on_full=block');
    await fill(client);
    client.output(2, [kib(1)]);
    await waiting(map, 1);
    await drainOne(map, 1);
    expect(await client.expect(Op.ACK)).toMatchObject({ seq: 2 });
  });

  it('serves several connections in order of arrival, one record at a time', async () => {
    const map = await test.newMap();
    await fill(await test.client(map));
    const clients: RawClient[] = [];
    for (let i = 1; i <= 4; i++) {
      const client = await test.client(map, 'on_full=block');
      client.output(1, [kib(i), kib(i)]);
      await waiting(map, i);
      clients.push(client);
    }
    const order: number[] = [];
    for (let i = 0; i < 12; i++) order.push(await drainOne(map));
    expect(order).toEqual([0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    for (const client of clients) await client.expect(Op.ACK);
  });

  it('is served before newer outputs, reservations and HTTP, which find no room', async () => {
    const map = await test.newMap();
    const [blocked, newer] = [await test.client(map, 'on_full=block'), await test.client(map)];
    await fill(newer);
    blocked.output(1, [kib(1), kib(2), kib(3)], { atomic: true });
    await waiting(map, 1);
    await drainOne(map);
    // 1 KiB is free, but it is not theirs.
    newer.output(2, [kib(9)]);
    expect(await newer.expect(Op.ERROR)).toMatchObject({ errno: Errno.ENOSPC, accepted: 0 });
    newer.send({ op: Op.RESERVE, seq: 1n, size: 8 });
    expect(await newer.expect(Op.ERROR)).toMatchObject({ errno: Errno.ENOSPC, request: Op.RESERVE });
    expect(
      (
        await test.daemon.rest.send('POST', `/v1/maps/${map}/samples`, 'x', {
          'content-type': 'application/octet-stream',
        })
      ).status,
    ).toBe(429);
    await drainOne(map);
    expect((await test.daemon.rest.showMap(map)).producers_waiting).toBe(1);
    await drainOne(map);
    await blocked.expect(Op.ACK);
    newer.output(2, [kib(9)], { resend: true });
    expect(await newer.expect(Op.ERROR)).toMatchObject({ errno: Errno.ENOSPC });
    await drainOne(map);
    newer.output(2, [kib(9)], { resend: true });
    await newer.expect(Op.ACK);
  });

  it('does not wake a watcher for room that is held for somebody who waits', async () => {
    const map = await test.newMap();
    const [blocked, newer] = [await test.client(map, 'on_full=block'), await test.client(map)];
    await fill(newer);
    blocked.output(1, [kib(1), kib(2), kib(3)], { atomic: true });
    await waiting(map, 1);
    newer.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 1024 });
    await newer.expect(Op.DONE);
    await drainOne(map);
    expect(await newer.settle()).toEqual([]);
    // Asking again does not help either: ENOSPC and an at-once wakeup would be a busy loop.
    newer.send({ op: Op.WATCH, seq: 2n, on: true, minFree: 1024 });
    await newer.expect(Op.DONE);
    expect(await newer.settle()).toEqual([]);
    // The one who waited goes: now the room is anybody's, though no drain said so.
    blocked.terminate();
    expect(await newer.expect(Op.WAKEUP)).toMatchObject({ forced: true, writable: true, drained: 0 });
    newer.output(2, [kib(9)]);
    await newer.expect(Op.ACK);
  });

  it('handles what it had read behind the blocked output in order, once that is stored', async () => {
    const map = await test.newMap();
    const raw = await test.raw();
    raw.write(
      upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce?on_full=block`, {
        protocol: Subprotocol.BINARY,
      }),
    );
    await raw.head();
    await raw.frame();
    const output = (seq: number, marks: number[]): Buffer =>
      clientFrame(Opcode.BINARY, buildOutputFrame(seq, marks.map(kib)));
    // One write: the second is blocked, the others have been read with it.
    raw.write(output(1, [1, 2, 3]), output(2, [4, 5]), output(3, [6]), output(4, [7, 8, 9, 10, 11]));
    await waiting(map, 1);
    const order: number[] = [];
    for (let i = 0; i < 11; i++) order.push(await drainOne(map));
    expect(order).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    await waiting(map, 0);
  });

  it('handles nothing behind a frame that ends the connection, also out of the queue', async () => {
    const map = await test.newMap();
    const raw = await test.raw();
    raw.write(
      upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce?on_full=block`, {
        protocol: Subprotocol.BINARY,
      }),
    );
    await raw.head();
    await raw.frame();
    const output = (seq: number, marks: number[]): Buffer =>
      clientFrame(Opcode.BINARY, buildOutputFrame(seq, marks.map(kib)));
    const reserve = Buffer.alloc(16);
    reserve[0] = Op.RESERVE;
    raw.write(
      output(1, [1, 2, 3, 4, 5]),
      clientFrame(Opcode.BINARY, Buffer.of(0x77)),
      output(2, [6]),
      clientFrame(Opcode.BINARY, reserve),
    );
    await waiting(map, 1);
    await test.daemon.rest.drain(map);
    expect(await raw.closeFrame()).toMatchObject({ code: 4505 });
    await until(async () => (await test.daemon.rest.showMap(map)).producers === 0);
    expect(marksOf(await test.daemon.rest.drainSamples(map))).toEqual([5]);
    expect(await test.daemon.rest.showMap(map)).toMatchObject({
      producer_pos: '5120',
      open_reservations: 0,
      counters: { refused: { 'EPROTO|bad_frame': 1, 'EIO|connection_lost': 2 } },
    });
  });

  it('gives ENOSPC instead of a pause to a connection that holds an open reservation', async () => {
    const map = await test.newMap();
    const client = await test.client(map, 'on_full=block');
    const position = await client.reserve(1016);
    client.output(1, [1, 2, 3, 4].map(kib));
    expect(await client.expect(Op.ERROR)).toMatchObject({ errno: Errno.ENOSPC, accepted: 3 });
    client.send({ op: Op.SUBMIT, seq: 1n, position, payload: kib(0) });
    await client.expect(Op.DONE);
    client.output(1, [1, 2, 3, 4].map(kib), { resend: true });
    await waiting(map, 1);
    expect([await drainOne(map), await drainOne(map)]).toEqual([0, 1]);
    await client.expect(Op.ACK);
  });

  it('never blocks a RESERVE', async () => {
    const map = await test.newMap();
    const client = await test.client(map, 'on_full=block');
    await fill(client);
    client.send({ op: Op.RESERVE, seq: 1n, size: 8 });
    expect(await client.expect(Op.ERROR)).toMatchObject({ errno: Errno.ENOSPC });
  });

  it('lets the others go on when a blocked connection dies; what was stored of its output stays', async () => {
    const map = await test.newMap();
    const [dying, next] = [
      await test.client(map, 'producer=d&on_full=block'),
      await test.client(map, 'on_full=block'),
    ];
    dying.output(1, [1, 2, 3, 4, 5, 6].map(kib), { atomic: false });
    await waiting(map, 1);
    next.output(1, [kib(7)]);
    await waiting(map, 2);
    dying.terminate();
    // A paused socket is not read from: the daemon finds out by its next ping.
    await until(async () => {
      clock.advance(1000);
      return (await test.daemon.rest.showMap(map)).producers === 1;
    });
    await waiting(map, 1);
    expect(await drainOne(map)).toBe(1);
    await next.expect(Op.ACK);
    const { counters } = await test.daemon.rest.showMap(map);
    expect(counters.refused).toEqual({ 'EIO|connection_lost': 1 });
    expect(marksOf(await test.daemon.rest.drainSamples(map))).toEqual([2, 3, 4, 7]);
  });

  it('survives any number of missing pongs while it is blocked, and one right after', async () => {
    const map = await test.newMap();
    const client = await test.client(map, 'on_full=block');
    const sibling = await test.client(map);
    client.output(1, [1, 2, 3, 4, 5].map(kib));
    await waiting(map, 1);
    for (let beat = 0; beat < 5; beat++) {
      clock.advance(1000);
      // So that the sibling's own pong is in.
      await sibling.settle();
    }
    const blocked = test.daemon.app.daemon.maps.get(map);
    // The drain and the next beat in one turn of the event loop: the pongs are not read yet.
    void blocked.drain('count', 0, {});
    clock.advance(1000);
    expect(await client.expect(Op.ACK)).toMatchObject({ seq: 1 });
    clock.advance(0);
    await client.settle();
    expect(client.closed).toBeUndefined();
  });

  it('ends a silent connection that is not blocked after one interval more', async () => {
    const map = await test.newMap();
    const client = await test.client(map, '', { autoPong: false });
    const sibling = await test.client(map);
    clock.advance(1000);
    await sibling.settle();
    expect(client.closed).toBeUndefined();
    clock.advance(1000);
    expect((await client.ended()).code).toBe(1006);
    expect(sibling.closed).toBeUndefined();
  });

  it('leaves the queue and is told when an operator disconnects it', async () => {
    const map = await test.newMap();
    const client = await test.client(map, 'producer=p&on_full=block');
    client.output(1, [1, 2, 3, 4, 5].map(kib));
    await waiting(map, 1);
    await test.daemon.rest.expect(204, 'DELETE', `/v1/maps/${map}/producers/p`);
    await client.expectClose(4507);
    expect((await test.daemon.rest.showMap(map)).producers_waiting).toBe(0);
  });

  it('shows how old the oldest sample is also when it came out of the queue', async () => {
    const map = await test.newMap();
    const client = await test.client(map, 'on_full=block');
    await fill(client);
    client.output(2, [kib(1)]);
    await waiting(map, 1);
    await test.daemon.rest.drain(map);
    await client.expect(Op.ACK);
    clock.advance(700);
    expect((await test.daemon.rest.showMap(map)).oldest_age_ms).toBe(700);
  });

  it('moves an output of many times the ring through it', async () => {
    const map = await test.newMap();
    const client = await test.client(map, 'on_full=block');
    client.output(
      1,
      Array.from({ length: 64 }, (_, i) => kib(i)),
    );
    const order: number[] = [];
    while (order.length < 64) order.push(...marksOf(await test.daemon.rest.drainSamples(map)));
    await client.expect(Op.ACK);
    expect(order).toEqual(Array.from({ length: 64 }, (_, i) => i));
  });
});
