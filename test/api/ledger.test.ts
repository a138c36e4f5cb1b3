import { describe, expect, it } from 'vitest';
import { connect, SampleHash } from '../../src/client/index.js';
import { run } from '../cli/cli-run.js';
import { useDaemon } from '../support/use-daemon.js';

const test = useDaemon();

interface Line {
  source: string;
  producer: string | null;
  accepted: { samples: number; bytes: number };
  drained: { samples: number };
  buffered: { samples: number };
  hash: { accepted: string; drained: string } | null;
}
const ledgerOf = async (map: string, query = '') =>
  (await test.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/ledger${query}`)) as {
    holds: boolean;
    producers: Line[];
    accepted: { samples: number; bytes: number };
    lines: number;
  };

/** A map with a hash, three samples of "sensor" and one of each other sort. */
async function filled(): Promise<{ map: string; sent: SampleHash }> {
  const map = `ledger${Math.random().toString(36).slice(2)}`;
  const { rest, url } = test.daemon;
  await rest.expect(201, 'PUT', `/v1/maps/${map}`, { max_entries: 4096, ledger: 'hash' });
  await rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/count`, { kind: 'count' });
  const sent = new SampleHash();
  const samples = ['one', 'two', 'three'].map((text) => new TextEncoder().encode(text));
  for (const sample of samples) sent.add(sample);
  const sensor = await connect({ url, map, producer: 'sensor' });
  await sensor.output(samples);
  await sensor.close();
  const nobody = await connect({ url, map });
  await nobody.output(['anonymous']);
  await nobody.close();
  const answer = await rest.send('POST', `/v1/maps/${map}/samples`, 'rest', {
    'content-type': 'application/octet-stream',
  });
  expect(answer.status).toBe(200);
  return { map, sent };
}

const verify = (map: string, ...flags: string[]) => run(['verify', test.daemon.url, map, ...flags]);

describe('GET …/ledger', () => {
  it('tells what became of the samples of each producer', async () => {
    const { map, sent } = await filled();
    await test.daemon.rest.drain(map, 'count');
    const ledger = await ledgerOf(map);
    expect(ledger).toMatchObject({ holds: true, accepted: { samples: 5, bytes: 88 }, lines: 3 });
    expect(
      ledger.producers.map(({ source, producer, drained }) => [source, producer, drained.samples]),
    ).toEqual([
      ['producer', 'sensor', 3],
      ['anonymous', null, 1],
      ['rest', null, 1],
    ]);
    expect(ledger.producers[0]!.hash).toMatchObject({ accepted: sent.digest(), drained: sent.digest() });
  });

  it('shows one producer, or the first few', async () => {
    const { map } = await filled();
    expect((await ledgerOf(map, '?producer=sensor')).producers).toHaveLength(1);
    expect((await ledgerOf(map, '?producer=nobody')).producers).toEqual([]);
    expect(await ledgerOf(map, '?limit=2')).toMatchObject({ lines: 3, producers: [{}, {}] });
  });

  it('keeps no hash unless told to', async () => {
    const map = await test.newMap();
    const client = await test.client(map, 'producer=p');
    client.terminate();
    const { producers } = await ledgerOf(map);
    expect(producers).toMatchObject([{ producer: 'p', accepted: { samples: 0 }, hash: null }]);
  });

  it('is not there for direct maps, for which nothing is claimed', async () => {
    const map = await test.newMap({ mode: 'direct' });
    const { status, body } = await test.daemon.rest.call('GET', `/v1/maps/${map}/ledger`);
    expect([status, body.errno]).toEqual([403, 'EPERM']);
    const refused = await test.daemon.rest.call('PUT', '/v1/maps/hashed', {
      max_entries: 4096,
      mode: 'direct',
      ledger: 'hash',
    });
    expect([refused.status, refused.body.errno]).toEqual([400, 'EINVAL']);
  });
});

describe('ringbufd verify', () => {
  it('prints PROVEN and the equation, and ends with 0', async () => {
    const { map, sent } = await filled();
    await test.daemon.rest.drain(map, 'count');
    const { code, stdout, stderr } = await verify(
      map,
      '--producer=sensor',
      '--expect=3',
      `--expect-hash=${sent.digest()}`,
      '--drained',
    );
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(
      'producer sensor: 3 accepted = 3 drained + 0 discarded + 0 dead-lettered + 0 quarantined + 0 buffered (bytes: 48 = 48 + 0 + 0 + 0 + 0)',
    );
    expect(stdout).toMatch(/\nPROVEN \(incarnation/);
  });

  it.each([
    [['--drained'], 'everything accepted is drained: 5 still buffered, 0 dead-lettered or quarantined'],
    [['--expect=6'], '6 samples expected, 5 accepted'],
    [['--producer=sensor', '--expect=4'], '4 samples expected, 3 accepted'],
    [['--producer=sensor', '--expect-hash=000000000000'], 'hash 000000000000 expected'],
    [['--producer=other'], 'the ledger has no line for producer other'],
  ])('prints NOT PROVEN with %j, and ends with 1', async (flags, reason) => {
    const { map } = await filled();
    const { code, stdout, stderr } = await verify(map, ...flags);
    expect(code).toBe(1);
    expect(stdout).toContain(`FAIL ${reason}`);
    expect(stdout).toMatch(/\nNOT PROVEN /);
    expect(stderr).toContain('NOT PROVEN');
  });

  it('prints JSON', async () => {
    const { map } = await filled();
    const { code, stdout } = await verify(map, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ proven: true, ledger: { map } });
  });

  it('says what is wrong with the call', async () => {
    expect(await verify('nothing')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no map is named "nothing"') as string,
    });
    expect(await run(['verify', 'http://127.0.0.1:1', 'm'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no answer from the daemon at http://127.0.0.1:1: ') as string,
    });
    expect(await verify('m', '--expect=many')).toMatchObject({ code: 2 });
    expect(await verify('m', '--expect-hash=00')).toMatchObject({ code: 2 });
  });
});
