import { readSync } from 'node:fs';
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createUserRing, Producer } from '../../../src/ring/index.js';
import { CommitPlanner } from '../../../src/server/journal/commit-plan.js';
import { CommitThread } from '../../../src/server/journal/commit-thread.js';
import { classifyFailure, SyncFailed } from '../../../src/server/journal/failure.js';
import { dataAt } from '../../../src/server/journal/layout.js';
import { emptyFile, momentOf, recoverFrom } from '../../support/journal-rig.js';
import { modelOf } from '../../support/power-loss.js';
import { RecordingFile } from '../../support/simulated-disk.js';

const { bytes, header } = emptyFile({ durability: 'synced' });
const { salt, tableBytes } = header;
const kind = { durability: 'synced', salt, tableBytes } as const;
let directory: string;
let thread: CommitThread;
let handle: FileHandle | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ringbufd-thread-'));
  thread = new CommitThread();
});

afterEach(async () => {
  await thread.close();
  await handle?.close();
  handle = undefined;
  await rm(directory, { recursive: true });
});

async function newMap() {
  const recovery = await recoverFrom(new RecordingFile(bytes.slice()), header);
  const planner = new CommitPlanner('synced', tableBytes, recovery);
  const ring = createUserRing(
    { maxEntries: 4096 },
    { mode: 'managed', journalled: true, memory: (bytes) => new SharedArrayBuffer(bytes) },
  );
  const producer = new Producer(ring);
  return {
    ring,
    planner,
    output: (value: number) => producer.output(new Uint8Array(500).fill(value)),
    plan: () => planner.plan(momentOf(ring), new Map()),
  };
}

async function valuesIn(file: FileHandle): Promise<(number | undefined)[]> {
  const found = new Uint8Array(bytes.length);
  await file.read(found, 0, found.length, 0);
  const recovery = await recoverFrom(new RecordingFile(found), header);
  return modelOf(recovery).records.map(({ payload }) => payload[0]);
}

async function newFile(): Promise<FileHandle> {
  handle = await open(join(directory, 'm.ring'), 'wx+');
  await handle.writeFile(bytes);
  return handle;
}

describe('a commit in the thread', () => {
  it('is in the file when it is answered, whatever was announced ahead of it', async () => {
    const file = await newFile();
    const { ring, planner, output, plan } = await newMap();
    const committer = thread.open(file.fd, kind);
    output(1);
    await committer.commit(plan(), ring);
    expect(await valuesIn(file)).toEqual([1]);
    output(2);
    committer.ahead(planner.end, ring.producerPosition, ring);
    output(3);
    await committer.commit(plan(), ring);
    expect(await valuesIn(file)).toEqual([1, 2, 3]);
    await committer.close();
  });

  it('is in the file whatever was announced while another one was under way', async () => {
    const file = await newFile();
    const { ring, planner, output, plan } = await newMap();
    const committer = thread.open(file.fd, { ...kind, durability: 'written' });
    const announce = (value: number): void => {
      output(value);
      committer.ahead(planner.end, ring.producerPosition, ring);
    };
    for (const value of [1, 3, 5]) {
      announce(value);
      const committed = committer.commit(plan(), ring);
      announce(value + 1);
      await committed;
    }
    await committer.commit(plan(), ring);
    expect(await valuesIn(file)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('follows a ring that was moved', async () => {
    const file = await newFile();
    const { ring, output, plan } = await newMap();
    const committer = thread.open(file.fd, kind);
    output(1);
    await committer.commit(plan(), ring);
    ring.share(true);
    output(2);
    await committer.commit(plan(), ring);
    expect(await valuesIn(file)).toEqual([1, 2]);
  });

  it('fails with ENOSPC where there is no room, so that it can be tried again', async () => {
    handle = await open('/dev/full', 'r+');
    const { ring, output, plan } = await newMap();
    const committer = thread.open(handle.fd, kind);
    output(1);
    const error: unknown = await committer.commit(plan(), ring).catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: 'ENOSPC' });
    expect(classifyFailure(error)).toBe('ENOSPC');
  });

  it('fails for good when the sync does', async () => {
    // Takes every write, and has nothing to sync.
    handle = await open('/dev/null', 'r+');
    const { ring, output, plan } = await newMap();
    const committer = thread.open(handle.fd, kind);
    output(1);
    const error: unknown = await committer.commit(plan(), ring).catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(SyncFailed);
    expect(classifyFailure(error)).toBe('EIO');
  });

  it('is one sync, or none, and that is counted whether it works or not', async () => {
    const file = await newFile();
    const { ring, output, plan } = await newMap();
    const [synced, written] = [
      thread.open(file.fd, kind),
      thread.open(file.fd, { ...kind, durability: 'written' }),
    ];
    expect(synced.syncs).toEqual({ count: 0, seconds: 0 });
    for (const value of [1, 2]) {
      output(value);
      await synced.commit(plan(), ring);
    }
    await written.commit(plan(), ring);
    expect(synced.syncs.count).toBe(2);
    expect(synced.syncs.seconds).toBeGreaterThan(0);
    expect(written.syncs).toEqual({ count: 0, seconds: 0 });
    const nowhere = await open('/dev/null', 'r+');
    try {
      const failing = thread.open(nowhere.fd, kind);
      await expect(failing.commit(plan(), ring)).rejects.toThrow(SyncFailed);
      expect(failing.syncs.count).toBe(1);
      await failing.close();
    } finally {
      await nowhere.close();
    }
  });

  it('fails for good when the thread ends, as does every later one', async () => {
    const file = await newFile();
    const { ring, output, plan } = await newMap();
    const committer = thread.open(file.fd, kind);
    output(1);
    const first = committer.commit(plan(), ring).catch((failure: unknown) => failure);
    await thread.close();
    expect(classifyFailure(await first)).toBe('EIO');
    output(2);
    await expect(committer.commit(plan(), ring)).rejects.toThrow('has ended');
  });

  it('is refused once its file is closed, and the commits of other files go on', async () => {
    const file = await newFile();
    const { ring, planner, output, plan } = await newMap();
    const closed = thread.open(file.fd, kind);
    await closed.close();
    output(1);
    closed.ahead(planner.end, ring.producerPosition, ring);
    await expect(closed.commit(plan(), ring)).rejects.toThrow('is closed');
    const other = await newMap();
    other.output(2);
    await thread.open(file.fd, kind).commit(other.plan(), other.ring);
    expect(await valuesIn(file)).toEqual([2]);
  });

  it('writes nothing into a file any more once that is closed', async () => {
    const file = await newFile();
    const { ring, planner, output } = await newMap();
    const committer = thread.open(file.fd, kind);
    output(7);
    committer.ahead(planner.end, ring.producerPosition, ring);
    await committer.close();
    const payload = new Uint8Array(500);
    readSync(file.fd, payload, 0, payload.length, dataAt(tableBytes) + 8);
    expect(payload).toEqual(new Uint8Array(500).fill(7));
  });

  it('is refused for a ring that the thread cannot see', async () => {
    const file = await newFile();
    const { plan } = await newMap();
    const ring = createUserRing({ maxEntries: 4096 }, { mode: 'managed' });
    const committer = thread.open(file.fd, kind);
    await expect(committer.commit(plan(), ring)).rejects.toThrow('in shared memory');
  });
});
