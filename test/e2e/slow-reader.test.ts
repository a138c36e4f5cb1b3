/** A client that does not read what it is sent: merged, bounded, and closed 4408 in the end. */
import { describe, expect, it } from 'vitest';
import { Subprotocol } from '../../src/wire/index.js';
import type { JsonMessage, RawClient } from '../support/raw-client.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

const MAX_QUEUED = 512 * 1024;
/** ERRORs provoked at a time, and about the bytes that they take. */
const BURST = 300;
const BURST_BYTES = 64 * 1024;

describe('a client that does not read', () => {
  const test = useDaemon({ limits: { max_queued_bytes: MAX_QUEUED } });
  const json = { protocols: [Subprotocol.JSON] };

  /** Bytes that the daemon holds for the only connection of a map; undefined when it is gone. */
  const queued = (map: string): number | undefined => {
    const [connection] = test.daemon.app.daemon.maps.get(map).connections;
    return connection?.describe().queued_bytes as number | undefined;
  };
  /** Makes the daemon answer with many ERRORs, which are never merged. */
  const provoke = (client: RawClient): void => {
    for (let i = 0; i < BURST; i++) client.sendText('{"op":"query","x":1}');
  };
  const refusals = (map: string): number =>
    test.daemon.app.daemon.maps.get(map).counters.refused.get('EINVAL|bad_frame') ?? 0;

  /** Fills what the operating system buffers, until bytes stay in the daemon; returns the ERRORs to come. */
  const congest = async (map: string, client: RawClient): Promise<number> => {
    client.socket.pause();
    for (let sent = 1; ; sent++) {
      provoke(client);
      await until(() => refusals(map) === sent * BURST);
      if ((queued(map) ?? 0) > BURST_BYTES) return sent * BURST;
      if (sent > 1000) throw new Error('the daemon was never congested');
    }
  };

  it('gets its ACKs and WAKEUPs merged, the newest numbers and positions in them, and nothing lost', async () => {
    const map = await test.newMap();
    const client = await test.client(map, '', json);
    client.sendJson({ op: 'watch' });
    await client.nextJson();
    await client.nextJson();
    const errors = await congest(map, client);
    const held = queued(map);
    for (let seq = 1; seq <= 50; seq++) {
      client.sendJson({ op: 'output', seq, samples: ['a', 'b'] });
      await until(async () => (await test.daemon.rest.showMap(map)).producer_pos === String(seq * 32));
      await test.daemon.rest.drain(map, 'count', { flags: seq === 7 ? 2 : 0 });
    }
    expect(queued(map)).toBe(held);
    const { counters } = await test.daemon.rest.showMap(map);
    expect([counters.wakeups_sent, counters.wakeups_coalesced]).toEqual([2, 49]);

    client.socket.resume();
    const got: JsonMessage[] = [];
    while (got.length < errors + 2) got.push(await client.nextJson());
    expect(got.slice(0, errors).every(({ op }) => op === 'error')).toBe(true);
    expect(got.slice(errors)).toEqual([
      { op: 'ack', seq: '50', durability: 'memory', producer_pos: '1600', consumer_pos: '1568' },
      {
        op: 'wakeup',
        seq: '50',
        forced: true,
        writable: true,
        at_once: false,
        drained: 100,
        producer_pos: '1600',
        consumer_pos: '1600',
      },
    ]);
  });

  it('is closed 4408 once too much is queued; never more than the limit and one frame is held for it', async () => {
    const map = await test.newMap();
    const client = await test.client(map, 'producer=slow', json);
    client.sendJson({ op: 'reserve', size: 8 });
    await client.nextJson();
    client.socket.pause();
    let most = 0;
    for (let sent = 1; queued(map) !== undefined; sent++) {
      provoke(client);
      await until(() => {
        most = Math.max(most, queued(map) ?? 0);
        return queued(map) === undefined || refusals(map) === sent * BURST;
      });
      if (sent > 2000) throw new Error('the daemon holds everything');
    }
    expect(most).toBeLessThanOrEqual(MAX_QUEUED + 1024);
    // Fenced at once: its reservation is a discard, whether it ever reads or not.
    expect((await test.daemon.rest.peek(map)).map(({ state }) => state)).toEqual(['discarded']);
    // What it sends from now on is not even looked at.
    client.sendJson({ op: 'output', seq: 1, samples: ['late'] });
    client.socket.resume();
    await client.expectClose(4408, 'ENOSPC');
    expect((await test.daemon.rest.peek(map)).length).toBe(1);
    expect((await test.daemon.rest.call('GET', '/metrics')).text).toMatch(
      new RegExp(`ringbufd_slow_clients_total\\{map="${map}"\\} 1`),
    );
  });

  it('does not slow down the others', async () => {
    const map = await test.newMap({ max_entries: 65536 });
    const slow = await test.client(map, '', json);
    await congest(map, slow);
    const quick = await test.client(map);
    for (let seq = 1; seq <= 100; seq++) {
      quick.output(seq, ['x']);
      await quick.next(1000);
    }
    expect((await test.daemon.rest.peek(map)).length).toBe(100);
  });
});
