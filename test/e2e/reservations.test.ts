/** Reservations over a socket: they end with their connection, and with their lease. */
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/ring/index.js';
import { Op } from '../../src/wire/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

describe('a reservation', () => {
  const clock = new ManualClock({ realSoon: true });
  const test = useDaemon(
    {
      producers: { lease_ms: 30_000, heartbeat_ms: 0 },
      limits: { max_frame_bytes: 4096, max_reservations_per_connection: 3 },
    },
    { clock },
  );

  it('holds up every drain until it is submitted', async () => {
    const map = await test.newMap();
    const [slow, fast] = [await test.client(map), await test.client(map)];
    const position = await slow.reserve(4);
    fast.output(1, ['fast']);
    await fast.expect(Op.ACK);
    expect(await test.daemon.rest.drain(map)).toMatchObject({ ret: 0, wakeup: false });
    slow.send({ op: Op.SUBMIT, seq: 1n, position, payload: Buffer.from('slow') });
    await slow.expect(Op.DONE);
    expect(await test.daemon.rest.drainSamples(map)).toEqual(
      ['slow', 'fast'].map((text) => Buffer.from(text).toString('hex')),
    );
  });

  it('is discarded when its connection is cut off, so that the drain goes on', async () => {
    const map = await test.newMap();
    const [dying, other] = [await test.client(map), await test.client(map)];
    for (let i = 0; i < 3; i++) await dying.reserve(100);
    other.output(1, ['after']);
    await other.expect(Op.ACK);
    dying.terminate();
    await until(async () => (await test.daemon.rest.showMap(map)).open_reservations === 0);
    expect(await test.daemon.rest.drain(map)).toMatchObject({ drained: 1, discarded: 3 });
  });

  it('is discarded when its connection is closed properly', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    await client.reserve(8);
    await client.close(1000);
    await until(async () => (await test.daemon.rest.showMap(map)).producers === 0);
    expect((await test.daemon.rest.peek(map)).map(({ state }) => state)).toEqual(['discarded']);
  });

  it('is discarded when an operator disconnects its producer, with 4507', async () => {
    const map = await test.newMap();
    const client = await test.client(map, 'producer=p');
    await client.reserve(8);
    await test.daemon.rest.expect(204, 'DELETE', `/v1/maps/${map}/producers/p`);
    await client.expectClose(4507, 'EPERM');
    expect((await test.daemon.rest.peek(map)).map(({ state }) => state)).toEqual(['discarded']);
  });

  it('is discarded when its lease runs out; late comers get ESTALE, watchers a forced wakeup', async () => {
    const map = await test.newMap();
    const [client, watcher] = [await test.client(map), await test.client(map)];
    const position = await client.reserve(8);
    client.output(1, [new Uint8Array(4000)]);
    await client.expect(Op.ACK);
    watcher.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 4096 });
    await watcher.expect(Op.DONE);
    clock.advance(29_999);
    expect((await test.daemon.rest.peek(map))[0]).toMatchObject({ state: 'busy' });
    expect(await watcher.settle()).toEqual([]);
    clock.advance(1);
    expect(await watcher.expect(Op.WAKEUP)).toMatchObject({ forced: true, drained: 0, seq: 0n });
    expect((await test.daemon.rest.peek(map))[0]).toMatchObject({ state: 'discarded' });
    client.send({ op: Op.SUBMIT, seq: 2n, position, payload: new Uint8Array(8) });
    expect(await client.expect(Op.ERROR)).toMatchObject({ errno: Errno.ESTALE, request: Op.SUBMIT, seq: 2n });
    client.send({ op: Op.DISCARD, seq: 3n, position });
    expect(await client.expect(Op.ERROR)).toMatchObject({ errno: Errno.ESTALE, request: Op.DISCARD });
    watcher.send({ op: Op.DISCARD, seq: 4n, position });
    expect(await watcher.expect(Op.ERROR)).toMatchObject({ errno: Errno.ENOENT });
    expect((await test.daemon.rest.showMap(map)).counters.refused).toEqual({
      'ESTALE|reservation_expired': 2,
      'ENOENT|reservation_unknown': 1,
    });
    expect(await test.daemon.rest.drain(map)).toMatchObject({ drained: 1, discarded: 1 });
  });

  it('does not lose its lease to another one that ended before', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    const first = await client.reserve(8);
    clock.advance(20_000);
    await client.reserve(8);
    client.send({ op: Op.SUBMIT, seq: 1n, position: first, payload: new Uint8Array(8) });
    await client.expect(Op.DONE);
    clock.advance(10_000);
    expect((await test.daemon.rest.showMap(map)).open_reservations).toBe(1);
    clock.advance(20_000);
    expect((await test.daemon.rest.showMap(map)).open_reservations).toBe(0);
  });

  it('wakes an auto drain that was stuck behind it when its lease runs out', async () => {
    const map = await test.newMap();
    await test.daemon.rest.expect(200, 'PUT', `/v1/maps/${map}/handlers/count`, {
      kind: 'count',
      trigger: { mode: 'auto' },
    });
    const client = await test.client(map);
    await client.reserve(8);
    client.output(1, ['behind']);
    await client.expect(Op.ACK);
    expect((await test.daemon.rest.showMap(map)).counters.drained_samples).toBe(0);
    clock.advance(30_000);
    await until(async () => (await test.daemon.rest.showMap(map)).counters.drained_samples === 1);
  });

  it('is refused when a SUBMIT of that size could not pass the frame limit', async () => {
    const map = await test.newMap({ max_entries: 65536 });
    const client = await test.client(map);
    client.send({ op: Op.RESERVE, seq: 1n, size: 4089 });
    expect(await client.expect(Op.ERROR)).toMatchObject({ errno: Errno.E2BIG, request: Op.RESERVE });
    const position = await client.reserve(4088);
    client.send({ op: Op.SUBMIT, seq: 2n, position, payload: new Uint8Array(4088).fill(9) });
    await client.expect(Op.DONE);
    expect((await test.daemon.rest.showMap(map)).counters.refused).toEqual({ 'E2BIG|never_fits': 1 });
  });

  it('is refused over the limit of open ones, until one has ended', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    const positions = [await client.reserve(8), await client.reserve(8), await client.reserve(8)];
    client.send({ op: Op.RESERVE, seq: 7n, size: 8 });
    expect(await client.expect(Op.ERROR)).toMatchObject({ errno: Errno.ENOMEM, seq: 7n });
    expect((await test.daemon.rest.showMap(map)).counters.refused).toEqual({ 'ENOMEM|reservation_limit': 1 });
    client.send({ op: Op.DISCARD, seq: 8n, position: positions[1]! });
    await client.expect(Op.DONE);
    await client.reserve(8);
  });
});
