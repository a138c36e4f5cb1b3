import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pino } from 'pino';
import { configFromObject } from '../../../src/server/config.js';
import { createDaemon, type Daemon } from '../../../src/server/daemon.js';
import { DirectoryLock } from '../../../src/server/journal/directory-lock.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ringbufd-lock-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const locked = { key: 'DATA_DIR_LOCKED' };

describe('the lock of a data directory', () => {
  it('keeps a second one off, and says who has it', async () => {
    const lock = await DirectoryLock.acquire(directory);
    await expect(DirectoryLock.acquire(directory)).rejects.toMatchObject({
      ...locked,
      detail: expect.stringContaining(`pid ${process.pid}`) as string,
    });
    await lock.release();
    await (await DirectoryLock.acquire(directory)).release();
  });

  it('ends with a process that was killed', async () => {
    const holder = fork('test/server/journal/lock-holder.mjs', [join(directory, 'ringbufd.lock')]);
    await once(holder, 'message');
    await expect(DirectoryLock.acquire(directory)).rejects.toMatchObject(locked);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await (await DirectoryLock.acquire(directory)).release();
  });

  it('makes the directory, and says why when it cannot', async () => {
    await (await DirectoryLock.acquire(join(directory, 'new', 'one'), { create: true })).release();
    await writeFile(join(directory, 'file'), '');
    await expect(DirectoryLock.acquire(join(directory, 'never'))).rejects.toMatchObject({
      key: 'DATA_DIR_UNUSABLE',
    });
    await expect(DirectoryLock.acquire(join(directory, 'file'), { create: true })).rejects.toMatchObject({
      key: 'DATA_DIR_UNUSABLE',
      detail: expect.stringMatching(/file: E(EXIST|NOTDIR)/) as string,
    });
  });
});

describe('a daemon', () => {
  const create = (maps: unknown[] = []): Promise<Daemon> =>
    createDaemon(configFromObject({ data_dir: directory, maps }).config, {
      logger: pino({ level: 'silent' }),
    });

  it('has the data directory for itself from its start, without a single map', async () => {
    const daemon = await create();
    await expect(create()).rejects.toMatchObject(locked);
    expect(await readFile(join(directory, 'ringbufd.lock'), 'utf8')).toContain(String(process.pid));
    await daemon.close(0);
    await (await create()).close(0);
  });

  it('lets go of the directory and of its journals when its start fails', async () => {
    const [first, second] = ['first', 'second'].map((name) => ({
      name,
      max_entries: 4096,
      durability: 'written',
    }));
    await (await create([first, second])).close(0);
    const refused = { ...second, max_entries: 8192 };
    await expect(create([first, refused])).rejects.toMatchObject({ key: 'JOURNAL_SIZE' });
    const daemon = await create([first, second]);
    expect(daemon.maps.size).toBe(2);
    await daemon.close(0);
  });
});
