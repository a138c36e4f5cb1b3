import { describe, expect, it } from 'vitest';
import { Op } from '../../src/wire/index.js';
import type { RestAnswer } from '../support/rest.js';
import { useDaemon } from '../support/use-daemon.js';
import { expectProblem } from './problem.js';
import { stall } from './stall.js';

const under = useDaemon();
const drain = (map: string, body: unknown): Promise<RestAnswer> =>
  under.daemon.rest.call('POST', `/v1/maps/${map}/drain`, body);
const store = (map: string, sample: string): Promise<RestAnswer> =>
  under.daemon.rest.send('POST', `/v1/maps/${map}/samples`, sample, {
    'content-type': 'application/octet-stream',
  });

/** Everything that a refused drain must leave as it is. */
async function state(map: string): Promise<unknown> {
  const { producer_pos, consumer_pos, counters } = await under.daemon.rest.showMap(map);
  return { producer_pos, consumer_pos, counters: { ...counters, refused: {} } };
}

describe('POST /v1/maps/{map}/drain', () => {
  it('runs the handler on what is there and tells what it did', async () => {
    const map = await under.newMap();
    const client = await under.client(map);
    const position = await client.reserve(16);
    await store(map, 'a'.repeat(16));
    await store(map, 'b'.repeat(8));
    client.send({ op: Op.DISCARD, seq: 1n, position });
    await client.expect(Op.DONE);
    const answer = await drain(map, { handler: 'count', flags: [], ctx: {} });
    expect([answer.status, answer.body]).toEqual([
      200,
      {
        ret: 2,
        drained: 2,
        discarded: 1,
        stopped: false,
        wakeup: true,
        producer_pos: '64',
        consumer_pos: '64',
        drain_number: 1,
      },
    ]);
    expect(await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/count`)).toMatchObject({
      state: { samples: 2, bytes: 24 },
    });
  });

  it('needs only the handler', async () => {
    const map = await under.newMap();
    expect((await drain(map, { handler: 'count' })).body).toEqual({
      ret: 0,
      drained: 0,
      discarded: 0,
      stopped: false,
      wakeup: false,
      producer_pos: '0',
      consumer_pos: '0',
      drain_number: 1,
    });
  });

  it.each([
    [[], true],
    [['BPF_RB_NO_WAKEUP'], false],
    [['BPF_RB_FORCE_WAKEUP'], true],
    [['BPF_RB_NO_WAKEUP', 'BPF_RB_FORCE_WAKEUP'], true],
    [0, true],
    [1, false],
    [2, true],
    [3, true],
    ['0', true],
    ['1', false],
    ['3', true],
  ])('takes flags %j: wakeup %s after a sample', async (flags, wakeup) => {
    const map = await under.newMap();
    await store(map, 'x');
    expect((await drain(map, { handler: 'count', flags })).body).toMatchObject({ ret: 1, wakeup });
  });

  it('wakes on an empty drain only when forced', async () => {
    const map = await under.newMap();
    expect((await drain(map, { handler: 'count', flags: [] })).body).toMatchObject({ ret: 0, wakeup: false });
    expect((await drain(map, { handler: 'count', flags: 2 })).body).toMatchObject({ ret: 0, wakeup: true });
  });

  it.each([
    [['BPF_RB_NO_WAKEUP', 'BPF_RB_MAYBE']],
    [['bpf_rb_no_wakeup']],
    [['toString']],
    [[1]],
    [[null]],
    ['BPF_RB_NO_WAKEUP'],
    ['0x1'],
    ['-1'],
    ['1.0'],
    [' 1'],
    [''],
    [-1],
    [1.5],
    [4],
    [5],
    [2 ** 31],
    [2 ** 32],
    [2 ** 32 + 1],
    [2 ** 53],
    ['4'],
    ['4294967296'],
    ['4294967297'],
    ['18446744073709551615'],
    ['18446744073709551616'],
    ['99999999999999999999'],
  ])('refuses flags %j with EINVAL and drains nothing', async (flags) => {
    const map = await under.newMap();
    await store(map, 'x');
    const before = await state(map);
    const answer = await drain(map, { handler: 'count', flags });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'RINGBUFD_ERR_BAD_FLAGS', errno: 'EINVAL', retryable: false });
    expect(await state(map)).toEqual(before);
  });

  it('tells the result beside the problem when the flags were refused by the drain itself', async () => {
    const map = await under.newMap();
    await store(map, 'x');
    expectProblem(await drain(map, { handler: 'count', flags: 4 }), 'BAD_FLAGS', {
      extra: {
        ret: -22,
        drained: 0,
        discarded: 0,
        stopped: false,
        wakeup: false,
        producer_pos: '16',
        consumer_pos: '0',
        drain_number: 0,
      },
    });
  });

  it('refuses a body that lacks the handler, or has what it does not know', async () => {
    const map = await under.newMap();
    expectProblem(await drain(map, {}), 'BAD_REQUEST', { detail: /handler/ });
    expectProblem(await drain(map, { handler: 7 }), 'BAD_REQUEST', { detail: /^body\.handler / });
    expectProblem(await drain(map, { handler: '../count' }), 'BAD_REQUEST', { detail: /^body\.handler / });
    expectProblem(await drain(map, { handler: 'count', flag: [] }), 'BAD_REQUEST', {
      detail: 'body.flag is not a known key',
    });
    expectProblem(await drain(map, { handler: 'count', flags: true }), 'BAD_REQUEST', {
      detail: /^body\.flags /,
    });
    expectProblem(await drain(map, { handler: 'count', ctx: [] }), 'BAD_REQUEST', { detail: /^body\.ctx / });
    expectProblem(await drain(map, { handler: 'nobody' }), 'NO_HANDLER', { status: 404 });
    expectProblem(await drain('nowhere', { handler: 'count' }), 'NO_MAP', { status: 404 });
  });

  it('refuses a ctx that the handler does not take, before the drain begins', async () => {
    const map = await under.newMap();
    await store(map, 'x');
    const before = await state(map);
    for (const ctx of [{ stop_afer: 1 }, { stop_after: '1' }, { stop_after: -2 }, { reset: 1 }])
      expectProblem(await drain(map, { handler: 'capture', ctx }), 'HANDLER_CTX', {
        status: 400,
        detail: /^ctx\./,
      });
    expect(await state(map)).toEqual(before);
    expect((await under.daemon.rest.showMap(map)).counters.refused).toEqual({ 'EINVAL|bad_ctx': 4 });
  });

  it.each([
    [-1, 3, false],
    [0, 1, true],
    [1, 1, true],
    [2, 2, true],
    [3, 3, true],
    [4, 3, false],
    [undefined, 3, false],
  ])('capture with stop_after %j drains %i of 3 samples', async (stop_after, drained, stopped) => {
    const map = await under.newMap();
    for (const sample of ['a', 'b', 'c']) await store(map, sample);
    const ctx = stop_after === undefined ? {} : { stop_after };
    expect((await drain(map, { handler: 'capture', ctx })).body).toMatchObject({
      ret: drained,
      drained,
      stopped,
      consumer_pos: String(16 * drained),
    });
  });

  it('answers only after the WAKEUPs that it caused are on their way', async () => {
    const map = await under.newMap();
    const watcher = await under.client(map);
    await store(map, 'x'.repeat(4088));
    watcher.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 4096 });
    await watcher.expect(Op.DONE);
    await drain(map, { handler: 'count' });
    expect(await watcher.expect(Op.WAKEUP)).toMatchObject({ drained: 1, seq: 1n, consumerPos: 4096n });
  });

  describe('while a drain is under way', () => {
    it('refuses a second drain, a delete and a change of handlers with EBUSY', async () => {
      const map = await under.newMap();
      const { rest } = under.daemon;
      await rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/f`, { kind: 'file' });
      const { started, release } = stall(under.daemon, map, 'f');
      await store(map, 'x');
      const first = drain(map, { handler: 'f' });
      await started;
      expect(await rest.expect(200, 'GET', `/v1/maps/${map}`)).toMatchObject({ draining: true });
      expectProblem(await drain(map, { handler: 'count' }), 'DRAIN_BUSY', {
        status: 409,
        extra: {
          ret: -16,
          drained: 0,
          discarded: 0,
          stopped: false,
          wakeup: false,
          producer_pos: '16',
          consumer_pos: '0',
          drain_number: 0,
        },
      });
      // Flags are looked at before the busy flag.
      expect((await drain(map, { handler: 'count', flags: 4 })).body).toMatchObject({
        code: 'RINGBUFD_ERR_BAD_FLAGS',
        ret: -22,
      });
      expectProblem(await rest.call('DELETE', `/v1/maps/${map}`), 'MAP_BUSY', { status: 409 });
      // Handlers that are not being drained through come and go.
      await rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/g`, { kind: 'count' });
      await rest.expect(204, 'DELETE', `/v1/maps/${map}/handlers/g`);
      // Producers are not held up.
      expect((await store(map, 'y')).status).toBe(200);
      release();
      expect((await first).body).toMatchObject({ ret: 2, drained: 2, consumer_pos: '32', drain_number: 1 });
      expect((await rest.showMap(map)).counters.refused).toEqual({
        'EBUSY|drain_busy': 1,
        'EBUSY|map_busy': 1,
        'EINVAL|bad_flags': 1,
      });
    });

    it('leaves other maps alone', async () => {
      const [busy, other] = [await under.newMap(), await under.newMap()];
      await under.daemon.rest.expect(201, 'PUT', `/v1/maps/${busy}/handlers/f`, { kind: 'file' });
      const { started, release } = stall(under.daemon, busy, 'f');
      await store(busy, 'x');
      await store(other, 'x');
      const first = drain(busy, { handler: 'f' });
      await started;
      expect((await drain(other, { handler: 'count' })).body).toMatchObject({ ret: 1 });
      release();
      await first;
    });
  });

  describe('of a direct map', () => {
    const write = async (map: string, bytes: number[], producerPos: bigint) => {
      const client = await under.client(map, 'producer=p');
      client.send({ op: Op.WRITE, seq: 1n, offset: 0n, bytes: Uint8Array.from(bytes) });
      await client.expect(Op.DONE);
      client.send({ op: Op.COMMIT, seq: 2n, producerPos });
      await client.expect(Op.DONE);
    };
    const nothing = { discarded: 0, stopped: false, drain_number: 1 };

    it('answers EINVAL for a misaligned producer position', async () => {
      const map = await under.newMap({ mode: 'direct' });
      await write(map, [1, 0, 0, 0, 0, 0, 0, 0], 9n);
      expectProblem(await drain(map, { handler: 'count' }), 'DRAIN_BAD_RECORD', {
        status: 422,
        extra: { ...nothing, ret: -22, drained: 0, wakeup: false, producer_pos: '9', consumer_pos: '0' },
      });
    });

    it('answers EINVAL for a record past the producer position, after what came before it', async () => {
      const map = await under.newMap({ mode: 'direct' });
      await write(map, [1, 0, 0, 0, 0, 0, 0, 0, 65, 0, 0, 0, 0, 0, 0, 0, 100], 32n);
      expectProblem(await drain(map, { handler: 'count' }), 'DRAIN_BAD_RECORD', {
        status: 422,
        extra: { ...nothing, ret: -22, drained: 1, wakeup: true, producer_pos: '32', consumer_pos: '16' },
      });
      expect((await under.daemon.rest.showMap(map)).counters).toMatchObject({
        drained_samples: 1,
        drain_errors: { EINVAL: 1 },
      });
    });

    it('answers E2BIG for a record that is larger than the ring', async () => {
      const map = await under.newMap({ mode: 'direct' });
      await write(map, [0, 0x20, 0, 0], 2n ** 20n);
      expectProblem(await drain(map, { handler: 'count' }), 'DRAIN_RECORD_TOO_BIG', {
        status: 422,
        extra: {
          ...nothing,
          ret: -7,
          drained: 0,
          wakeup: false,
          producer_pos: '1048576',
          consumer_pos: '0',
        },
      });
    });
  });
});
