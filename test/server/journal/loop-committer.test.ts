import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createUserRing, DATA_OFFSET, Producer } from '../../../src/ring/index.js';
import { CommitPlanner } from '../../../src/server/journal/commit-plan.js';
import { CommitThread } from '../../../src/server/journal/commit-thread.js';
import { DiskWaits } from '../../../src/server/journal/disk-waits.js';
import { classifyFailure } from '../../../src/server/journal/failure.js';
import { LoopCommitter } from '../../../src/server/journal/loop-committer.js';
import { RingMemories } from '../../../src/server/journal/record-memory.js';
import { Staging } from '../../../src/server/journal/staging.js';
import { emptyFile, momentOf, recoverFrom } from '../../support/journal-rig.js';
import { ManualClock } from '../../support/manual-clock.js';
import { modelOf } from '../../support/power-loss.js';
import { RecordingFile } from '../../support/simulated-disk.js';

const { bytes, header } = emptyFile({ durability: 'written' });
const { salt, tableBytes } = header;
const kind = { durability: 'written', salt, tableBytes } as const;
const REST_MS = 10_000;
let directory: string;
let thread: CommitThread;
let file: FileHandle;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ringbufd-loop-'));
  file = await open(join(directory, 'm.ring'), 'wx+');
  await file.writeFile(bytes);
  thread = new CommitThread();
});

afterEach(async () => {
  await thread.close();
  await file.close();
  await rm(directory, { recursive: true });
});

async function newMap({
  fd = file.fd,
  maxWaitMs = 100,
  memories = new RingMemories(),
  openInThread = thread.open.bind(thread),
} = {}) {
  const recovery = await recoverFrom(new RecordingFile(bytes.slice()), header);
  const planner = new CommitPlanner('written', tableBytes, recovery);
  const clock = new ManualClock();
  const waits = new DiskWaits({ maxWaitMs, clock });
  /** What happened to the thread's side. */
  const inThread: string[] = [];
  const committer = new LoopCommitter({
    fd,
    kind,
    staging: new Staging(),
    memories,
    waits,
    clock,
    openInThread: () => {
      const opened = openInThread(fd, kind);
      inThread.push('open');
      return {
        syncs: opened.syncs,
        loop: opened.loop,
        allocate: (bytes) => opened.allocate(bytes),
        ahead: (...records) => {
          inThread.push('ahead');
          opened.ahead(...records);
        },
        commit: (...commit) => {
          inThread.push('commit');
          return opened.commit(...commit);
        },
        close: async () => {
          await opened.close();
          inThread.push('close');
        },
      };
    },
  });
  const memory = (size: number): ArrayBuffer => committer.allocate(size);
  const ring = createUserRing({ maxEntries: 4096 }, { mode: 'managed', journalled: true, memory });
  const producer = new Producer(ring);
  let value = 0;
  return {
    ring,
    producer,
    planner,
    clock,
    committer,
    inThread,
    /** One more record of 100 bytes, each of the next number. */
    output: () => void producer.output(new Uint8Array(100).fill(++value)),
    ahead: () => committer.ahead(planner.end, ring.producerPosition, ring),
    commit: (headers = new Map<bigint, number>()) =>
      committer.commit(planner.plan(momentOf(ring), headers), ring),
    /** From now on the disk is one that made the event loop wait. */
    slowDown: () => waits.wrote(0, clock.nowMs() - 2 * maxWaitMs, clock.nowMs()),
  };
}

/** Records of another map that take the thread some milliseconds. */
async function someWorkForTheThread() {
  const other = await open(join(directory, 'other.ring'), 'wx+');
  const ring = createUserRing(
    { maxEntries: 2 ** 25 },
    { mode: 'managed', journalled: true, memory: (bytes) => new SharedArrayBuffer(bytes) },
  );
  const producer = new Producer(ring);
  while (producer.output(new Uint8Array(500_000)) === 0);
  const committer = thread.open(other.fd, kind);
  return {
    start: () => committer.ahead(0n, ring.producerPosition, ring),
    done: async () => {
      await committer.close();
      await other.close();
    },
  };
}

