import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LoadResult } from '../../../src/cli/load/load-result.js';
import { hashToken } from '../../../src/server/tokens.js';
import { startDaemon, type TestDaemon } from '../../support/daemon.js';
import { until } from '../../support/until.js';
import { run, type CliRun } from '../cli-run.js';

let daemon: TestDaemon;
let directory: string;
beforeAll(async () => {
  daemon = await startDaemon();
});
afterAll(() => daemon.close());
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringbufd-load-'));
});
afterEach(async () => {
  rmSync(directory, { recursive: true });
  for (const map of [...daemon.app.daemon.maps]) await daemon.rest.call('DELETE', `/v1/maps/${map.name}`);
});

const load = (...argv: string[]): Promise<CliRun> =>
  run(['load', '--url', daemon.url, '--duration', '300ms', ...argv]);

async function loadJson(...argv: string[]): Promise<LoadResult> {
  const { code, stdout, stderr } = await load('--json', ...argv);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as LoadResult;
}

/** Starts a run that goes on until `meanwhile` is done, and interrupts it then. */
async function loadDuring(meanwhile: () => Promise<void>, ...argv: string[]): Promise<CliRun> {
  let interrupt = (): void => undefined;
  const running = run(['load', '--url', daemon.url, '--duration', '10m', ...argv], {
    interruptible: (stop) => (interrupt = stop),
  });
  try {
    await meanwhile();
  } finally {
    interrupt();
  }
  return running;
}

/** Until two connections have sent more than two requests: then one of them was answered. */
async function restAnswered(on: TestDaemon = daemon): Promise<void> {
  await until(() => [...on.app.daemon.maps].some(({ counters }) => counters.drainedSamples > 2 * 56));
}

