/** OUTPUT: sequence rules, partial acceptance and resends, and ACKs in batches. */
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/ring/index.js';
import { buildOutputFrame, decodeServerFrame, isFrameError, Op, Subprotocol } from '../../src/wire/index.js';
import type { RawClient } from '../support/raw-client.js';
import { clientFrame, Opcode, upgradeRequest } from '../support/raw-socket.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

/** A sample whose record takes 1 KiB: four fill the ring. */
const kib = (mark: number): Uint8Array => new Uint8Array(1016).fill(mark);

describe('OUTPUT', () => {
  const test = useDaemon();
  const marks = async (map: string): Promise<number[]> =>
    (await test.daemon.rest.drainSamples(map)).map((head) => parseInt(head.slice(0, 2), 16));
  const expectEnospc = async (client: RawClient, seq: number, accepted: number): Promise<void> => {
    expect(await client.expect(Op.ERROR)).toMatchObject({
      errno: Errno.ENOSPC,
      request: Op.OUTPUT,
      seq: BigInt(seq),
      accepted,
      retryAfterMs: 1000,
    });
  };
  const expectOutOfSequence = async (client: RawClient, seq: number): Promise<void> => {
    expect(await client.expect(Op.ERROR)).toMatchObject({ errno: Errno.EPROTO, seq: BigInt(seq) });
    await client.expectClose(4505, 'EPROTO');
  };

  it.each([
    ['0', 0, false],
    ['2 before 1', 2, false],
    ['2 before 1, resent', 2, true],
    ['2^53-1', 2 ** 53 - 1, false],
  ])('number %s is out of sequence: EPROTO, then 4505', async (_what, seq, resend) => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.output(seq, ['a'], { resend });
    await expectOutOfSequence(client, seq);
    expect(await test.daemon.rest.peek(map)).toEqual([]);
    expect((await test.daemon.rest.showMap(map)).counters.refused).toEqual({ 'EPROTO|sequence': 1 });
  });

  it('a number that was accepted comes again: with RESEND it is ACKed and not stored, without it is EPROTO', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.output(1, ['a']);
    client.output(2, ['b']);
    await client.settle();
    client.output(1, ['a'], { resend: true });
    expect(await client.expect(Op.ACK)).toMatchObject({ seq: 2, producerPos: 32n });
    client.output(2, ['b']);
    await expectOutOfSequence(client, 2);
    expect(await test.daemon.rest.drainSamples(map)).toEqual(['61', '62']);
  });

  it('the longest prefix of whole records is stored, and the resends store the rest, once', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    const frame = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(kib);
    client.output(1, frame);
    await expectEnospc(client, 1, 4);
    expect(await marks(map)).toEqual([1, 2, 3, 4]);
    client.output(1, frame, { resend: true });
    await expectEnospc(client, 1, 8);
    // The ring is still full: a resend changes nothing.
    client.output(1, frame, { resend: true });
    await expectEnospc(client, 1, 8);
    expect(await marks(map)).toEqual([5, 6, 7, 8]);
    client.output(1, frame, { resend: true });
    expect(await client.expect(Op.ACK)).toMatchObject({ seq: 1, producerPos: 10240n });
    expect(await marks(map)).toEqual([9, 10]);
    expect((await test.daemon.rest.showMap(map)).counters.refused).toEqual({ 'ENOSPC|ring_full': 3 });
  });

  it('a prefix ends at the first record that does not fit, also when a later one would', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.output(1, [kib(1), kib(2), kib(3), new Uint8Array(2000), 'tiny']);
    await expectEnospc(client, 1, 3);
    expect(await marks(map)).toEqual([1, 2, 3]);
  });

  it('ATOMIC is all or nothing', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.output(1, [kib(1), kib(2)], { atomic: true });
    await client.expect(Op.ACK);
    client.output(2, [kib(3), kib(4), kib(5)], { atomic: true });
    await expectEnospc(client, 2, 0);
    expect(await marks(map)).toEqual([1, 2]);
    client.output(2, [kib(3), kib(4), kib(5)], { atomic: true, resend: true });
    await client.expect(Op.ACK);
    expect(await marks(map)).toEqual([3, 4, 5]);
  });

  it('after an ERROR every OUTPUT but the open one is ignored until that comes again', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.output(1, [1, 2, 3, 4, 5].map(kib));
    client.output(2, ['two']);
    client.output(3, ['three']);
    client.output(1, [], { resend: false });
    await expectEnospc(client, 1, 4);
    // The last one closed the part that was held: number 1 is done with.
    expect(await client.expect(Op.ACK)).toMatchObject({ seq: 1, producerPos: 4096n });
    expect(await client.settle()).toEqual([]);
    expect((await test.daemon.rest.showMap(map)).counters.refused).toEqual({
      'ENOSPC|ring_full': 1,
      'EAGAIN|ignored_after_error': 2,
    });
    expect(await marks(map)).toEqual([1, 2, 3, 4]);
    client.output(2, ['two']);
    await client.expect(Op.ACK);
    expect(await test.daemon.rest.drainSamples(map)).toEqual([Buffer.from('two').toString('hex')]);
  });

  it('other operations are not ignored meanwhile', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.output(1, [1, 2, 3, 4, 5].map(kib));
    await expectEnospc(client, 1, 4);
    client.send({ op: Op.RESERVE, seq: 1n, size: 8 });
    expect(await client.expect(Op.ERROR)).toMatchObject({ request: Op.RESERVE, errno: Errno.ENOSPC });
    expect((await client.query()).availData).toBe(4096n);
  });

  it('after EINVAL and E2BIG the same number may have other content', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    const bad = buildOutputFrame(1, [Buffer.from('abc')]);
    bad[16 + 8 + 3] = 1;
    client.sendBytes(bad);
    expect(await client.expect(Op.ERROR)).toMatchObject({ errno: Errno.EINVAL, seq: 1n, accepted: 0 });
    client.output(2, ['ignored']);
    client.output(1, [new Uint8Array(5000)]);
    expect(await client.expect(Op.ERROR)).toMatchObject({ errno: Errno.E2BIG, seq: 1n, accepted: 0 });
    client.output(1, ['good']);
    expect(await client.expect(Op.ACK)).toMatchObject({ seq: 1 });
    expect(await test.daemon.rest.drainSamples(map)).toEqual([Buffer.from('good').toString('hex')]);
  });

  it('without RESEND a part that is held counts as closed and nothing is skipped', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.output(1, [1, 2, 3, 4, 5].map(kib));
    await expectEnospc(client, 1, 4);
    expect(await marks(map)).toEqual([1, 2, 3, 4]);
    client.output(1, [6, 7].map(kib));
    expect(await client.expect(Op.ACK)).toMatchObject({ seq: 1 });
    expect(await marks(map)).toEqual([6, 7]);
  });

  it('without RESEND the part is closed also when the new content is refused', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.output(1, [1, 2, 3, 4, 5].map(kib));
    await expectEnospc(client, 1, 4);
    client.output(1, [new Uint8Array(5000)]);
    expect(await client.expect(Op.ERROR)).toMatchObject({ errno: Errno.E2BIG, accepted: 0 });
    expect(await marks(map)).toEqual([1, 2, 3, 4]);
    client.output(1, [6, 7].map(kib), { resend: true });
    await client.expect(Op.ACK);
    expect(await marks(map)).toEqual([6, 7]);
  });

  it('a RESEND with fewer samples than are held is EINVAL', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.output(1, [1, 2, 3, 4, 5].map(kib));
    await expectEnospc(client, 1, 4);
    client.output(1, [1, 2, 3].map(kib), { resend: true });
    expect(await client.expect(Op.ERROR)).toMatchObject({ errno: Errno.EINVAL, accepted: 4 });
    expect(await marks(map)).toEqual([1, 2, 3, 4]);
    client.output(1, [1, 2, 3, 4, 5].map(kib), { resend: true });
    await client.expect(Op.ACK);
    expect(await marks(map)).toEqual([5]);
  });

  it("an ACK tells the end of this producer's last record, not of the map's", async () => {
    const map = await test.newMap();
    const [one, two] = [await test.client(map, 'producer=one'), await test.client(map)];
    one.output(1, ['a']);
    await one.expect(Op.ACK);
    two.output(1, ['b', 'c']);
    await two.expect(Op.ACK);
    one.output(1, ['a'], { resend: true });
    expect(await one.expect(Op.ACK)).toMatchObject({ seq: 1, producerPos: 16n });
    one.output(2, []);
    expect(await one.expect(Op.ACK)).toMatchObject({ seq: 2, producerPos: 16n });
    const again = await test.open(map, 'producer=one');
    expect((await again.expect(Op.WELCOME)).body).toMatchObject({ acked_pos: '16', producer_pos: '48' });
  });

  it('a hundred frames in one TCP write are ACKed in batches, the last ACK covering all', async () => {
    const map = await test.newMap({ max_entries: 65536 });
    const raw = await test.raw();
    raw.write(upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`, { protocol: Subprotocol.BINARY }));
    await raw.head();
    await raw.frame();
    raw.write(
      ...Array.from({ length: 100 }, (_, i) =>
        clientFrame(Opcode.BINARY, buildOutputFrame(i + 1, [Buffer.from('x')])),
      ),
    );
    const acks: number[] = [];
    while (acks.at(-1) !== 100) {
      const frame = decodeServerFrame((await raw.frame()).payload);
      if (isFrameError(frame) || frame.op !== Op.ACK) throw new Error('not an ACK');
      acks.push(frame.seq);
    }
    expect(acks.length).toBeLessThanOrEqual(5);
    expect((await test.daemon.rest.peek(map)).length).toBe(100);
  });

  it('a trigger that waits for more bytes than one frame has sees all frames of one TCP write', async () => {
    const map = await test.newMap({ max_entries: 65536 });
    const count = { kind: 'count', config: {}, trigger: { mode: 'auto', min_bytes: 1600 } };
    await test.daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/counter`, count);
    const raw = await test.raw();
    raw.write(upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`, { protocol: Subprotocol.BINARY }));
    await raw.head();
    await raw.frame();
    raw.write(
      ...Array.from({ length: 100 }, (_, i) =>
        clientFrame(Opcode.BINARY, buildOutputFrame(i + 1, [Buffer.from('x')])),
      ),
    );
    await until(async () => (await test.daemon.rest.showMap(map)).counters.drained_samples === 100);
  });

  it.each([
    ['of one sample', ['a']],
    ['of several', ['a', 'b']],
  ])('the ACK of a frame %s does not wait for the drain that the frame sets off', async (_what, samples) => {
    const map = await test.newMap();
    const count = { kind: 'count', config: {}, trigger: { mode: 'auto' } };
    await test.daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/counter`, count);
    const client = await test.client(map);
    client.output(1, samples);
    // Where the map stood when it was sent: nothing of the frame was drained.
    expect(await client.expect(Op.ACK)).toMatchObject({ seq: 1, consumerPos: 0n });
    await until(
      async () => (await test.daemon.rest.showMap(map)).counters.drained_samples === samples.length,
    );
  });

  it('an ACK is sent before the ERROR that follows it in the same read', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.socket.send(buildOutputFrame(1, [Buffer.from('a')]));
    client.output(2, [1, 2, 3, 4, 5].map(kib));
    expect(await client.next()).toMatchObject({ op: Op.ACK, seq: 1 });
    await expectEnospc(client, 2, 3);
  });

  it('several producers each have numbers of their own', async () => {
    const map = await test.newMap();
    const clients = await Promise.all([1, 2, 3].map(() => test.client(map)));
    for (const client of clients) for (let seq = 1; seq <= 10; seq++) client.output(seq, [`${seq}`]);
    for (const client of clients) {
      const frames = await client.settle();
      expect(frames.at(-1)).toMatchObject({ op: Op.ACK, seq: 10 });
    }
    expect((await test.daemon.rest.drainSamples(map)).length).toBe(30);
  });
});