/** Of the samples. */
async function valuesInFile(): Promise<(number | undefined)[]> {
  const found = new Uint8Array(bytes.length);
  await file.read(found, 0, found.length, 0);
  const { records } = modelOf(await recoverFrom(new RecordingFile(found), header));
  return records.filter(({ kind }) => kind === 'sample').map(({ payload }) => payload[0]);
}

describe('a commit in the event loop', () => {
  it('is in the file when it is answered, without a thread', async () => {
    const { committer, output, ahead, commit, inThread } = await newMap();
    output();
    await commit();
    expect(await valuesInFile()).toEqual([1]);
    output();
    ahead();
    output();
    await commit();
    expect(await valuesInFile()).toEqual([1, 2, 3]);
    expect(committer.loop.commits).toBe(2);
    expect(inThread).toEqual([]);
    await committer.close();
  });

  it.each(['in memory of another kind', 'moved meanwhile', 'in memory that the committer allocated'])(
    'takes the records out of a ring %s',
    async (what) => {
      const { ring, output, commit } = await newMap({
        memories: new RingMemories(what === 'in memory of another kind' ? 0 : 1),
      });
      const expected: number[] = [];
      // 112 bytes each, of which 36 fill the ring but for 64 bytes.
      for (let value = 1; value <= 80; value++) {
        output();
        expected.push(value);
        if (value === 20 && what === 'moved meanwhile') ring.share();
        if (expected.length > 30) {
          ring.consumerPosition += 112n;
          expected.shift();
        }
        await commit();
        ring.publish(ring.producerPosition, ring.consumerPosition);
        expect(await valuesInFile()).toEqual(expected);
      }
      // The checksums are where the records lie, unless these were copied first.
      const pad = ring.words[(DATA_OFFSET + (ring.consumerLow & (ring.size - 1)) + 4) >> 2];
      expect(pad !== 0).toBe(what === 'in memory that the committer allocated');
    },
  );

  it('is over in the same turn of the event loop', async () => {
    const { output, commit } = await newMap();
    output();
    let turned = false;
    const turn = new Promise<void>((resolve) =>
      setImmediate(() => {
        turned = true;
        resolve();
      }),
    );
    await commit();
    expect(turned).toBe(false);
    await turn;
  });

  it('fails with ENOSPC where there is no room, and may be tried again', async () => {
    const full = await open('/dev/full', 'r+');
    try {
      const { committer, ring, output, planner } = await newMap({ fd: full.fd });
      output();
      const plan = planner.plan(momentOf(ring), new Map());
      for (let tries = 0; tries < 2; tries++) {
        const error: unknown = await committer.commit(plan, ring).catch((failure: unknown) => failure);
        expect(classifyFailure(error)).toBe('ENOSPC');
      }
      expect(committer.loop.commits).toBe(0);
    } finally {
      await full.close();
    }
  });

  it('is refused once the file was let go of', async () => {
    const { committer, output, commit } = await newMap();
    await committer.close();
    output();
    await expect(commit()).rejects.toThrow('the journal is closed');
  });
});

describe('memory for a ring', () => {
  it('is plain where there is no address space for another WebAssembly memory, and where the store has used its share', () => {
    class NoMemory {
      constructor() {
        throw new RangeError('WebAssembly.Memory(): could not allocate memory');
      }
    }
    const { Module, Instance } = WebAssembly;
    const memories = new RingMemories(1);
    vi.stubGlobal('WebAssembly', { Module, Instance, Memory: NoMemory });
    expect(memories.take(4096)).toBeUndefined();
    vi.unstubAllGlobals();
    expect(memories.take(4096)?.buffer.byteLength).toBe(65_536);
    expect(memories.take(4096)).toBeUndefined();
    memories.giveBack();
    expect(memories.take(4096)).toBeDefined();
  });

  it('is given back once, when the file is let go of', async () => {
    const memories = new RingMemories(1);
    const { committer } = await newMap({ memories });
    expect(memories.take(4096)).toBeUndefined();
    await committer.close();
    await committer.close();
    expect(memories.take(4096)).toBeDefined();
    expect(memories.take(4096)).toBeUndefined();
  });
});

