/** Bits flipped in the journal of a stopped daemon: the next one loses exactly the samples that were hit, and says which. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeHeader } from '../../src/server/journal/file-header.js';
import { dataAt } from '../../src/server/journal/layout.js';
import { run } from '../cli/cli-run.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { until } from '../support/until.js';

const SAMPLES = ['zero', 'one', 'two', 'three', 'four', 'five'].map((text) => text.padEnd(40, '.'));
/** Header and payload of each. */
const RECORD_BYTES = 48;

let dataDir: string;
let running: TestDaemon[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ringbufd-damage-'));
  running = [];
});
afterEach(async () => {
  for (const daemon of running) await daemon.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const start = async (logger?: Logger): Promise<TestDaemon> => {
  const daemon = await startDaemon({ data_dir: dataDir }, { ...(logger && { logger }) });
  running.push(daemon);
  return daemon;
};
const stop = async (daemon: TestDaemon): Promise<void> => {
  running = running.filter((other) => other !== daemon);
  await daemon.close();
};
const hex = (text: string): string => Buffer.from(text).toString('hex');
const store = async ({ rest }: TestDaemon, samples: readonly string[]): Promise<void> => {
  const answer = await rest.send('POST', '/v1/maps/m/samples', samples.join('\n'), {
    'content-type': 'application/x-ndjson',
  });
  expect(answer).toMatchObject({ status: 200, body: { accepted: samples.length } });
};

/** Flips bits of the ring on the disk: [position, bit]. */
function damage(...bits: [number, number][]): void {
  const file = join(dataDir, 'journal', 'm.ring');
  const bytes = readFileSync(file);
  const header = decodeHeader(bytes.subarray(0, 512));
  if (typeof header === 'string') throw new Error(header);
  for (const [position, bit] of bits) bytes[dataAt(header.tableBytes) + position]! ^= 1 << bit;
  writeFileSync(file, bytes);
}

describe('a journal with a bit flipped in a payload and one in a length', () => {
  it('loses exactly these samples, names and keeps them, and the books hold', async () => {
    const first = await start();
    await first.rest.createMap('m', { max_entries: 16_384, durability: 'written' });
    await store(first, SAMPLES);
    const before = await first.rest.showMap('m');
    await stop(first);
    const [payload, length] = [1 * RECORD_BYTES, 4 * RECORD_BYTES];
    damage([payload + 8 + 17, 6], [length, 3]);
    const inspected = await run(['inspect', dataDir, '--json']);
    expect(inspected.code).toBe(1);

    const second = await start();
    const { rest } = second;
    const shown = await rest.expect(200, 'GET', '/v1/maps/m');
    expect(shown).toMatchObject({
      incarnation: before.incarnation,
      producer_pos: before.producer_pos,
      quarantined: [
        { pos: String(payload), bytes: RECORD_BYTES },
        { pos: String(length), bytes: RECORD_BYTES },
      ],
    });
    const [hurt, misread] = shown.quarantined as { file: string }[];
    const kept = readFileSync(join(dataDir, hurt!.file));
    const was = Buffer.from(SAMPLES[1]!);
    was[17]! ^= 1 << 6;
    expect(kept.includes(was)).toBe(true);
    expect(readFileSync(join(dataDir, misread!.file)).includes(SAMPLES[4]!)).toBe(true);

    const intact = SAMPLES.filter((_, index) => index !== 1 && index !== 4);
    expect(await rest.drainSamples('m')).toEqual(intact.map(hex));
    expect(await rest.expect(200, 'GET', '/v1/maps/m/ledger')).toMatchObject({
      holds: true,
      accepted: { samples: 6, bytes: 6 * RECORD_BYTES },
      drained: { samples: 4, bytes: 4 * RECORD_BYTES },
      discarded: { samples: 0 },
      quarantined: { samples: 2, bytes: 2 * RECORD_BYTES },
      buffered: { samples: 0 },
    });
    const verified = await run(['verify', second.url, 'm', '--expect', '6']);
    expect([verified.code, verified.stdout]).toEqual([0, expect.stringMatching(/^PROVEN/m)]);
    const drained = await run(['verify', second.url, 'm', '--drained']);
    expect([drained.code, drained.stdout]).toEqual([
      1,
      expect.stringMatching(/2 dead-lettered or quarantined/),
    ]);

    await store(second, ['after']);
    await stop(second);
    const third = await start();
    expect(await third.rest.drainSamples('m')).toEqual([hex('after')]);
    expect(await third.rest.expect(200, 'GET', '/v1/maps/m/ledger')).toMatchObject({
      holds: true,
      accepted: { samples: 7 },
      drained: { samples: 5 },
      quarantined: { samples: 2 },
    });
  });
});

describe('a restart', () => {
  it('keeps when a journalled map was created', async () => {
    const first = await start();
    await first.rest.createMap('m', { max_entries: 4096, durability: 'written' });
    await store(first, ['x']);
    const { created_at } = await first.rest.expect(200, 'GET', '/v1/maps/m');
    await stop(first);
    // Whatever the clock says then.
    await until(() => new Date().toISOString() > String(created_at));
    const second = await start();
    expect(await second.rest.showMap('m')).toMatchObject({ created_at, journal_findings: [] });
  });

  it('mends a copy of the header, and says so', async () => {
    const first = await start();
    await first.rest.createMap('m', { max_entries: 4096, durability: 'synced' });
    await store(first, ['x']);
    await stop(first);
    const file = join(dataDir, 'journal', 'm.ring');
    const bytes = readFileSync(file);
    bytes[64]! ^= 1;
    writeFileSync(file, bytes);
    const { rest } = await start();
    expect(await rest.showMap('m')).toMatchObject({
      journal_findings: [{ kind: 'header_repaired', file: '' }],
    });
    expect(await rest.drainSamples('m')).toEqual([hex('x')]);
    const metrics = await rest.call('GET', '/metrics');
    expect(metrics.text).toContain('ringbufd_journal_headers_repaired_total{map="m"} 1');
  });

  it('begins anew where a written map has lost every commit with the power, and says so loudly', async () => {
    const first = await start();
    await first.rest.createMap('m', { max_entries: 4096, durability: 'written' });
    await store(first, ['x']);
    const before = await first.rest.showMap('m');
    await stop(first);
    const file = join(dataDir, 'journal', 'm.ring');
    writeFileSync(file, readFileSync(file).fill(0, 12288, 143_360));
    const lines: string[] = [];
    const daemon = await start(pino({ level: 'error' }, { write: (line: string) => void lines.push(line) }));
    const shown = await daemon.rest.showMap('m');
    expect(shown).toMatchObject({
      producer_pos: '0',
      journal_findings: [{ kind: 'file_set_aside', file: 'journal/unreadable/m.ring' }],
    });
    expect(shown.incarnation).not.toBe(before.incarnation);
    expect(lines.join('')).toMatch(/"map":"m","file":"journal\/unreadable\/m.ring".*starts empty/);
    const metrics = await daemon.rest.call('GET', '/metrics');
    expect(metrics.text).toContain('ringbufd_journal_files_set_aside_total{map="m"} 1');
    await store(daemon, ['y']);
    expect(await daemon.rest.drainSamples('m')).toEqual([hex('y')]);
  });
});
