/** What producers, drains and operators see of a map with a journal, commit by commit. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Op } from '../../src/wire/index.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { JournalStoreDouble, type JournalDouble } from '../support/journal-double.js';
import { RawClient, type RawClientOptions } from '../support/raw-client.js';
import { until } from '../support/until.js';

let journals: JournalStoreDouble;
let daemon: TestDaemon;
let clients: RawClient[];

beforeEach(async () => {
  clients = [];
  journals = new JournalStoreDouble({ manual: true });
  daemon = await startDaemon({}, { journals });
  await createMap();
});
afterEach(async () => {
  for (const client of clients) client.terminate();
  for (const journal of journals.journals.values()) {
    journal.manual = false;
    journal.fault = undefined;
    journal.commit();
  }
  await daemon.close();
});

const createMap = (): Promise<void> => daemon.rest.createMap('m', { durability: 'written' });
const journal = (): JournalDouble => journals.of('m');
const client = async (query = '', options?: RawClientOptions): Promise<RawClient> => {
  const opened = await RawClient.open(daemon.produceUrl('m', query), options);
  clients.push(opened);
  return opened;
};
const welcomed = async (query = ''): Promise<RawClient> => {
  const opened = await client(query);
  await opened.expect(Op.WELCOME);
  return opened;
};
const post = (body: string): ReturnType<TestDaemon['rest']['send']> =>
  daemon.rest.send('POST', '/v1/maps/m/samples', body, { 'content-type': 'application/octet-stream' });
const drain = (): ReturnType<TestDaemon['rest']['call']> =>
  daemon.rest.call('POST', '/v1/maps/m/drain', { handler: 'count' });
const show = async (): Promise<Record<string, unknown>> => daemon.rest.expect(200, 'GET', '/v1/maps/m');
/** Once the daemon has taken so many bytes of producers, commits or not. */
const stored = (position: number): Promise<unknown> =>
  until(async () => (await show()).producer_pos === String(position), `producer position ${position}`);

/** The daemon dies: what was committed is all that the next one has. */
async function crash(): Promise<void> {
  const committed = journal().kept;
  journal().commit = () => false;
  journal().close = () => Promise.resolve();
  await daemon.close();
  expect(journal().kept).toBe(committed);
  daemon = await startDaemon({}, { journals });
  await daemon.rest.expect(201, 'PUT', '/v1/maps/m', { max_entries: 4096, durability: 'written' });
  await daemon.rest.expect(201, 'PUT', '/v1/maps/m/handlers/count', { kind: 'count' });
  await daemon.rest.expect(201, 'PUT', '/v1/maps/m/handlers/capture', { kind: 'capture' });
}