describe('memory of a ring', () => {
  it('is given back once the ring has left it', async () => {
    const memories = new RingMemories(1);
    const { ring, output, commit } = await newMap({ memories });
    output();
    await commit();
    expect(memories.take(4096)).toBeUndefined();
    ring.share();
    output();
    await commit();
    expect(memories.take(4096)).toBeDefined();
    expect(await valuesInFile()).toEqual([1, 2]);
  });
});

describe('a disk that makes the event loop wait', () => {
  it('is written by the thread until it has rested, and nothing is lost on the way', async () => {
    const { committer, clock, output, ahead, commit, slowDown, inThread } = await newMap();
    output();
    await commit();
    slowDown();
    output();
    await commit();
    output();
    ahead();
    await commit();
    output();
    ahead();
    expect(inThread).toEqual(['open', 'commit', 'ahead', 'commit', 'ahead']);
    expect(await valuesInFile()).toEqual([1, 2, 3]);
    clock.advance(REST_MS);
    output();
    await commit();
    expect(inThread.at(-1)).toBe('close');
    output();
    await commit();
    expect(await valuesInFile()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(committer.loop.commits).toBe(3);
    // And once more.
    clock.advance(REST_MS);
    slowDown();
    await commit();
    expect(inThread.slice(-2)).toEqual(['open', 'commit']);
    await committer.close();
    expect(inThread.at(-1)).toBe('close');
  });

  it('never gets what the thread wrote ahead behind what the event loop wrote', async () => {
    const { committer, clock, producer, ring, output, ahead, commit, slowDown } = await newMap();
    const busy = await someWorkForTheThread();
    slowDown();
    await commit();
    const at = ring.producerPosition;
    const reserved = producer.reserve(100);
    producer.fill(reserved, new Uint8Array(100).fill(77));
    output();
    busy.start();
    // The thread will write the record as a reservation, but has other things to do first.
    ahead();
    clock.advance(REST_MS);
    await commit(new Map([[at, 100]]));
    await committer.close();
    await busy.done();
    expect(await valuesInFile()).toEqual([77, 1]);
  });

  it('is noticed by the time that writes take', async () => {
    const { output, commit, clock, inThread } = await newMap();
    vi.spyOn(clock, 'nowMs').mockImplementation(() => (clock.advance(150), clock.callbackMs()));
    output();
    await commit();
    expect(inThread).toEqual([]);
    output();
    await commit();
    expect(inThread).toEqual(['open', 'commit']);
    expect(await valuesInFile()).toEqual([1, 2]);
  });

  it('gets from the thread what came into a reservation after that was written', async () => {
    const { ring, producer, commit, slowDown } = await newMap();
    slowDown();
    const at = ring.producerPosition;
    const reserved = producer.reserve(100);
    await commit();
    expect(await valuesInFile()).toEqual([]);
    producer.fill(reserved, new Uint8Array(100).fill(77));
    await commit(new Map([[at, 100]]));
    expect(await valuesInFile()).toEqual([77]);
  });

  it('is written by the event loop still, where there is no thread to do it', async () => {
    const { committer, output, commit, slowDown } = await newMap({
      openInThread: () => {
        throw new Error('Worker initialization failure: EAGAIN');
      },
    });
    slowDown();
    output();
    await commit();
    expect(await valuesInFile()).toEqual([1]);
    expect(committer.loop.commits).toBe(1);
  });

  it('is never touched by the event loop where that is what was asked for', async () => {
    const { committer, output, commit, inThread } = await newMap({ maxWaitMs: 0 });
    output();
    await commit();
    expect(await valuesInFile()).toEqual([1]);
    expect(committer.loop).toEqual({ commits: 0, seconds: 0 });
    expect(inThread).toEqual(['open', 'commit']);
    await committer.close();
  });
});