describe('ringbufd load', () => {
  it('creates a map, loads it, proves that all was drained, and leaves nothing behind', async () => {
    const result = await loadJson('--producers', '3');
    expect(result.proof.isProven).toBe(true);
    expect(result.proof.checks.every(({ isTrue }) => isTrue)).toBe(true);
    expect(result.samples.acknowledged).toBeGreaterThan(0);
    expect(result.samples.acknowledged).toBe(result.samples.offered);
    expect(result.latency_ms.acknowledged?.count).toBe(result.samples.acknowledged);
    expect(result.map).toMatchObject({ created: true, durability: 'memory', max_entries: 1048576 });
    expect([...daemon.app.daemon.maps]).toEqual([]);
  });

  it('prints a table that ends with the verdict', async () => {
    const { code, stdout } = await load('--frame-size', '0', '--sample-size', '5', '--producers', '1');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^run +1 producer, 1 × 5 bytes a frame, as fast as acknowledged\n/);
    expect(stdout).toMatch(/to ACK/);
    expect(stdout).toMatch(
      /\n {2}ok {3}acknowledged = accepted, [^:]*: ([\d,]+) acknowledged, \1 accepted\n {2}ok {3}accepted = drained: \1 drained, 0 left in the ring, 0 dead-lettered or quarantined\nPROVEN\n$/,
    );
  });

  it('sends at the rate of an open model: as many samples as were due, or it says what was missed', async () => {
    const { samples, plan } = await loadJson('--rate', '400', '--frame-size', '0', '--producers', '2');
    expect(plan.rate).toBe(400);
    // 300 ms at 400/s: 60 each, on any machine.
    expect(samples.offered).toBe(120);
    expect(samples.acknowledged + samples.missed).toBe(120);
  });

  it('uses a map that exists with the handler that drains it, and leaves both', async () => {
    await daemon.rest.expect(201, 'PUT', '/v1/maps/mine', { max_entries: 8192 });
    await daemon.rest.expect(201, 'PUT', '/v1/maps/mine/handlers/own', {
      kind: 'capture',
      trigger: { mode: 'auto' },
    });
    const result = await loadJson('--map', 'mine');
    expect(result.map).toMatchObject({ created: false, max_entries: 8192 });
    const { counters, handlers } = (await daemon.rest.expect(200, 'GET', '/v1/maps/mine')) as unknown as {
      counters: { drained_samples: number };
      handlers: string[];
    };
    expect(handlers).toEqual(['own']);
    expect(counters.drained_samples).toBe(result.samples.acknowledged);
  });

  it('adds a handler of its own to a map that nobody drains, and takes it away again', async () => {
    await daemon.rest.createMap('idle', { max_entries: 8192 });
    expect((await loadJson('--map', 'idle')).proof.isProven).toBe(true);
    expect(daemon.app.daemon.maps.get('idle').handlers.list()).toHaveLength(2);
  });

  it('keeps what it created when told to', async () => {
    await loadJson('--keep', '--map', 'kept');
    expect(daemon.app.daemon.maps.get('kept').handlers.list()).toHaveLength(1);
    expect((await loadJson('--map', 'kept')).map.created).toBe(false);
  });

  it('reserves and submits the share that it is told to', async () => {
    const { samples, proof } = await loadJson('--reserve-share', '100', '--producers', '2');
    expect(proof.isProven).toBe(true);
    expect(samples.acknowledged).toBe(samples.offered);
  });

  it('proves a run through cuts, a drain that stalls, slow readers and a ring that is always full', async () => {
    const result = await loadJson(
      ...[
        '--cut',
        '40ms',
        '--stall',
        '30ms',
        '--slow-reader',
        '1',
        '--max-entries',
        '8k',
        '--producers',
        '3',
      ],
    );
    expect(result.proof.isProven).toBe(true);
    expect(result.samples).toMatchObject({ failed: 0, uncertain: 0 });
    expect(result.samples.acknowledged).toBe(result.samples.offered);
    expect(result.faults.cuts).toBeGreaterThan(0);
    expect(result.faults.stalls).toBeGreaterThan(0);
    expect(result.faults.marks.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['cut', 'stall']));
    expect(result.refused['ENOSPC|ring_full']).toBeGreaterThan(0);
  });

  it('drives REST, and counts what was on its way at the end as unknown', async () => {
    const { code, stdout } = await loadDuring(restAnswered, '--rest', '--producers', '2', '--json');
    const { samples, proof, latency_ms } = JSON.parse(stdout) as LoadResult;
    expect(code).toBe(0);
    expect(proof.isProven).toBe(true);
    expect(samples.uncertain).toBe(2 * 56);
    expect(latency_ms.acknowledged?.count).toBe(samples.acknowledged);
  });

  it('does not call autocannon an open model', async () => {
    const { stdout } = await loadDuring(restAnswered, '--rest', '--producers', '2', '--rate', '1000');
    expect(stdout).toMatch(
      /^run +2 connections, POST, .*, 1,000 samples\/s \(each second’s at its start\)\n/,
    );
  });

  it('ends early at Ctrl-C and still proves what it sent', async () => {
    const { code, stdout } = await loadDuring(async () => {
      await until(() => [...daemon.app.daemon.maps].some(({ counters }) => counters.drainedSamples > 0));
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/, interrupted\n/);
    expect(stdout).toMatch(/\nPROVEN\n$/);
  });

  it('is not confused by others who feed the map meanwhile', async () => {
    const { code, stdout } = await loadDuring(async () => {
      const map = await until(() =>
        [...daemon.app.daemon.maps].find(({ connections }) => connections.size > 0),
      );
      const post = () =>
        daemon.rest.send('POST', `/v1/maps/${map.name}/samples`, 'foreign', {
          'content-type': 'application/octet-stream',
        });
      await until(async () => (await post()).status === 200);
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/\nPROVEN\n$/);
  });

  it('shows a line of progress on a terminal, and takes it away', async () => {
    let shown = '';
    await run(['load', '--url', daemon.url, '--duration', '500ms', '--json'], {
      progress: (text) => (shown += text),
    });
    expect(shown).toMatch(/\r\u001b\[K.* of 500 ms {2}[\d,]+ samples\/s {2}ring \d+/);
    expect(shown.endsWith('\r\u001b[K')).toBe(true);
  });

  it('writes a report that needs nothing else', async () => {
    const file = join(directory, 'report.html');
    await loadJson('--report', file, '--cut', '50ms');
    const html = readFileSync(file, 'utf8');
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).toMatch(/>PROVEN</);
    for (const title of ['Latency by percentile', 'Throughput', 'Fill of the ring'])
      expect(html).toContain(`<strong>${title}</strong>`);
    expect(html).not.toMatch(/<script|<link|@import|url\(|\s(?:src|href)=/);
  });
});

describe('NOT PROVEN', () => {
  it('when nothing was acknowledged: equal books without an entry prove nothing', async () => {
    const small = await startDaemon({ limits: { max_body_bytes: 1024 } });
    try {
      const argv = ['--url', small.url, '--rest', '--producers', '1', '--json'];
      const { code, stdout, stderr } = await loadDuring(
        async () => {
          await until(async () =>
            (await small.rest.call('GET', '/v1/metrics')).text.includes('"body_too_big"'),
          );
        },
        ...argv,
      );
      expect(code).toBe(1);
      expect((JSON.parse(stdout) as LoadResult).samples.acknowledged).toBe(0);
      expect(stderr).toMatch(/NOT PROVEN: not something was acknowledged \(0 samples\)/);
    } finally {
      await small.close();
    }
  });

  it('ends with 1 when the daemon came back without the content', async () => {
    let second: TestDaemon | undefined;
    const first = await startDaemon({ maps: [declared] });
    let interrupt = (): void => undefined;
    const running = run(['load', '--url', first.url, '--map', 'm', '--duration', '10m'], {
      interruptible: (stop) => (interrupt = stop),
    });
    try {
      await until(() => first.app.daemon.maps.get('m').counters.drainedSamples > 0);
      await first.close();
      second = await startDaemon({ listen: first.host, maps: [declared] });
      const { maps } = second.app.daemon;
      await until(() => maps.get('m').counters.drainedSamples > 0, 'producers are back', 20_000);
      interrupt();
      const { code, stdout } = await running;
      expect(code).toBe(1);
      expect(stdout).toMatch(/FAIL the content of the map was kept/);
    } finally {
      interrupt();
      await running;
      await second?.close();
    }
  });
});

const declared = {
  name: 'm',
  max_entries: 65536,
  handlers: [{ name: 'h', kind: 'count', trigger: { mode: 'auto' } }],
};

describe('a run that cannot take place', () => {
  it('says that nobody answers', async () => {
    const gone = await startDaemon();
    await gone.close();
    const { code, stderr } = await run(['load', '--url', gone.url]);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `ringbufd: no answer from the daemon at ${gone.url}: ECONNREFUSED\nIs it running? Name another address with --url.\n`,
    );
  });

  it('refuses to stall a handler that is not its own', async () => {
    await daemon.rest.createMap('busy');
    await daemon.rest.expect(201, 'PUT', '/v1/maps/busy/handlers/own', {
      kind: 'count',
      trigger: { mode: 'auto' },
    });
    const { code, stderr } = await load('--map', 'busy', '--stall', '1s');
    expect(code).toBe(1);
    expect(stderr).toMatch(/--stall: the map busy is drained by its own handler own, which is left alone/);
  });

  it('refuses samples that could never be stored, and cleans up', async () => {
    const { code, stderr } = await load('--sample-size', '8k', '--max-entries', '4k');
    expect(code).toBe(1);
    expect(stderr).toMatch(/--sample-size: a sample takes 8200 bytes as a record, and .* hold 4096\n/);
    expect([...daemon.app.daemon.maps]).toEqual([]);
  });

  it('refuses frames that the daemon does not take, instead of others that it does', async () => {
    const { code, stderr } = await load('--frame-size', '2m');
    expect(code).toBe(1);
    expect(stderr).toMatch(/--frame-size: 2097144 bytes of records .* which hold 1048576\n/);
    expect([...daemon.app.daemon.maps]).toEqual([]);
  });

  it.each([
    ['--frame-size', ['--frame-size', '64k']],
    ['--sample-size', ['--sample-size', '5000']],
  ])('refuses requests that could never be stored: %s', async (flag, argv) => {
    const { code, stderr } = await load('--rest', '--max-entries', '4k', ...argv);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`${flag}: a request of \\d+ bytes is stored as a whole, .* holds 4096\n`),
    );
    expect([...daemon.app.daemon.maps]).toEqual([]);
  });

  it('says that the report cannot be written before it sends anything', async () => {
    const { code, stdout, stderr } = await load('--report', join(directory, 'none', 'report.html'));
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^ringbufd: --report: ENOENT.*\nNothing was sent\.\n$/);
  });

  it('leaves a report that is there as it is, and no empty one behind', async () => {
    const old = join(directory, 'old.html');
    writeFileSync(old, 'old');
    for (const report of [old, join(directory, 'new.html')])
      await run(['load', '--url', 'http://127.0.0.1:1', '--report', report]);
    expect(readFileSync(old, 'utf8')).toBe('old');
    expect(readdirSync(directory)).toEqual(['old.html']);
  });

  it('refuses a direct map', async () => {
    await daemon.rest.createMap('raw', { mode: 'direct' });
    expect((await load('--map', 'raw')).stderr).toMatch(/the map raw is direct/);
  });

  it('asks for a token where one is needed, and takes it from a file', async () => {
    const token = 'rbd_test';
    const guarded = await startDaemon(
      { tokens: [{ name: 'admin', sha256: hashToken(token), scopes: ['admin'] }] },
      { token },
    );
    try {
      const without = await run(['load', '--url', guarded.url, '--duration', '200ms']);
      expect([without.code, without.stderr.split('\n')[1]]).toEqual([
        1,
        'Give a token with the scope admin: --token-file FILE.',
      ]);
      const file = join(directory, 'token');
      writeFileSync(file, `${token}\n`);
      for (const extra of [[], ['--rest']]) {
        const argv = ['--url', guarded.url, '--producers', '2', '--token-file', file, '--json', ...extra];
        const { code, stdout } = await loadDuring(() => restAnswered(guarded), ...argv);
        expect(code).toBe(0);
        expect(stdout).not.toContain(token);
      }
    } finally {
      await guarded.close();
    }
  });
});