describe('a producer of a journalled map', () => {
  it('is acknowledged once a commit is durable, one for all frames that came meanwhile', async () => {
    const c = await welcomed('producer=p');
    c.output(1, ['a']);
    c.output(2, ['b', 'c']);
    await stored(48);
    expect(await c.settle()).toEqual([]);
    journal().commit();
    expect(await c.expect(Op.ACK)).toMatchObject({ seq: 2, producerPos: 48n, durability: 'written' });
    expect(journal().commits).toBe(1);
  });

  it('is told of what an ERROR counts only once that is durable', async () => {
    const c = await welcomed('producer=p');
    c.output(1, ['a']);
    c.output(2, ['x'.repeat(2000), 'y'.repeat(2000), 'z'.repeat(2000)]);
    await stored(4032);
    expect(await c.settle()).toEqual([]);
    journal().commit();
    expect(await c.expect(Op.ACK)).toMatchObject({ seq: 1 });
    expect(await c.expect(Op.ERROR)).toMatchObject({ errno: 28, seq: 2n, accepted: 2 });
  });

  it('gets DONE of a SUBMIT, and its sample to the drains, once that is durable', async () => {
    const c = await welcomed();
    const position = await c.reserve(1);
    journal().commit();
    c.send({ op: Op.SUBMIT, seq: 9n, position, payload: new Uint8Array([1]) });
    expect(await c.settle()).toEqual([]);
    expect(await daemon.rest.drain('m')).toMatchObject({ drained: 0 });
    journal().commit();
    expect(await c.expect(Op.DONE)).toMatchObject({ seq: 9n });
    const drained = drain();
    await until(() => journal().commit(), 'the checkpoint');
    expect((await drained).body).toMatchObject({ drained: 1 });
  });

  it('is welcomed after a take-over once what it had sent before is durable', async () => {
    const first = await welcomed('producer=p');
    first.output(1, ['a']);
    await stored(16);
    const second = await client('producer=p');
    await first.expectClose(4506);
    expect(second.waiting).toBe(0);
    journal().commit();
    expect(await second.expect(Op.WELCOME)).toMatchObject({
      seq: 1,
      body: { resumed: true, partial: 0, acked_pos: '16', durability: 'written' },
    });
    second.output(2, ['b']);
    await stored(32);
    journal().commit();
    expect(await second.expect(Op.ACK)).toMatchObject({ seq: 2 });
  });

  it('that resends what is not durable yet is acknowledged when it is', async () => {
    const c = await welcomed('producer=p');
    c.output(1, ['a']);
    c.output(1, ['a'], { resend: true });
    await stored(16);
    expect(await c.settle()).toEqual([]);
    journal().commit();
    expect(await c.expect(Op.ACK)).toMatchObject({ seq: 1 });
    c.output(1, ['a'], { resend: true });
    expect(await c.expect(Op.ACK)).toMatchObject({ seq: 1 });
    expect((await show()).producer_pos).toBe('16');
  });

  it('in plain mode gets its Close answered once everything before it is durable', async () => {
    const c = await client('', { protocols: [] });
    c.sendText('a');
    await stored(16);
    const closed = c.close(1000);
    const other = await welcomed();
    await other.settle();
    expect(c.closed).toBeUndefined();
    journal().commit();
    expect(await closed).toMatchObject({ code: 1000 });
  });

  it('over REST is answered once its samples are durable', async () => {
    let answered = false;
    const answer = post('a').then((value) => ((answered = true), value));
    await stored(16);
    expect(answered).toBe(false);
    journal().commit();
    expect(await answer).toMatchObject({ status: 200, body: { accepted: 1 } });
  });
});

describe('a drain of a journalled map', () => {
  it('sees nothing that is not durable', async () => {
    const c = await welcomed();
    c.output(1, ['a']);
    await stored(16);
    expect(await daemon.rest.drain('m')).toMatchObject({ drained: 0 });
    expect(await show()).toMatchObject({ producer_pos: '16', visible_pos: '0' });
    journal().commit();
    expect(await show()).toMatchObject({ producer_pos: '16', visible_pos: '16' });
  });

  it('is answered, wakes and gives room back after its checkpoint; until then the map is busy', async () => {
    const c = await welcomed('producer=p');
    c.output(1, ['x'.repeat(4088)]);
    await stored(4096);
    journal().commit();
    await c.expect(Op.ACK);
    c.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 4096 });
    await c.expect(Op.DONE);
    let answered = false;
    const first = drain().then((value) => ((answered = true), value));
    await until(async () => (await show()).consumer_pos === '4096', 'the drain');
    expect(await show()).toMatchObject({ freed_pos: '0', free_bytes: 0, draining: true });
    expect(await drain()).toMatchObject({ status: 409 });
    c.output(2, ['y']);
    expect(await c.expect(Op.ERROR)).toMatchObject({ errno: 28, consumerPos: 0n });
    expect(await c.query()).toMatchObject({ consumerPos: 0n, availData: 4096n });
    expect(answered).toBe(false);
    journal().commit();
    expect(await c.expect(Op.WAKEUP)).toMatchObject({ drained: 1, consumerPos: 4096n, writable: true });
    expect((await first).body).toMatchObject({ ret: 1, consumer_pos: '4096', wakeup: true });
    expect(await show()).toMatchObject({ freed_pos: '4096', free_bytes: 4096, draining: false });
  });

  it('lets a blocked output go on after its checkpoint', async () => {
    const c = await welcomed('producer=p&on_full=block');
    c.output(1, ['x'.repeat(4088)]);
    c.output(2, ['y']);
    await until(async () => (await show()).producers_waiting === 1, 'the block');
    journal().commit();
    await c.expect(Op.ACK);
    const drained = drain();
    await until(async () => (await show()).consumer_pos === '4096', 'the drain');
    expect(await show()).toMatchObject({ producers_waiting: 1, producer_pos: '4096' });
    journal().commit();
    await drained;
    await stored(4112);
    journal().commit();
    expect(await c.expect(Op.ACK)).toMatchObject({ seq: 2 });
  });

  it('by an auto trigger starts from commits and checkpoints each of its drains', async () => {
    journal().manual = false;
    await daemon.rest.expect(201, 'PUT', '/v1/maps/m/handlers/auto', {
      kind: 'count',
      trigger: { mode: 'auto' },
    });
    const c = await welcomed('producer=p&on_full=block');
    for (let seq = 1; seq <= 200; seq++) c.output(seq, ['x'.repeat(1000)]);
    await until(async () => (await show()).freed_pos === String(200 * 1008), 'all to be drained');
    for (let seq = 0; seq < 200;) seq = (await c.expect(Op.ACK)).seq;
  });
});

