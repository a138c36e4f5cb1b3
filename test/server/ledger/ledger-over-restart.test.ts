/** The ledger of a journalled map after its daemon was killed: producer by producer, as if nothing had happened. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SampleHash } from '../../../src/client/index.js';
import { decodeHeader } from '../../../src/server/journal/file-header.js';
import { dataAt } from '../../../src/server/journal/layout.js';
import { Op } from '../../../src/wire/index.js';
import { startDaemon, type TestDaemon } from '../../support/daemon.js';
import { RawClient } from '../../support/raw-client.js';
import { until } from '../../support/until.js';

let folder: string;
let runs = 0;
let daemon: TestDaemon;
let clients: RawClient[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringbufd-ledger-'));
  clients = [];
  daemon = await startDaemon({ data_dir: join(folder, 'run-0') });
  runs = 0;
});
afterEach(async () => {
  for (const client of clients) client.terminate();
  await daemon.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What a killed daemon leaves, once nothing is under way: its data directory as it is now. */
async function killed(change: (file: string) => void = () => undefined): Promise<void> {
  const before = join(folder, `run-${runs}`);
  const after = join(folder, `run-${++runs}`);
  cpSync(before, after, { recursive: true });
  change(join(after, 'journal', 'm.ring'));
  for (const client of clients.splice(0)) client.terminate();
  await daemon.close();
  daemon = await startDaemon({ data_dir: after });
}

async function create(options: Record<string, unknown> = {}): Promise<void> {
  await daemon.rest.createMap('m', { max_entries: 65_536, durability: 'written', ...options });
}
async function producer(id: string): Promise<RawClient> {
  const client = await RawClient.open(daemon.produceUrl('m', `producer=${id}`));
  clients.push(client);
  await client.expect(Op.WELCOME);
  return client;
}
async function output(client: RawClient, seq: number, samples: string[]): Promise<void> {
  client.output(seq, samples);
  await client.expect(Op.ACK);
}
const drain = (count: number): Promise<unknown> =>
  daemon.rest.expect(200, 'POST', '/v1/maps/m/drain', { handler: 'capture', ctx: { stop_after: count } });

interface Amount {
  samples: number;
  bytes: number;
}
type Terms =
  'accepted' | 'drained' | 'discarded' | 'dead_lettered' | 'quarantined' | 'unattributed' | 'buffered';
type Line = Record<Terms, Amount> & {
  source: string;
  producer: string | null;
  hash: { accepted: string; drained: string; complete: boolean } | null;
};

/** The lines, by producer or source; the books have to hold. */
async function ledger(): Promise<Record<string, Line>> {
  const answer = (await daemon.rest.expect(200, 'GET', '/v1/maps/m/ledger')) as unknown as {
    holds: boolean;
    checks: unknown;
    producers: Line[];
  };
  expect(answer.checks).toEqual(expect.not.arrayContaining([expect.objectContaining({ holds: false })]));
  expect(answer.holds).toBe(true);
  return Object.fromEntries(answer.producers.map((line) => [line.producer ?? line.source, line]));
}
const samplesOf = (line: Line | undefined): Partial<Record<Terms, number>> =>
  Object.fromEntries(
    Object.entries(line ?? {}).flatMap(([term, amount]) =>
      term !== 'accepted_ever' &&
      amount !== null &&
      typeof amount === 'object' &&
      'samples' in amount &&
      amount.samples > 0
        ? [[term, amount.samples]]
        : [],
    ),
  );

