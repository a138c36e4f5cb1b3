/** WELCOME is the first frame of a connection, whatever of an earlier one becomes durable meanwhile. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Op } from '../../src/wire/index.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { JournalStoreDouble, type JournalDouble } from '../support/journal-double.js';
import { RawClient } from '../support/raw-client.js';
import { until } from '../support/until.js';

let journals: JournalStoreDouble;
let daemon: TestDaemon;
let clients: RawClient[];

beforeEach(async () => {
  clients = [];
  journals = new JournalStoreDouble({ manual: true });
  daemon = await startDaemon({}, { journals });
  await daemon.rest.createMap('m', { durability: 'written' });
});
afterEach(async () => {
  for (const client of clients) client.terminate();
  const journal = journals.of('m');
  journal.manual = false;
  journal.commit();
  await daemon.close();
});

const journal = (): JournalDouble => journals.of('m');
const client = async (): Promise<RawClient> => {
  const opened = await RawClient.open(daemon.produceUrl('m', 'producer=p'));
  clients.push(opened);
  return opened;
};
const stored = (position: number): Promise<unknown> =>
  until(async () => {
    const shown = await daemon.rest.expect(200, 'GET', '/v1/maps/m');
    return shown['producer_pos'] === String(position);
  });

it('sends no ACK before WELCOME when a commit that was under way at a take-over ends', async () => {
  const first = await client();
  await first.expect(Op.WELCOME);
  first.output(1, ['a']);
  await stored(16);
  journal().begin();
  // This one belongs to the next commit, for which WELCOME has to wait.
  first.output(2, ['b']);
  await stored(32);
  const second = await client();
  await first.expectClose(4506);
  journal().commit();
  journal().commit();
  expect(await second.next()).toMatchObject({ op: Op.WELCOME, seq: 2 });
  expect(second.waiting).toBe(0);
});