describe('after a crash of the daemon', () => {
  it('what was acknowledged is there, what was not is not, and WELCOME tells them apart', async () => {
    const c = await welcomed('producer=p');
    c.output(1, ['a']);
    c.output(2, ['x'.repeat(2000), 'y'.repeat(2000), 'z'.repeat(2000)]);
    await stored(4032);
    journal().commit();
    const { incarnation } = await show();
    const drained = drain();
    await until(async () => (await show()).consumer_pos === '4032', 'the drain');
    journal().commit();
    await drained;
    c.output(2, ['x'.repeat(2000), 'y'.repeat(2000), 'z'.repeat(2000)], { resend: true });
    await stored(6040);
    await crash();

    expect(await show()).toMatchObject({
      incarnation,
      producer_pos: '4032',
      consumer_pos: '4032',
      counters: { accepted_samples: 3, drained_samples: 3, buffered_samples: 0 },
    });
    const again = await client('producer=p');
    expect(await again.expect(Op.WELCOME)).toMatchObject({
      seq: 1,
      body: { resumed: true, partial: 2, acked_pos: '16', incarnation },
    });
    again.output(2, ['x'.repeat(2000), 'y'.repeat(2000), 'z'.repeat(2000)], { resend: true });
    await stored(6040);
    journal().commit();
    expect(await again.expect(Op.ACK)).toMatchObject({ seq: 2 });
    expect(await show()).toMatchObject({ counters: { accepted_samples: 4, buffered_samples: 1 } });
  });

  it('what was drained and has no checkpoint is drained again, and nothing more', async () => {
    const c = await welcomed('producer=p');
    c.output(1, ['a', 'b']);
    await stored(32);
    journal().commit();
    void drain().catch(() => undefined);
    await until(async () => (await show()).consumer_pos === '32', 'the drain');
    await crash();
    const again = drain();
    await until(() => journal().commit(), 'the checkpoint');
    expect((await again).body).toMatchObject({ drained: 2 });
  });

  it('an open reservation is a discard, a submitted one a sample', async () => {
    const c = await welcomed();
    const first = await c.reserve(1);
    await c.reserve(1);
    c.send({ op: Op.SUBMIT, seq: 9n, position: first, payload: new Uint8Array([7]) });
    await c.settle();
    journal().commit();
    await c.expect(Op.DONE);
    await crash();
    const again = drain();
    await until(() => journal().commit(), 'the checkpoint');
    expect((await again).body).toMatchObject({ drained: 1, discarded: 1 });
  });
});

describe('a journal without room', () => {
  it('refuses with ENOSPC, loses nothing, and goes on by itself', async () => {
    const c = await welcomed('producer=p');
    const blocked = await welcomed('producer=b&on_full=block');
    c.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 1 });
    await c.settle();
    c.output(1, ['a']);
    await stored(16);
    journal().fault = 'ENOSPC';
    journal().commit();
    expect(await show()).toMatchObject({ journal: 'full', visible_pos: '0' });
    c.output(2, ['b']);
    expect(await c.expect(Op.ERROR)).toMatchObject({ errno: 28, seq: 2n, accepted: 0 });
    blocked.output(1, ['c']);
    await until(async () => (await show()).producers_waiting === 1, 'the block');
    expect(await post('d')).toMatchObject({ status: 429, body: { code: 'RINGBUFD_ERR_JOURNAL_FULL' } });
    c.send({ op: Op.RESERVE, seq: 7n, size: 8 });
    expect(await c.expect(Op.ERROR)).toMatchObject({
      errno: 28,
      seq: 7n,
      message: expect.stringContaining('journal') as string,
    });
    expect(await drain()).toMatchObject({ status: 429, body: { code: 'RINGBUFD_ERR_JOURNAL_FULL' } });
    expect(await RawClient.refusal(daemon.produceUrl('m', 'producer=p'))).toMatchObject({ status: 429 });
    expect((await show()).counters).toMatchObject({ refused: { 'ENOSPC|journal': 4 } });

    journal().fault = undefined;
    journal().commit();
    expect(await show()).toMatchObject({ journal: 'ok' });
    expect(await c.expect(Op.ACK)).toMatchObject({ seq: 1 });
    expect(await c.expect(Op.WAKEUP)).toMatchObject({ forced: true });
    await stored(32);
    journal().commit();
    expect(await blocked.expect(Op.ACK)).toMatchObject({ seq: 1 });
    c.output(2, ['b'], { resend: true });
    await stored(48);
    journal().commit();
    expect(await c.expect(Op.ACK)).toMatchObject({ seq: 2 });
  });

  it('answers a drain whose checkpoint finds none, and checkpoints it later', async () => {
    const c = await welcomed('producer=p');
    c.output(1, ['a']);
    await stored(16);
    journal().commit();
    const drained = drain();
    await until(async () => (await show()).consumer_pos === '16', 'the drain');
    journal().fault = 'ENOSPC';
    journal().commit();
    expect(await drained).toMatchObject({
      status: 429,
      body: { code: 'RINGBUFD_ERR_JOURNAL_FULL', drained: 1 },
    });
    journal().fault = undefined;
    journal().commit();
    expect(await show()).toMatchObject({ freed_pos: '16', draining: false });
  });
});

