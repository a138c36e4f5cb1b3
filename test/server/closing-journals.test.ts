/** Maps that go while the disk has no room for what their journals would still write. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { JournalStoreDouble } from '../support/journal-double.js';
import { until } from '../support/until.js';

let journals: JournalStoreDouble;
let daemon: TestDaemon;

beforeEach(async () => {
  journals = new JournalStoreDouble();
  daemon = await startDaemon({}, { journals });
  for (const map of ['a', 'b'])
    await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}`, { max_entries: 4096, durability: 'written' });
  journals.of('a').close = () => Promise.reject(Object.assign(new Error('no room'), { code: 'ENOSPC' }));
});
afterEach(async () => {
  await daemon.close();
});

it('a map that is deleted takes its journal with it', async () => {
  await daemon.rest.expect(204, 'DELETE', '/v1/maps/a');
  expect([...journals.journals.keys()]).toEqual(['b']);
});

it('a daemon that ends closes all others, and says what went wrong', async () => {
  await expect(daemon.app.daemon.close(0)).rejects.toThrow('no room');
  expect(journals.of('b').closed).toBe(true);
});

it('whoever waits for a map that is deleted hears that what it waits for is not kept', async () => {
  journals.of('a').manual = true;
  const stored = daemon.rest.send('POST', '/v1/maps/a/samples', 'x', {
    'content-type': 'application/octet-stream',
  });
  await until(async () => (await daemon.rest.showMap('a')).counters.accepted_samples === 1, 'the sample');
  await daemon.rest.expect(204, 'DELETE', '/v1/maps/a');
  expect(await stored).toMatchObject({ status: 500, body: { code: 'RINGBUFD_ERR_JOURNAL_FAILED' } });
});
