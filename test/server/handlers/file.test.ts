import { execFileSync } from 'node:child_process';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkRun } from '../../../src/ring/index.js';
import type { HostedMap } from '../../../src/server/hosted-map.js';
import { drainErrorKey } from '../../../src/server/drain-error-key.js';
import type { DrainResult } from '../../../src/server/drain-call.js';
import { mountSmall } from '../../support/small-disk.js';
import { hostMaps, store } from '../hosted.js';

let dataDir: string;
let map: HostedMap;

const newMap = (): HostedMap =>
  hostMaps({ registry: { dataDir } }).maps.create('m', { maxEntries: 1 << 20 }).map;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'ringbufd-file-'));
  map = newMap();
});
afterEach(async () => {
  await map.close('SHUTTING_DOWN');
  await rm(dataDir, { recursive: true, force: true });
});

const path = (name: string): string => join(dataDir, 'out', 'm', name);
const put = (config: Record<string, unknown> = {}): Promise<unknown> =>
  map.putHandler('f', { kind: 'file', config, trigger: { mode: 'manual' } });
const drain = async (): Promise<DrainResult> => map.drain('f', 0, {});
const state = (): Record<string, unknown> => map.handlers.get('f').handler.state();
const lines = async (name: string): Promise<unknown[]> =>
  (await readFile(path(name), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

describe('the file handler', () => {
  it('writes one line of JSON a sample: its position, and text or base64', async () => {
    await put();
    store(map, 'hello', Uint8Array.of(255, 0), '', 'grün');
    expect(await drain()).toMatchObject({ ret: 4, drained: 4 });
    expect(await lines('f.ndjson')).toEqual([
      { pos: '0', sample: 'hello' },
      { pos: '16', sample: { b64: '/wA=' } },
      { pos: '32', sample: '' },
      { pos: '40', sample: 'grün' },
    ]);
    expect(state()).toMatchObject({ samples: 4, rotations: 0, path: 'out/m/f.ndjson' });
    expect(state().bytes).toBe((await stat(path('f.ndjson'))).size);
  });

  it('skips discarded records, and positions stay right', async () => {
    await put();
    const holder = { openReservations: 0 };
    store(map, 'a');
    const position = map.intake.reserve(holder, 100);
    store(map, 'b');
    map.intake.discard(holder, position);
    expect(await drain()).toMatchObject({ ret: 2, discarded: 1 });
    expect(await lines('f.ndjson')).toEqual([
      { pos: '0', sample: 'a' },
      { pos: '128', sample: 'b' },
    ]);
  });

  it('writes records as a run that the codec takes, whatever lay in the ring before', async () => {
    await put({ format: 'records' });
    // Fills the ring with ones, so that padding in it is dirty.
    store(map, new Uint8Array((1 << 20) - 8).fill(255));
    await drain();
    await rm(path('f.rec'));
    await put({ format: 'records' });
    const samples = Array.from({ length: 50 }, (_, i) => 'x'.repeat(i));
    store(map, ...samples);
    expect((await drain()).ret).toBe(50);
    const bytes = await readFile(path('f.rec'));
    expect(checkRun(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 1 << 20)).toBe(50);
    let at = 0;
    for (const sample of samples) {
      expect(bytes.toString('utf8', at + 8, at + 8 + bytes.readUInt32LE(at))).toBe(sample);
      at += (sample.length + 15) & ~7;
    }
  });

  it('makes files that only their owner reads, in folders that only it enters', async () => {
    await put();
    store(map, 'a');
    await drain();
    expect((await stat(path('f.ndjson'))).mode & 0o777).toBe(0o600);
    expect((await stat(path(''))).mode & 0o777).toBe(0o700);
  });

  it('refuses to write through a symbolic link, and loses nothing', async () => {
    await mkdir(path(''), { recursive: true });
    await writeFile(join(dataDir, 'target'), 'precious\n');
    await symlink(join(dataDir, 'target'), path('f.ndjson'));
    await put();
    store(map, 'a');
    const result = await drain();
    expect(result).toMatchObject({ ret: -5, drained: 0, consumerPos: 0n });
    expect(String(result.error)).toContain('ELOOP');
    expect(await readFile(join(dataDir, 'target'), 'utf8')).toBe('precious\n');
    await rm(path('f.ndjson'));
    expect((await drain()).ret).toBe(1);
  });

  it.each(['directory', 'fifo'])('refuses a %s in the place of its file, without hanging', async (kind) => {
    await mkdir(path(''), { recursive: true });
    if (kind === 'directory') await mkdir(path('f.ndjson'));
    else execFileSync('mkfifo', [path('f.ndjson')]);
    await put();
    store(map, 'a');
    expect(await drain()).toMatchObject({ ret: -5, drained: 0 });
  });

  it('rotates, numbers what it rotated, and keeps no more than it was told', async () => {
    await put({ rotate_bytes: 4096, keep: 2 });
    for (let i = 0; i < 40; i++) {
      store(map, `${String(i).padStart(3, '0')}${'x'.repeat(900)}`);
      expect((await drain()).ret).toBe(1);
    }
    expect((await readdir(path(''))).sort()).toEqual(['f.ndjson', 'f.ndjson.1', 'f.ndjson.2']);
    for (const name of await readdir(path('')))
      expect((await stat(path(name))).size).toBeLessThanOrEqual(4096);
    const numbers: number[] = [];
    for (const name of ['f.ndjson.2', 'f.ndjson.1', 'f.ndjson'])
      for (const line of (await lines(name)) as { sample: string }[])
        numbers.push(Number(line.sample.slice(0, 3)));
    // The newest ones, without a gap.
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => 40 - numbers.length + i));
    expect(state().rotations).toBe(9);
  });

  it('with keep 0 begins again where it would rotate', async () => {
    await put({ rotate_bytes: 4096, keep: 0 });
    for (let i = 0; i < 10; i++) {
      store(map, 'x'.repeat(1000));
      await drain();
    }
    expect(await readdir(path(''))).toEqual(['f.ndjson']);
    expect((await stat(path('f.ndjson'))).size).toBeLessThanOrEqual(4096);
  });

  it('puts a run that is larger than rotate_bytes into a file of its own', async () => {
    await put({ rotate_bytes: 4096, keep: 3 });
    store(map, 'a');
    await drain();
    store(map, 'x'.repeat(10_000));
    await drain();
    store(map, 'b');
    await drain();
    expect((await readdir(path(''))).sort()).toEqual(['f.ndjson', 'f.ndjson.1', 'f.ndjson.2']);
    expect(await lines('f.ndjson')).toMatchObject([{ sample: 'b' }]);
  });

  it.each(['ndjson', 'records'])('appends after a restart: %s', async (format) => {
    const name = format === 'ndjson' ? 'f.ndjson' : 'f.rec';
    await put({ format });
    store(map, 'before');
    await drain();
    const before = await readFile(path(name));
    await map.close('SHUTTING_DOWN');
    map = newMap();
    await put({ format });
    store(map, 'after');
    await drain();
    const after = await readFile(path(name));
    expect(after.subarray(0, before.length)).toEqual(before);
    expect(after.length).toBeGreaterThan(before.length);
    expect(await readdir(path(''))).toEqual([name]);
  });

  it.each(['ndjson', 'records'])(
    'appends nothing behind what a crash has torn, and leaves that as it is: %s',
    async (format) => {
      const name = format === 'ndjson' ? 'f.ndjson' : 'f.rec';
      await put({ format });
      store(map, 'whole', 'torn');
      await drain();
      await map.close('SHUTTING_DOWN');
      const { size } = await stat(path(name));
      await truncate(path(name), size - 3);
      map = newMap();
      await put({ format });
      store(map, 'after');
      expect((await drain()).ret).toBe(1);
      expect((await readdir(path(''))).sort()).toEqual([name, `${name}.1`]);
      expect((await stat(path(`${name}.1`))).size).toBe(size - 3);
      const fresh = await readFile(path(name));
      if (format === 'ndjson') expect(fresh.toString()).toBe('{"pos":"0","sample":"after"}\n');
      else expect(checkRun(new DataView(fresh.buffer, fresh.byteOffset, fresh.length), 1 << 20)).toBe(1);
    },
  );

  it.each([
    ['text', Buffer.from('{"pos":"0","sample":"a"}\n')],
    ['a length over 2^24-1', Buffer.from([0, 0, 0, 1, 0, 0, 0, 0])],
    ['a length that would lead backwards', Buffer.from([0xf8, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
    ['a pad word', Buffer.from([0, 0, 0, 0, 1, 0, 0, 0])],
  ])('does not take %s for records', async (_what, bytes) => {
    await mkdir(path(''), { recursive: true });
    await writeFile(path('f.rec'), bytes);
    await put({ format: 'records' });
    store(map, 'a');
    expect((await drain()).ret).toBe(1);
    expect(await readFile(path('f.rec.1'))).toEqual(bytes);
    expect((await stat(path('f.rec'))).size).toBe(16);
  });

  it('walks through a long file of records of a restart', async () => {
    await put({ format: 'records' });
    for (let i = 0; i < 300; i++) store(map, 'x'.repeat(1000 + (i % 7)));
    expect((await drain()).ret).toBe(300);
    await map.close('SHUTTING_DOWN');
    map = newMap();
    await put({ format: 'records' });
    store(map, 'after');
    await drain();
    const bytes = await readFile(path('f.rec'));
    expect(checkRun(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 1 << 20)).toBe(301);
  });

  it('takes a handler name of any length, and another file name', async () => {
    const name = 'h'.repeat(64);
    await map.putHandler(name, { kind: 'file', config: {}, trigger: { mode: 'manual' } });
    store(map, 'a');
    expect((await map.drain(name, 0, {})).ret).toBe(1);
    await put({ name: 'other.log' });
    store(map, 'b');
    await drain();
    expect((await readdir(path(''))).sort()).toEqual([`${name}.ndjson`, 'other.log']);
  });

  it.skipIf(process.getuid?.() === 0)('says EIO when it may not write, and goes on when it may', async () => {
    await mkdir(path(''), { recursive: true });
    await chmod(path(''), 0o500);
    await put();
    store(map, 'a');
    expect((await drain()).ret).toBe(-5);
    await chmod(path(''), 0o700);
    expect((await drain()).ret).toBe(1);
  });
});

describe('a full disk', () => {
  it.each(['ndjson', 'records'])(
    'fails the drain with ENOSPC; nothing is lost, and it goes on once there is space: %s',
    async (format) => {
      await mkdir(path(''), { recursive: true });
      const unmount = mountSmall(path(''), 64);
      if (unmount === undefined) {
        console.warn('NOT RUN: disk full under a file handler (needs root on Linux, to mount a tmpfs)');
        return;
      }
      try {
        const name = format === 'ndjson' ? 'f.ndjson' : 'f.rec';
        await put({ format });
        await writeFile(path('ballast'), Buffer.alloc(48 * 1024));
        store(map, 'first');
        expect((await drain()).ret).toBe(1);
        const before = await readFile(path(name));
        for (let i = 0; i < 30; i++) store(map, `${i}:${'x'.repeat(1000)}`);
        for (let attempt = 0; attempt < 3; attempt++) {
          const result = await drain();
          expect(result).toMatchObject({ ret: -28, drained: 0, discarded: 0, wakeup: false });
          expect(drainErrorKey(result)).toBe('HANDLER_NO_SPACE');
          // What was written of the run is cut off again: the file holds whole samples, each once.
          expect(await readFile(path(name))).toEqual(before);
        }
        expect(map.handlers.get('f').health.lastError?.errno).toBe('ENOSPC');
        expect(map.counters.drainErrors).toEqual(new Map([['ENOSPC', 3]]));
        expect(map.counters.bufferedSamples).toBe(30);
        await rm(path('ballast'));
        expect((await drain()).ret).toBe(30);
        if (format === 'ndjson') expect(await lines(name)).toHaveLength(31);
        else {
          const bytes = await readFile(path(name));
          expect(checkRun(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 1 << 20)).toBe(31);
        }
        expect(map.counters.bufferedSamples).toBe(0);
      } finally {
        unmount();
      }
    },
  );
});
