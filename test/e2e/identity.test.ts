/** Who a producer is: resume, take-over, incarnations, tokens. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/ring/index.js';
import { CloseCode, Op, Subprotocol } from '../../src/wire/index.js';
import { RawClient } from '../support/raw-client.js';
import { upgradeRequest } from '../support/raw-socket.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

const kib = (mark: number): Uint8Array => new Uint8Array(1016).fill(mark);

describe('a producer with an id', () => {
  const test = useDaemon();
  const gone = (map: string): Promise<unknown> =>
    until(async () => (await test.daemon.rest.showMap(map)).producers === 0, 'the connection is gone');

  it('goes on after a reconnect where it was', async () => {
    const map = await test.newMap();
    const first = await test.client(map, 'producer=p');
    first.output(1, ['a']);
    first.output(2, ['b']);
    await first.settle();
    first.terminate();
    await gone(map);
    const second = await test.open(map, 'producer=p');
    expect(await second.expect(Op.WELCOME)).toMatchObject({
      seq: 2,
      body: { producer: 'p', resumed: true, partial: 0, acked_pos: '32', producer_pos: '32' },
    });
    // Whatever it does not know for sure it sends again: nothing is stored twice.
    second.output(2, ['b'], { resend: true });
    second.output(3, ['c'], { resend: true });
    await second.settle();
    expect(await test.daemon.rest.drainSamples(map)).toEqual(['61', '62', '63']);
  });

  it('is told of the part that is held of its last frame', async () => {
    const map = await test.newMap();
    const first = await test.client(map, 'producer=p');
    const frame = [1, 2, 3, 4, 5, 6].map(kib);
    first.output(1, frame);
    await first.expect(Op.ERROR);
    first.terminate();
    await gone(map);
    const second = await test.open(map, 'producer=p');
    expect(await second.expect(Op.WELCOME)).toMatchObject({
      seq: 0,
      body: { resumed: true, partial: 4, acked_pos: '0', producer_pos: '4096' },
    });
    await test.daemon.rest.drain(map);
    second.output(1, frame, { resend: true });
    expect(await second.expect(Op.ACK)).toMatchObject({ seq: 1, producerPos: 6144n });
    expect((await test.daemon.rest.peek(map)).length).toBe(2);
  });

  it('is not told of a part that it closed by sending other content', async () => {
    const map = await test.newMap();
    const first = await test.client(map, 'producer=p');
    first.output(1, [1, 2, 3, 4, 5, 6].map(kib));
    await first.expect(Op.ERROR);
    first.output(1, [new Uint8Array(5000)]);
    await first.expect(Op.ERROR);
    first.terminate();
    await gone(map);
    const second = await test.open(map, 'producer=p');
    expect((await second.expect(Op.WELCOME)).body.partial).toBe(0);
  });

  it('takes over from its older connection, which is fenced before WELCOME is computed and closed 4506', async () => {
    const map = await test.newMap();
    const old = await test.client(map, 'producer=p');
    old.output(1, ['a']);
    await old.expect(Op.ACK);
    const position = await old.reserve(100);
    // In flight while the newer one connects: stored or not, but never after the newer one's WELCOME.
    for (let seq = 2; seq <= 50; seq++) old.output(seq, [`${seq}`]);
    const fresh = await test.open(map, 'producer=p');
    const welcome = await fresh.expect(Op.WELCOME);
    await old.expectClose(CloseCode.REPLACED, 'EBUSY');
    expect(welcome.body.resumed).toBe(true);

    const held = await test.daemon.rest.peek(map);
    // The first OUTPUT, the reservation (a discard now), and what came before the fence.
    expect(held.length).toBe(welcome.seq + 1);
    expect(held[1]).toMatchObject({ pos: String(position), len: 100, state: 'discarded' });
    expect(welcome.body.producer_pos).toBe(String((await fresh.query()).producerPos));
    fresh.output(welcome.seq + 1, ['mine']);
    expect(await fresh.expect(Op.ACK)).toMatchObject({ seq: welcome.seq + 1 });
    fresh.send({ op: Op.SUBMIT, seq: 1n, position, payload: new Uint8Array(100) });
    expect(await fresh.expect(Op.ERROR)).toMatchObject({ errno: Errno.ENOENT });
  });

  it('stores nothing of what the fenced connection still had in the pipe', async () => {
    const map = await test.newMap();
    const old = await test.client(map, 'producer=p');
    // The new connection is admitted, then this process sends on the old one before it learns of its end.
    const fresh = await test.open(map, 'producer=p');
    for (let seq = 1; seq <= 20; seq++) old.output(seq, ['late']);
    const { seq } = await fresh.expect(Op.WELCOME);
    await old.ended();
    await fresh.query();
    expect(seq).toBe(0);
    expect(await test.daemon.rest.peek(map)).toEqual([]);
  });

  it('takes over from a connection that waits for room: its run leaves the queue, what was stored counts as part', async () => {
    const map = await test.newMap();
    const old = await test.client(map, 'producer=p&on_full=block');
    const frame = [1, 2, 3, 4, 5, 6].map(kib);
    old.output(1, frame);
    await until(async () => (await test.daemon.rest.showMap(map)).producers_waiting === 1);
    const fresh = await test.open(map, 'producer=p');
    expect((await fresh.expect(Op.WELCOME)).body.partial).toBe(4);
    await old.expectClose(CloseCode.REPLACED);
    await test.daemon.rest.drain(map);
    expect(await test.daemon.rest.peek(map)).toEqual([]);
    fresh.output(1, frame, { resend: true });
    await fresh.expect(Op.ACK);
    expect((await test.daemon.rest.peek(map)).length).toBe(2);
  });

  it('leaves its older connection no wakeups', async () => {
    const map = await test.newMap();
    const old = await test.client(map, 'producer=p');
    old.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 0 });
    await old.settle();
    const fresh = await test.client(map, 'producer=p');
    await old.ended();
    await test.daemon.rest.drain(map, 'count', { flags: 2 });
    expect((await test.daemon.rest.showMap(map)).watchers).toBe(0);
    expect(await fresh.settle()).toEqual([]);
  });

  it('starts anew on a map that was deleted and created again: another incarnation, nothing resumed', async () => {
    const map = await test.newMap();
    const old = await test.open(map, 'producer=p');
    const before = await old.expect(Op.WELCOME);
    old.output(1, ['a']);
    await old.expect(Op.ACK);
    await test.daemon.rest.expect(204, 'DELETE', `/v1/maps/${map}`);
    await old.expectClose(CloseCode.NO_MAP, 'ENOENT');
    await test.daemon.rest.createMap(map);
    const fresh = await test.open(map, 'producer=p');
    const after = await fresh.expect(Op.WELCOME);
    expect(after).toMatchObject({ seq: 0, body: { resumed: false, acked_pos: '0', producer_pos: '0' } });
    expect(after.body.incarnation).not.toBe(before.body.incarnation);
  });

  it('leaves nothing behind but its numbers, however often it reconnects', async () => {
    const map = await test.newMap({ max_entries: 65536 });
    for (let round = 0; round < 50; round++) {
      const client = await test.client(map, 'producer=p&on_full=block');
      client.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 65536 });
      await client.expect(Op.DONE);
      client.send({ op: Op.RESERVE, seq: 2n, size: 8 });
      client.output(round + 1, ['x'], { resend: true });
      await until(
        async () => (await test.daemon.rest.showMap(map)).producer_pos === String((round + 1) * 32),
      );
      if (round % 2 === 0) client.terminate();
    }
    const last = await test.client(map, 'producer=p');
    await until(() => test.daemon.app.daemon.connections.total === 1);
    const { states } = test.daemon.app.daemon.maps.get(map);
    expect([states.size, states.get('p')?.lastSeq]).toEqual([1, 50]);
    expect(await test.daemon.rest.showMap(map)).toMatchObject({
      producers: 1,
      watchers: 0,
      open_reservations: 0,
      producers_waiting: 0,
    });
    await last.query();
  });

  it('is another one on another map', async () => {
    const [one, two] = [await test.newMap(), await test.newMap()];
    const first = await test.client(one, 'producer=p');
    first.output(1, ['a']);
    await first.expect(Op.ACK);
    const second = await test.open(two, 'producer=p');
    expect(await second.expect(Op.WELCOME)).toMatchObject({ seq: 0, body: { resumed: false } });
    expect(first.closed).toBeUndefined();
  });
});

describe('a producer without an id', () => {
  const test = useDaemon();

  it('starts at 1 on every connection, beside others like it', async () => {
    const map = await test.newMap();
    for (let i = 0; i < 3; i++) {
      const client = await test.open(map);
      expect(await client.expect(Op.WELCOME)).toMatchObject({
        seq: 0,
        body: { producer: null, resumed: false },
      });
      client.output(1, ['a']);
      await client.expect(Op.ACK);
    }
    expect((await test.daemon.rest.showMap(map)).producers).toBe(3);
  });
});

describe('a producer id and its token', () => {
  const token = (name: string): Record<string, unknown> => ({
    name,
    sha256: createHash('sha256').update(`secret-${name}`).digest('hex'),
    scopes: ['admin'],
  });
  const bearer = (name: string): { headers: Record<string, string> } => ({
    headers: { authorization: `Bearer secret-${name}` },
  });
  const test = useDaemon({ tokens: [token('one'), token('two')] }, { token: 'secret-one' });

  it('belong together: another token gets 4503, and may send what it likes without harm to anybody', async () => {
    const map = await test.newMap();
    const owner = await test.client(map, 'producer=p', bearer('one'));
    const thief = await RawClient.open(test.daemon.produceUrl(map, 'producer=p'), bearer('two'));
    await thief.expectClose(CloseCode.FORBIDDEN, 'EPERM');
    // One whose next bytes break RFC 6455: they come on a connection that is being refused.
    const vandal = await test.raw();
    vandal.write(
      upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce?producer=p`, {
        headers: ['Authorization: Bearer secret-two'],
      }),
      Buffer.of(0xff, 0xff, 0xff, 0xff),
    );
    await vandal.head();
    expect(await vandal.closeFrame()).toMatchObject({ code: CloseCode.FORBIDDEN });
    owner.output(1, ['a']);
    await owner.expect(Op.ACK);
    const other = await test.client(map, 'producer=q', bearer('two'));
    other.output(1, ['b']);
    await other.expect(Op.ACK);
  });

  it('is refused without a token, or with an unknown one, before the upgrade', async () => {
    const map = await test.newMap();
    const url = test.daemon.produceUrl(map);
    expect(await RawClient.refusal(url)).toMatchObject({ status: 401, body: { errno: 'EPERM' } });
    expect(await RawClient.refusal(url, bearer('three'))).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': 'Bearer realm="ringbufd"' },
      body: { code: 'RINGBUFD_ERR_UNAUTHENTICATED' },
    });
  });

  it('comes as a subprotocol from a browser, and is never echoed', async () => {
    const map = await test.newMap();
    const offer = `bearer.${Buffer.from('secret-one').toString('base64url')}`;
    const client = await test.client(map, '', { protocols: [offer, Subprotocol.BINARY] });
    expect(client.socket.protocol).toBe('ringbuf.v1');
    const plain = await test.open(map, '', { protocols: [offer, Subprotocol.PLAIN] });
    expect(plain.socket.protocol).toBe('ringbuf.v1.plain');
  });
});
