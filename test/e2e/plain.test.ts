/** Plain mode: each message is one sample; any WebSocket client is a producer. */
import { describe, expect, it } from 'vitest';
import { Subprotocol } from '../../src/wire/index.js';
import { clientFrame, Opcode, upgradeRequest } from '../support/raw-socket.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

const none = { protocols: [] };

describe('plain mode', () => {
  const test = useDaemon({ limits: { max_frame_bytes: 8192 } });
  const waiting = (map: string, count: number): Promise<unknown> =>
    until(async () => (await test.daemon.rest.showMap(map)).producers_waiting === count);
  const stored = (map: string, count: number): Promise<unknown> =>
    until(async () => (await test.daemon.rest.showMap(map)).counters.accepted_samples === count);

  it.each([
    ['no subprotocol', []],
    ['ringbuf.v1.plain', [Subprotocol.PLAIN]],
    ['ringbuf.v1.plain before others', [Subprotocol.PLAIN, Subprotocol.BINARY]],
  ])('with %s text and binary messages are samples as they are', async (_what, protocols) => {
    const map = await test.newMap();
    const client = await test.open(map, '', { protocols });
    expect(client.socket.protocol).toBe(protocols[0] ?? '');
    client.sendText('text ✓');
    client.sendBytes(Buffer.of(0, 255, 1));
    client.sendText('');
    expect(await client.close()).toEqual({ code: 1000, reason: '' });
    expect(await test.daemon.rest.drainSamples(map)).toEqual([
      Buffer.from('text ✓').toString('hex'),
      '00ff01',
      '',
    ]);
    expect(client.waiting).toBe(0);
  });

  it('answers Close with 1000 only after everything before it is stored, the ring being full at that time', async () => {
    const map = await test.newMap();
    const client = await test.open(map, '', none);
    for (let i = 0; i < 10; i++) client.sendBytes(new Uint8Array(1016).fill(i));
    const closed = client.close(1001, 'bye');
    await waiting(map, 1);
    const order: string[] = [];
    for (let i = 0; i < 2; i++) {
      expect(client.closed).toBeUndefined();
      order.push(...(await test.daemon.rest.drainSamples(map)));
    }
    expect(await closed).toEqual({ code: 1000, reason: '' });
    order.push(...(await test.daemon.rest.drainSamples(map)));
    expect(order.map((head) => parseInt(head.slice(0, 2), 16))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  // Those are the codes with which ws itself closes after a violation: they must not be taken for one.
  it.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 3000, 4999])(
    'does so whatever code the client closes with: %i',
    async (code) => {
      const map = await test.newMap();
      const raw = await test.raw();
      raw.write(upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`));
      await raw.head();
      raw.write(
        ...[1, 2, 3, 4, 5].map((mark) => clientFrame(Opcode.BINARY, new Uint8Array(1016).fill(mark))),
        clientFrame(Opcode.CLOSE, Buffer.of(code >> 8, code & 0xff)),
      );
      await waiting(map, 1);
      await test.daemon.rest.drain(map);
      expect(await raw.closeFrame()).toEqual({ code: 1000, reason: '' });
      const { counters } = await test.daemon.rest.showMap(map);
      expect([counters.accepted_samples, counters.refused]).toEqual([5, {}]);
    },
  );

  it('takes nothing from a client that goes while it waits for the answer to its Close', async () => {
    const map = await test.newMap();
    const client = await test.open(map, '', none);
    for (let i = 0; i < 6; i++) client.sendBytes(new Uint8Array(1016).fill(i));
    void client.close().catch(() => undefined);
    await waiting(map, 1);
    client.terminate();
    await until(async () => (await test.daemon.rest.showMap(map)).producers === 0);
    const { counters } = await test.daemon.rest.showMap(map);
    expect([counters.accepted_samples, counters.refused]).toEqual([4, { 'EIO|connection_lost': 2 }]);
  });

  it('refuses a sample that the ring can never hold, and stores nothing behind it', async () => {
    const map = await test.newMap();
    const client = await test.open(map, '', none);
    client.sendText('first');
    client.sendBytes(new Uint8Array(4089));
    client.sendText('never');
    await client.expectClose(4505, 'E2BIG');
    expect(await test.daemon.rest.drainSamples(map)).toEqual([Buffer.from('first').toString('hex')]);
    const { refused } = (await test.daemon.rest.showMap(map)).counters;
    expect(refused).toMatchObject({ 'E2BIG|never_fits': 1 });
  });

  it('refuses it also when it had to wait behind others, with nothing stored behind it', async () => {
    const map = await test.newMap();
    const raw = await test.raw();
    raw.write(upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`));
    await raw.head();
    raw.write(
      ...[1, 2, 3, 4, 5].map((mark) => clientFrame(Opcode.BINARY, new Uint8Array(1016).fill(mark))),
      clientFrame(Opcode.BINARY, new Uint8Array(4089)),
      clientFrame(Opcode.TEXT, Buffer.from('never')),
    );
    await waiting(map, 1);
    await test.daemon.rest.drain(map);
    expect(await raw.closeFrame()).toMatchObject({ code: 4505 });
    expect((await test.daemon.rest.showMap(map)).counters).toMatchObject({
      accepted_samples: 5,
      refused: { 'E2BIG|never_fits': 1, 'EIO|connection_lost': 1 },
    });
  });

  it('takes a sample of exactly the ring, and one of exactly the frame limit, and closes 1009 over it', async () => {
    const [small, large] = [await test.newMap(), await test.newMap({ max_entries: 65536 })];
    const [one, two] = [await test.open(small, '', none), await test.open(large, '', none)];
    one.sendBytes(new Uint8Array(4088));
    expect((await one.close()).code).toBe(1000);
    expect((await test.daemon.rest.peek(small)).map(({ len }) => len)).toEqual([4088]);
    two.sendBytes(new Uint8Array(8192));
    two.sendBytes(new Uint8Array(8193));
    await two.expectClose(1009, 'E2BIG');
    const over = await test.open(large, '', none);
    over.sendBytes(new Uint8Array(8192 + 17));
    await over.expectClose(1009, 'E2BIG');
    expect((await test.daemon.rest.peek(large)).map(({ len }) => len)).toEqual([8192]);
    expect((await test.daemon.rest.showMap(large)).counters.refused).toEqual({ 'E2BIG|never_fits': 2 });
  });

  it('waits for room whatever on_full says, also as reject', async () => {
    const map = await test.newMap();
    const client = await test.open(map, 'on_full=reject', none);
    for (let i = 0; i < 5; i++) client.sendBytes(new Uint8Array(1016));
    await waiting(map, 1);
    await test.daemon.rest.drain(map);
    await stored(map, 5);
  });

  it('closes 1007 on text that is not UTF-8, and keeps what came before it', async () => {
    const map = await test.newMap();
    const raw = await test.raw();
    raw.write(upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`));
    await raw.head();
    raw.write(
      clientFrame(Opcode.TEXT, Buffer.from('fine')),
      clientFrame(Opcode.TEXT, Buffer.of(0xc3, 0x28)),
      clientFrame(Opcode.TEXT, Buffer.from('never')),
    );
    expect(await raw.closeFrame()).toMatchObject({ code: 1007 });
    expect(await test.daemon.rest.drainSamples(map)).toEqual([Buffer.from('fine').toString('hex')]);
    expect((await test.daemon.rest.showMap(map)).counters.refused).toEqual({ 'EPROTO|bad_frame': 1 });
  });

  it('counts a sample as an accepted frame when it is stored, not when it begins to wait', async () => {
    const map = await test.newMap();
    const { counters } = test.daemon.app.daemon.maps.get(map);
    const client = await test.open(map, '', none);
    for (let i = 0; i < 5; i++) client.sendBytes(new Uint8Array(1016));
    await waiting(map, 1);
    expect(counters.acceptedFrames).toBe(4);
    await test.daemon.rest.drain(map);
    expect(counters.acceptedFrames).toBe(5);
  });
});