describe('the ledger of a journalled map', { timeout: 60_000 }, () => {
  it('goes on producer by producer, with what is drained and whose the records in the ring are', async () => {
    await create();
    const [p, q] = [await producer('p'), await producer('q')];
    await output(p, 1, ['p1', 'p2']);
    await output(q, 1, ['q1']);
    await output(p, 2, ['p3', 'p4']);
    await daemon.rest.send('POST', '/v1/maps/m/samples', 'rest', {
      'content-type': 'application/octet-stream',
    });
    await output(q, 2, ['q2', 'q3']);
    await drain(4);
    const before = await ledger();
    expect(samplesOf(before['p'])).toEqual({ accepted: 4, drained: 3, buffered: 1 });
    for (let restart = 0; restart < 2; restart++) {
      await killed();
      const after = await ledger();
      for (const id of ['p', 'q']) expect(after[id]).toEqual(before[id]);
      expect(samplesOf(after['before_restart'])).toEqual({ accepted: 1, buffered: 1 });
    }
    await output(await producer('q'), 3, ['q4']);
    await drain(-1);
    const end = await ledger();
    expect(samplesOf(end['p'])).toEqual({ accepted: 4, drained: 4 });
    expect(samplesOf(end['q'])).toEqual({ accepted: 4, drained: 4 });
    expect(samplesOf(end['before_restart'])).toEqual({ accepted: 1, drained: 1 });
    expect(end['p']!.drained.bytes).toBe(4 * 16);
  });

  it('keeps discards and their bytes, and counts a reservation that was open as one', async () => {
    await create({ ledger: 'hash' });
    const [p, q] = [await producer('p'), await producer('q')];
    await output(p, 1, ['one']);
    const gone = await q.reserve(20);
    q.send({ op: Op.DISCARD, seq: 1n, position: gone });
    await q.expect(Op.DONE);
    // A drain sees it once it is durable, which nobody waits for.
    await until(async () => {
      await drain(-1);
      return samplesOf((await ledger())['q'])['discarded'] === 1;
    }, 'the discard');
    await q.reserve(40);
    await output(p, 2, ['two']);
    await killed();
    const after = await ledger();
    expect(after['q']).toMatchObject({
      accepted: { samples: 2, bytes: 32 + 48 },
      discarded: { samples: 1, bytes: 32 },
      buffered: { samples: 1, bytes: 48 },
      // Whether the open one was submitted at the last moment nobody knows.
      hash: { complete: false },
    });
    await drain(-1);
    const end = await ledger();
    expect(samplesOf(end['q'])).toEqual({ accepted: 2, discarded: 2 });
    const sent = new SampleHash();
    for (const text of ['one', 'two']) sent.add(new TextEncoder().encode(text));
    expect(end['p']!.hash).toEqual({ accepted: sent.digest(), drained: sent.digest(), complete: true });
  });

  it('gives up whose the records are of a producer that damage has hit, and of no other', async () => {
    await create();
    const [p, q] = [await producer('p'), await producer('q')];
    await output(p, 1, ['p1', 'p2']);
    await output(q, 1, ['q1', 'q2']);
    await drain(1);
    await killed((file) => {
      const bytes = readFileSync(file);
      const header = decodeHeader(bytes.subarray(0, 512));
      if (typeof header === 'string') throw new Error(header);
      bytes[dataAt(header.tableBytes) + 16 + 9]! ^= 1;
      writeFileSync(file, bytes);
    });
    const after = await ledger();
    expect(samplesOf(after['p'])).toEqual({ accepted: 2, drained: 1, unattributed: 1 });
    expect(samplesOf(after['q'])).toEqual({ accepted: 2, buffered: 2 });
    await drain(-1);
    const end = await ledger();
    expect(samplesOf(end['q'])).toEqual({ accepted: 2, drained: 2 });
    expect(samplesOf(end['before_restart'])).toEqual({ accepted: 1, quarantined: 1 });
    await killed();
    expect(samplesOf((await ledger())['p'])).toEqual({ accepted: 2, drained: 1, unattributed: 1 });
  });

  it('keeps every number where producers take turns more often than a commit can say', async () => {
    await create();
    const producers = await Promise.all(['a', 'b', 'c'].map(producer));
    for (let round = 0; round < 150; round++)
      for (const client of producers) await output(client, round + 1, ['x']);
    await drain(100);
    await killed();
    const after = await ledger();
    const total = (term: Terms): number =>
      Object.values(after).reduce((sum, line) => sum + line[term].samples, 0);
    expect(total('accepted') - total('unattributed')).toBe(450);
    expect(total('drained')).toBe(100);
    expect(['a', 'b', 'c'].map((id) => after[id]!.accepted.samples)).toEqual([150, 150, 150]);
    await drain(-1);
    await ledger();
  });
});
