/** Dead letters into, and out of, maps with a journal: nothing is released before it is durable elsewhere, or stored twice. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { JournalStoreDouble } from '../support/journal-double.js';
import type { RestAnswer } from '../support/rest.js';
import { until } from '../support/until.js';

let journals: JournalStoreDouble;
let daemon: TestDaemon;

beforeEach(async () => {
  journals = new JournalStoreDouble();
  daemon = await startDaemon({}, { journals });
});
afterEach(async () => {
  for (const journal of journals.journals.values()) {
    journal.manual = false;
    journal.fault = undefined;
    journal.commit();
  }
  await daemon.close();
});

type Durability = 'memory' | 'written';

const create = (map: string, durability: Durability): Promise<unknown> =>
  daemon.rest.expect(201, 'PUT', `/v1/maps/${map}`, { max_entries: 16_384, durability });
const show = (map: string): Promise<Record<string, unknown>> =>
  daemon.rest.expect(200, 'GET', `/v1/maps/${map}`);
const accepted = async (map: string): Promise<number> =>
  (await daemon.rest.showMap(map)).counters.accepted_samples;
const store = (map: string, sample: string): Promise<RestAnswer> =>
  daemon.rest.send('POST', `/v1/maps/${map}/samples`, sample, { 'content-type': 'application/octet-stream' });
const drain = (map: string): Promise<RestAnswer> =>
  daemon.rest.call('POST', `/v1/maps/${map}/drain`, { handler: 'fails' });
const replay = (body: unknown = {}): Promise<RestAnswer> =>
  daemon.rest.call('POST', '/v1/maps/dlq/replay', body);

/** A map whose handler fails at once, whatever the sample. */
async function failing(map: string, durability: Durability = 'memory'): Promise<void> {
  await create(map, durability);
  await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/fails`, {
    kind: 'webhook',
    config: { url: 'http://localhost:1/' },
    on_error: { policy: 'dead_letter', map: 'dlq', max_attempts: 1 },
  });
}

/** A drain that has stored its dead letter and waits for the commit of it. */
async function burying(map = 'm'): Promise<{ answer: Promise<RestAnswer>; answered: () => boolean }> {
  let answered = false;
  const answer = drain(map).then((value) => ((answered = true), value));
  await until(async () => (await accepted('dlq')) === 1, 'the dead letter');
  return { answer, answered: () => answered };
}

describe('a dead letter for a map with a journal', () => {
  beforeEach(() => create('dlq', 'written'));

  it('takes its sample out of the ring once it is durable, and not before', async () => {
    await failing('m');
    await store('m', 'a');
    journals.of('dlq').manual = true;
    const { answer, answered } = await burying();
    expect(await drain('m')).toMatchObject({ status: 409 });
    expect(await show('m')).toMatchObject({ consumer_pos: '0', draining: true });
    expect(answered()).toBe(false);
    journals.of('dlq').commit();
    expect(await answer).toMatchObject({ status: 200, body: { dead_lettered: 1 } });
    expect(await show('m')).toMatchObject({ consumer_pos: '16', draining: false });
    expect(await accepted('dlq')).toBe(1);
  });

  it('waits for room, and is stored once', async () => {
    await failing('m');
    await store('m', 'a');
    const journal = journals.of('dlq');
    journal.manual = true;
    const { answer } = await burying();
    journal.fault = 'ENOSPC';
    journal.commit();
    expect(await show('m')).toMatchObject({ consumer_pos: '0', draining: true });
    journal.fault = undefined;
    journal.commit();
    expect(await answer).toMatchObject({ status: 200, body: { dead_lettered: 1 } });
    expect(await accepted('dlq')).toBe(1);
  });

  it('stays in its own map when that journal fails, and is not stored again', async () => {
    await failing('m');
    await store('m', 'a');
    const journal = journals.of('dlq');
    journal.manual = true;
    const { answer } = await burying();
    journal.fault = 'EIO';
    journal.commit();
    for (const { status, body } of [await answer, await drain('m')]) {
      expect(status).toBe(500);
      expect(body).toMatchObject({ drained: 0 });
      expect(body.detail).toMatch(/its dead letter was not taken/);
    }
    expect(await show('m')).toMatchObject({ consumer_pos: '0', counters: { dead_lettered_samples: 0 } });
    expect(await accepted('dlq')).toBe(1);
    expect(await daemon.rest.expect(200, 'GET', '/v1/maps/m/handlers/fails')).toMatchObject({
      dead_letter_error: { errno: 'EIO' },
    });
  });

  it('is durable before the checkpoint that forgets its sample is even made', async () => {
    await failing('m', 'written');
    await store('m', 'a');
    journals.of('dlq').manual = true;
    const { answer } = await burying();
    // Commits of the map that the sample is in go on meanwhile.
    await store('m', 'b');
    expect(journals.of('m').kept?.snapshot).toMatchObject({ producerPos: 32n, consumerPos: 0n });
    journals.of('dlq').commit();
    await answer;
    expect(journals.of('m').kept?.snapshot).toMatchObject({
      consumerPos: 16n,
      counters: { deadLetteredSamples: 1 },
    });
  });
});

describe('a replay into a map with a journal', () => {
  beforeEach(async () => {
    await create('dlq', 'memory');
    await failing('a');
    await failing('b', 'written');
    for (const map of ['a', 'b', 'a']) {
      await store(map, `of ${map}`);
      await drain(map);
    }
    journals.of('b').manual = true;
  });

  /** A replay that has stored everything and waits for the commit of b. */
  async function replaying(): Promise<Promise<RestAnswer>[]> {
    const before = await accepted('b');
    const answer = replay();
    await until(async () => (await accepted('b')) === before + 1, 'the replay');
    return [answer];
  }

  it('releases nothing before it is durable there', async () => {
    const [answer] = await replaying();
    expect(await show('dlq')).toMatchObject({ consumer_pos: '0', draining: true });
    journals.of('b').commit();
    expect(await answer).toMatchObject({ status: 200, body: { replayed: 3, to: { a: 2, b: 1 } } });
    expect(await daemon.rest.peek('dlq')).toEqual([]);
  });

  it('whose journal fails keeps what is not known to be durable, and stores nothing twice', async () => {
    const [answer] = await replaying();
    journals.of('b').fault = 'EIO';
    journals.of('b').commit();
    expect(await answer).toMatchObject({
      status: 500,
      body: { code: 'RINGBUFD_ERR_JOURNAL_FAILED', replayed: 1, to: { a: 1 } },
    });
    expect(await daemon.rest.peek('dlq')).toHaveLength(2);
    expect(await replay()).toMatchObject({
      status: 500,
      body: { code: 'RINGBUFD_ERR_JOURNAL_FAILED', replayed: 0, to: {} },
    });
    expect([await accepted('a'), await accepted('b')]).toEqual([3, 2]);
    // Somewhere else it is new.
    await create('other', 'memory');
    expect(await replay({ to: 'other', limit: 1 })).toMatchObject({
      status: 200,
      body: { replayed: 1, to: { other: 1 } },
    });
    expect(await replay()).toMatchObject({ status: 200, body: { replayed: 1, to: { a: 1 } } });
    expect([await accepted('a'), await accepted('other')]).toEqual([4, 1]);
  });

  it('ends when that journal has no room, says how far it came, and goes on later without a double', async () => {
    const [answer] = await replaying();
    journals.of('b').fault = 'ENOSPC';
    journals.of('b').commit();
    expect(await answer).toMatchObject({
      status: 429,
      body: { code: 'RINGBUFD_ERR_JOURNAL_FULL', replayed: 1, to: { a: 1 } },
    });
    expect(await replay()).toMatchObject({
      status: 429,
      body: { code: 'RINGBUFD_ERR_JOURNAL_FULL', replayed: 0 },
    });
    expect(await daemon.rest.peek('dlq')).toHaveLength(2);
    journals.of('b').fault = undefined;
    journals.of('b').commit();
    expect(await replay()).toMatchObject({ status: 200, body: { replayed: 2, to: { a: 1, b: 1 } } });
    expect([await accepted('a'), await accepted('b')]).toEqual([4, 2]);
  });
});

describe('a replay that a crash has interrupted', () => {
  /** The daemon dies: what was committed is all that the next one has. */
  async function crash(): Promise<void> {
    for (const journal of journals.journals.values()) {
      journal.commit = () => false;
      journal.close = () => Promise.resolve();
    }
    await daemon.close();
    daemon = await startDaemon({}, { journals });
  }

  it('stores nothing again that was durable in its map, and what was not', async () => {
    await create('dlq', 'written');
    await failing('m', 'written');
    for (const sample of ['one', 'two', 'three']) {
      await store('m', sample);
      await drain('m');
    }
    const dlq = journals.of('dlq');
    dlq.manual = true;
    const lost = replay({ limit: 2 }).catch(() => undefined);
    // Durable in the map that it came from; the map of dead letters has not forgotten them yet.
    await until(() => journals.of('m').kept?.snapshot.producerPos === 80n, 'the commit of the replay');
    await crash();
    await lost;
    await create('dlq', 'written');
    await create('m', 'written');
    expect(await daemon.rest.peek('dlq')).toHaveLength(3);
    expect(await accepted('m')).toBe(5);
    expect(await replay()).toMatchObject({ status: 200, body: { replayed: 3, to: { m: 3 } } });
    expect(await accepted('m')).toBe(6);
    await daemon.rest.expect(201, 'PUT', '/v1/maps/m/handlers/capture', { kind: 'capture' });
    expect(await daemon.rest.drainSamples('m')).toEqual(
      ['one', 'two', 'three'].map((text) => Buffer.from(text).toString('hex')),
    );
  });

  it('stores a letter of another life of the map of dead letters, whatever its position', async () => {
    await create('dlq', 'written');
    await failing('m', 'written');
    for (const sample of ['one', 'two']) {
      await store('m', sample);
      await drain('m');
      expect(await replay()).toMatchObject({ status: 200, body: { replayed: 1 } });
      await drain('m');
      await daemon.rest.expect(204, 'DELETE', '/v1/maps/dlq');
      await create('dlq', 'written');
    }
    expect(await accepted('m')).toBe(4);
  });
});
