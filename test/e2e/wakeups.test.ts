/** WATCH and WAKEUP over sockets. The rule itself: test/ring/wakeup.test.ts; the passes: test/server/wakeup-hub.test.ts. */
import { describe, expect, it } from 'vitest';
import { Op, type WakeupFrame } from '../../src/wire/index.js';
import type { RawClient } from '../support/raw-client.js';
import { useDaemon } from '../support/use-daemon.js';

const kib = (mark: number): Uint8Array => new Uint8Array(1016).fill(mark);

describe('WATCH', () => {
  const test = useDaemon();
  const watch = async (client: RawClient, minFree: number): Promise<void> => {
    client.send({ op: Op.WATCH, seq: 1n, on: true, minFree });
    await client.expect(Op.DONE);
  };
  const wakeups = async (client: RawClient): Promise<WakeupFrame[]> =>
    (await client.settle()).filter((frame) => frame.op === Op.WAKEUP);
  const fill = async (client: RawClient, count: number, seq = 1): Promise<void> => {
    client.output(
      seq,
      Array.from({ length: count }, (_, i) => kib(i)),
    );
    await client.expect(Op.ACK);
  };

  it('wakes when min_free is met and not before', async () => {
    const map = await test.newMap();
    const [producer, small, large] = [await test.client(map), await test.client(map), await test.client(map)];
    await fill(producer, 4);
    await watch(small, 1024);
    await watch(large, 3072);
    const drainOne = (): Promise<unknown> =>
      test.daemon.rest.drain(map, 'capture', { ctx: { stop_after: 1 } });
    await drainOne();
    expect([(await wakeups(small)).length, (await wakeups(large)).length]).toEqual([1, 0]);
    await drainOne();
    expect([(await wakeups(small)).length, (await wakeups(large)).length]).toEqual([1, 0]);
    await drainOne();
    expect([(await wakeups(small)).length, await wakeups(large)]).toEqual([
      1,
      [expect.objectContaining({ drained: 1, seq: 3n, writable: true, forced: false, atOnce: false })],
    ]);
  });

  it('wakes at once where the room came between ENOSPC and WATCH', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    await fill(client, 4);
    client.output(2, [kib(9)]);
    await client.expect(Op.ERROR);
    await test.daemon.rest.drain(map);
    await watch(client, 1024);
    expect(await client.expect(Op.WAKEUP)).toMatchObject({ atOnce: true, writable: true, seq: 1n });
  });

  it('changes its min_free when sent again, and is one watcher still', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    await fill(client, 4);
    await watch(client, 4096);
    await watch(client, 1024);
    expect((await test.daemon.rest.showMap(map)).watchers).toBe(1);
    await test.daemon.rest.drain(map, 'capture', { ctx: { stop_after: 1 } });
    expect((await wakeups(client)).length).toBe(1);
  });

  interface Case {
    name: string;
    flags: string[];
    samples: number;
    discards?: number;
    wakeup: Partial<WakeupFrame> | undefined;
  }
  it.each<Case>([
    { name: 'samples, no flags', flags: [], samples: 2, wakeup: { forced: false, drained: 2 } },
    { name: 'nothing, no flags', flags: [], samples: 0, wakeup: undefined },
    {
      name: 'discards alone, no flags',
      flags: [],
      samples: 0,
      discards: 1,
      wakeup: { forced: false, drained: 0 },
    },
    { name: 'samples, NO_WAKEUP', flags: ['BPF_RB_NO_WAKEUP'], samples: 2, wakeup: undefined },
    { name: 'nothing, NO_WAKEUP', flags: ['BPF_RB_NO_WAKEUP'], samples: 0, wakeup: undefined },
    {
      name: 'samples, FORCE',
      flags: ['BPF_RB_FORCE_WAKEUP'],
      samples: 1,
      wakeup: { forced: true, drained: 1 },
    },
    {
      name: 'nothing, FORCE',
      flags: ['BPF_RB_FORCE_WAKEUP'],
      samples: 0,
      wakeup: { forced: true, drained: 0 },
    },
    {
      name: 'samples, both: FORCE beats NO',
      flags: ['BPF_RB_NO_WAKEUP', 'BPF_RB_FORCE_WAKEUP'],
      samples: 1,
      wakeup: { forced: true, drained: 1 },
    },
    {
      name: 'nothing, both',
      flags: ['BPF_RB_NO_WAKEUP', 'BPF_RB_FORCE_WAKEUP'],
      samples: 0,
      wakeup: { forced: true, drained: 0 },
    },
  ])('after a drain of $name', async ({ flags, samples, discards = 0, wakeup }) => {
    const map = await test.newMap();
    const [producer, watcher] = [await test.client(map), await test.client(map)];
    await watch(watcher, 0);
    await watcher.expect(Op.WAKEUP);
    if (samples > 0) await fill(producer, samples);
    for (let i = 0; i < discards; i++) {
      producer.send({ op: Op.DISCARD, seq: 1n, position: await producer.reserve(8) });
      await producer.expect(Op.DONE);
    }
    const drain = await test.daemon.rest.drain(map, 'count', { flags });
    expect(drain.wakeup).toBe(wakeup !== undefined);
    expect(await wakeups(watcher)).toEqual(wakeup ? [expect.objectContaining(wakeup)] : []);
  });

  it('forced wakeups reach also those whose min_free is not met', async () => {
    const map = await test.newMap();
    const [producer, watcher] = [await test.client(map), await test.client(map)];
    await fill(producer, 4);
    producer.send({ op: Op.QUERY, seq: 1n });
    await producer.expect(Op.INFO);
    await watch(watcher, 4096);
    await test.daemon.rest.drain(map, 'capture', { ctx: { stop_after: 1 }, flags: 2 });
    expect(await wakeups(watcher)).toEqual([expect.objectContaining({ forced: true, writable: true })]);
  });

  it('is over when switched off, and when its connection is', async () => {
    const map = await test.newMap();
    const [producer, off, gone] = [await test.client(map), await test.client(map), await test.client(map)];
    await watch(off, 0);
    await watch(gone, 0);
    off.send({ op: Op.WATCH, seq: 2n, on: false, minFree: 0 });
    await off.settle();
    await gone.close(1000);
    await fill(producer, 1);
    await test.daemon.rest.drain(map);
    expect(await wakeups(off)).toEqual([]);
    expect((await test.daemon.rest.showMap(map)).watchers).toBe(0);
  });

  it('queues the WAKEUPs of a drain, to hundreds of watchers, before its REST answer', async () => {
    const map = await test.newMap();
    const clients = await Promise.all(Array.from({ length: 300 }, () => test.client(map)));
    for (const client of clients) client.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 0 });
    for (const client of clients) await client.settle();
    const { counters } = test.daemon.app.daemon.maps.get(map);
    const before = counters.wakeupsSent;
    const answered = test.daemon.rest.drain(map, 'count', { flags: 2 }).then(() => counters.wakeupsSent);
    expect(await answered).toBe(before + 300);
    for (const client of clients) expect((await wakeups(client)).length).toBe(1);
  });
});
