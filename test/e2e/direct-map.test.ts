/** Direct maps: one producer with the kernel's raw powers. */
import { describe, expect, it } from 'vitest';
import { CloseCode, Op, Subprotocol } from '../../src/wire/index.js';
import { RawClient } from '../support/raw-client.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

const RING = 4096;
const header = (length: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(length);
  return bytes;
};

describe('a direct map', () => {
  const test = useDaemon();
  const write = async (client: RawClient, offset: number, bytes: Uint8Array): Promise<void> => {
    client.send({ op: Op.WRITE, seq: 1n, offset: BigInt(offset), bytes });
    await client.expect(Op.DONE);
  };
  const commit = async (client: RawClient, producerPos: bigint): Promise<void> => {
    client.send({ op: Op.COMMIT, seq: 1n, producerPos });
    await client.expect(Op.DONE);
  };
  const newMap = (): Promise<string> => test.newMap({ mode: 'direct' });

  it('is mapped twice: a WRITE over the end goes on at the start', async () => {
    const map = await newMap();
    const client = await test.client(map);
    // Up to 16 bytes before the end, drained.
    await write(client, 0, header(RING - 16 - 8));
    await commit(client, BigInt(RING - 16));
    await test.daemon.rest.drain(map);
    const sample = Buffer.from('over the end and on');
    await write(client, RING - 16, Buffer.concat([header(sample.length), sample]));
    await commit(client, BigInt(RING + 16));
    expect(await test.daemon.rest.drainSamples(map)).toEqual([sample.toString('hex')]);
    // The same bytes through the second mapping.
    await write(client, RING + 16, Buffer.concat([header(2), Buffer.from('hi')]));
    await commit(client, BigInt(RING + 32));
    expect(await test.daemon.rest.drainSamples(map)).toEqual([Buffer.from('hi').toString('hex')]);
    await write(client, 2 * RING - 1, Buffer.of(1));
    await write(client, 0, new Uint8Array(2 * RING));
  });

  it('stores a COMMIT as it is, and only a drain checks it', async () => {
    const map = await newMap();
    const client = await test.client(map);
    await write(client, 0, header(8));
    for (const position of [5n, 2n ** 53n + 1n, 2n ** 64n - 1n]) {
      await commit(client, position);
      expect((await client.query()).producerPos).toBe(position);
      const answer = await test.daemon.rest.call('POST', `/v1/maps/${map}/drain`, { handler: 'count' });
      expect([answer.status, answer.body.errno]).toEqual([422, 'EINVAL']);
    }
    await commit(client, 16n);
    expect(await test.daemon.rest.drain(map)).toMatchObject({ ret: 1 });
  });

  it('wakes its producer', async () => {
    const map = await newMap();
    const client = await test.client(map);
    client.send({ op: Op.WATCH, seq: 1n, on: true, minFree: RING });
    expect([(await client.next()).op, (await client.next()).op]).toEqual([Op.DONE, Op.WAKEUP]);
    await write(client, 0, header(8));
    await commit(client, 16n);
    await test.daemon.rest.drain(map);
    expect(await client.expect(Op.WAKEUP)).toMatchObject({ drained: 1, atOnce: false, consumerPos: 16n });
  });

  it('takes one connection; others are refused, as an HTTP status or, to a browser, as 4509', async () => {
    const map = await newMap();
    const first = await test.client(map, 'producer=p');
    for (const query of ['', 'producer=q']) {
      const url = test.daemon.produceUrl(map, query);
      expect(await RawClient.refusal(url)).toMatchObject({
        status: 409,
        body: { errno: 'EBUSY', code: 'RINGBUFD_ERR_DIRECT_TAKEN' },
      });
      const browser = await test.open(map, query, { origin: test.daemon.url });
      await browser.expectClose(CloseCode.DIRECT_TAKEN, 'EBUSY');
    }
    await first.query();
    await first.close(1000);
    await until(async () => (await test.daemon.rest.showMap(map)).producers === 0);
    await test.client(map, 'producer=q');
  });

  it('is taken over by the same producer id', async () => {
    const map = await newMap();
    const old = await test.client(map, 'producer=p');
    const fresh = await test.open(map, 'producer=p');
    expect(await fresh.expect(Op.WELCOME)).toMatchObject({ body: { mode: 'direct', resumed: true } });
    await old.expectClose(CloseCode.REPLACED);
    await commit(fresh, 8n);
  });

  it('an anonymous producer is taken over by nobody', async () => {
    const map = await newMap();
    const first = await test.client(map);
    expect((await RawClient.refusal(test.daemon.produceUrl(map))).status).toBe(409);
    await first.query();
  });

  it('has no plain mode', async () => {
    const map = await newMap();
    for (const protocols of [[], [Subprotocol.PLAIN]])
      expect(await RawClient.refusal(test.daemon.produceUrl(map), { protocols })).toMatchObject({
        status: 403,
        body: { errno: 'EPERM' },
      });
  });
});