describe('a journal that failed', () => {
  it('makes the map read-only at once, and says so everywhere', async () => {
    const c = await welcomed('producer=p');
    c.output(1, ['a']);
    await stored(16);
    const posted = post('b');
    await stored(32);
    journal().fault = 'EIO';
    journal().commit();
    await c.expectClose(1011, 'EIO');
    expect(await posted).toMatchObject({ status: 500, body: { code: 'RINGBUFD_ERR_JOURNAL_FAILED' } });
    expect(await post('c')).toMatchObject({ status: 500, body: { code: 'RINGBUFD_ERR_JOURNAL_FAILED' } });
    expect(await drain()).toMatchObject({ status: 500, body: { code: 'RINGBUFD_ERR_JOURNAL_FAILED' } });
    expect(await RawClient.refusal(daemon.produceUrl('m', 'producer=p'))).toMatchObject({
      status: 500,
      body: { code: 'RINGBUFD_ERR_JOURNAL_FAILED', retryable: true },
    });
    expect(await show()).toMatchObject({ journal: 'failed', producer_pos: '32', visible_pos: '0' });
    expect(await daemon.rest.call('GET', '/readyz')).toMatchObject({
      status: 503,
      body: { code: 'RINGBUFD_ERR_MAPS_READ_ONLY', detail: 'm' },
    });
  });

  it('leaves the other maps alone', async () => {
    await daemon.rest.createMap('other', { durability: 'synced' });
    const c = await welcomed('producer=p');
    c.output(1, ['a']);
    await stored(16);
    journal().fault = 'EIO';
    journal().commit();
    const other = await RawClient.welcomed(daemon.produceUrl('other'));
    clients.push(other);
    other.output(1, ['a']);
    await until(() => journals.of('other').commit(), 'a commit');
    expect(await other.expect(Op.ACK)).toMatchObject({ seq: 1 });
  });
});

describe('a daemon that shuts down', () => {
  it('acknowledges everything it has taken before it hangs up with 4412', async () => {
    const c = await welcomed('producer=p');
    c.output(1, ['a']);
    await stored(16);
    const closing = daemon.app.daemon.close(2000);
    c.output(2, ['late']);
    await until(() => journal().commit(), 'the last commit');
    expect(await c.expect(Op.ACK)).toMatchObject({ seq: 1 });
    await c.expectClose(4412);
    journal().manual = false;
    await closing;
    expect(journal().closed).toBe(true);
    expect(journal().kept!.producers.get('p')).toMatchObject({ lastSeq: 1 });
  });
});

describe('a map of the same name', () => {
  it('begins anew after a DELETE', async () => {
    const { incarnation } = await show();
    await daemon.rest.expect(204, 'DELETE', '/v1/maps/m');
    await createMap();
    expect((await show()).incarnation).not.toBe(incarnation);
  });

  it('is refused with another durability, and when it is direct', async () => {
    const other = { max_entries: 4096, durability: 'synced' };
    expect(await daemon.rest.call('PUT', '/v1/maps/m', other)).toMatchObject({ status: 409 });
    const direct = { ...other, mode: 'direct' };
    expect(await daemon.rest.call('PUT', '/v1/maps/d', direct)).toMatchObject({ status: 400 });
  });
});
