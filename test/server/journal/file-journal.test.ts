import { describe, expect, it } from 'vitest';
import { emptyFile, JournalRig, recoverFrom, type ModelState } from '../../support/journal-rig.js';
import { RecordingFile, turn, UndoableFile } from '../../support/simulated-disk.js';

const bytesOf = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

async function newRig(durability: 'written' | 'synced' = 'synced', options = {}) {
  const { bytes, header } = emptyFile({ durability, ...options });
  const file = new RecordingFile(bytes);
  const rig = new JournalRig(file, header, await recoverFrom(file, header), { durability });
  await rig.journal.settled();
  file.events.length = 0;
  return { rig, file, header };
}

async function reopened(file: RecordingFile, header: Awaited<ReturnType<typeof newRig>>['header']) {
  const copy = new UndoableFile(file.bytes.slice());
  const recovery = await recoverFrom(copy, header);
  const rig = new JournalRig(copy, header, recovery);
  return { rig, recovery, state: rig.state };
}

describe.each(['written', 'synced'] as const)('a file journal of durability %s', (durability) => {
  it('gives back samples, positions, producers and counters', async () => {
    const { rig, file, header } = await newRig(durability);
    rig.output('a', [bytesOf(5, 1), bytesOf(0, 0)]);
    rig.output('b', [bytesOf(64, 2)]);
    await rig.journal.settled();
    const { state, recovery } = await reopened(file, header);
    expect(state).toEqual(rig.state);
    expect(recovery.found).toMatchObject({ incarnation: 'inc', quarantined: [] });
    expect(recovery.found?.buffered).toEqual({ samples: 3, discards: 0, sampleBytes: 16 + 8 + 72 });
  });

  it('goes around the ring for many laps', async () => {
    const { rig, file, header } = await newRig(durability);
    for (let round = 0; round < 60; round++) {
      expect(rig.output('a', [bytesOf(700, round), bytesOf(333, round + 1)])).toBe(true);
      await rig.journal.settled();
      rig.release(2);
      await rig.journal.settled();
      if (round % 7 === 0) expect((await reopened(file, header)).state).toEqual(rig.state);
    }
    expect(rig.ring.producerPosition > 10n * BigInt(rig.ring.size)).toBe(true);
  });

  it('gives back a ring that is full to its last byte', async () => {
    const { rig, file, header } = await newRig(durability);
    expect(rig.output('a', [bytesOf(4088, 3)])).toBe(true);
    await rig.journal.settled();
    expect(rig.free).toBe(0);
    expect((await reopened(file, header)).state).toEqual(rig.state);
  });

  it('makes discards of reservations that were open, and keeps those that ended', async () => {
    const { rig, file, header } = await newRig(durability);
    const [open, submitted, discarded] = [rig.reserve(20)!, rig.reserve(1500)!, rig.reserve(9)!];
    await rig.journal.settled();
    rig.end(submitted, 'sample', bytesOf(1500, 9));
    rig.end(discarded, 'discard');
    const late = rig.reserve(30)!;
    rig.end(late, 'sample', bytesOf(30, 4));
    await rig.journal.settled();
    const { state, recovery } = await reopened(file, header);
    expect(state.records.map(({ position, kind }) => [position, kind])).toEqual([
      [open, 'discard'],
      [submitted, 'sample'],
      [discarded, 'discard'],
      [late, 'sample'],
    ]);
    expect(state.records[1]!.payload).toEqual(bytesOf(1500, 9));
    expect(recovery.found?.buffered).toEqual({ samples: 2, discards: 2, sampleBytes: 1508 + 4 + 40 });
  });

  it('serves everything that comes during a commit with one more', async () => {
    const { rig, file } = await newRig(durability);
    const durable: ModelState[] = [];
    rig.onDurable = (state) => durable.push(state);
    rig.output('a', [bytesOf(8, 1)]);
    rig.onSnapshot = () => {
      rig.onSnapshot = () => {};
      for (let index = 0; index < 10; index++) rig.output('a', [bytesOf(8, 2)]);
    };
    await rig.journal.settled();
    await rig.journal.settled();
    expect(durable).toHaveLength(2);
    expect(durable[1]!.producers.get('a')!.lastSeq).toBe(11);
    const syncs = file.events.filter(({ kind }) => kind === 'sync').length;
    expect(syncs).toBe(durability === 'synced' ? 2 : 0);
  });

  it('keeps the states of more producers than a commit record holds', async () => {
    const { rig, file, header } = await newRig(durability, { producers: 400 });
    for (let round = 0; round < 3; round++) {
      for (let id = 0; id < 400; id++) rig.output(`producer-${id}`, []);
      rig.forget(`producer-${round}`);
      await rig.journal.settled();
      expect((await reopened(file, header)).state).toEqual(rig.state);
    }
  });

  it('waits for room on a full disk, says so once, and loses nothing', async () => {
    const { rig, file, header } = await newRig(durability);
    let left = 3;
    file.failWrite = () => (left-- > 0 ? Object.assign(new Error('full'), { code: 'ENOSPC' }) : undefined);
    rig.output('a', [bytesOf(100, 1)]);
    await rig.journal.settled();
    expect(rig.failures).toEqual(['ENOSPC']);
    expect(rig.journal.failed).toBe(false);
    expect((await reopened(file, header)).state).toEqual(rig.state);
  });

  it('writes nothing any more after EIO', async () => {
    const { rig, file } = await newRig(durability);
    file.failWrite = () => Object.assign(new Error('broken'), { code: 'EIO' });
    rig.output('a', [bytesOf(100, 1)]);
    await expect(rig.journal.settled()).rejects.toThrow('broken');
    file.failWrite = undefined;
    const events = file.events.length;
    rig.output('a', [bytesOf(100, 1)]);
    await expect(rig.journal.settled()).rejects.toThrow('broken');
    await rig.journal.close();
    expect(rig.failures).toEqual(['EIO']);
    expect(rig.journal.failed).toBe(true);
    expect(file.events).toHaveLength(events);
    expect(file.closed).toBe(true);
  });

  it('gives up on a full disk when it is closed', async () => {
    const { rig, file } = await newRig(durability);
    file.failWrite = () => Object.assign(new Error('full'), { code: 'ENOSPC' });
    rig.output('a', [bytesOf(100, 1)]);
    await expect(rig.journal.close()).rejects.toThrow('full');
    expect(file.closed).toBe(true);
  });

  it('is closed once, and whoever closes it again waits for that, too', async () => {
    const { rig, file, header } = await newRig(durability);
    rig.output('a', [bytesOf(10, 1)]);
    const first = rig.journal.close();
    await rig.journal.close();
    expect((await reopened(file, header)).state).toEqual(rig.state);
    await first;
  });

  it('commits what is left when it is closed', async () => {
    const { rig, file, header } = await newRig(durability);
    rig.output('a', [bytesOf(100, 1)]);
    await rig.journal.close();
    expect((await reopened(file, header)).state).toEqual(rig.state);
  });
});

/** A file whose syncs take long, and that knows how many are under way. */
class SlowFile extends RecordingFile {
  underWay = 0;
  mostUnderWay = 0;
  syncs = 0;
  /** Called while one is under way. */
  onSync: () => void = () => undefined;

  override async sync(): Promise<void> {
    this.syncs++;
    this.underWay++;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    for (let turns = 0; turns < 3; turns++) {
      await turn();
      this.onSync();
    }
    await super.sync();
    this.underWay--;
  }
}

it('never has more than one sync under way, whatever comes meanwhile, and one serves all of it', async () => {
  const { bytes, header } = emptyFile({ durability: 'synced' });
  const file = new SlowFile(bytes);
  const rig = new JournalRig(file, header, await recoverFrom(file, header));
  await rig.journal.settled();
  file.syncs = 0;
  let commits = 0;
  rig.onDurable = () => commits++;
  let calls = 0;
  let accepted = 0;
  const goOn = (): void => {
    if (++calls > 300) return;
    if (rig.output(`p${calls % 3}`, [bytesOf(40, calls)])) accepted++;
    if (calls % 4 === 0) rig.reserve(24);
    const [open] = rig.openReservations;
    if (open !== undefined && calls % 6 === 0)
      rig.end(open, calls % 12 === 0 ? 'sample' : 'discard', bytesOf(24, 1));
    rig.release(3);
  };
  file.onSync = goOn;
  goOn();
  for (let turns = 0; turns < 10_000 && calls < 300; turns++) await turn();
  expect(file.mostUnderWay).toBe(1);
  await rig.journal.settled();
  // A commit that ends reservations syncs twice.
  expect(file.syncs).toBeLessThanOrEqual(2 * commits);
  expect(accepted).toBeGreaterThan(file.syncs);
  expect((await reopened(file, header)).state.producerPos).toBe(rig.state.producerPos);
});

it('lets others run where each commit that the event loop carries out asks for the next one', async () => {
  const { bytes, header } = emptyFile({ durability: 'written' });
  // Writes take no turn.
  const file = new RecordingFile(bytes, () => 0);
  const recovery = await recoverFrom(file, header);
  const rig = new JournalRig(file, header, recovery, { durability: 'written', isInLoop: true });
  let commits = 0;
  rig.onDurable = () => {
    if (++commits < 100) rig.output('a', []);
  };
  rig.output('a', [bytesOf(8, 1)]);
  // The one in which the first commit starts, and a few more.
  for (let turns = 0; turns < 3; turns++) await turn();
  expect(commits).toBeGreaterThan(0);
  expect(commits).toBeLessThan(30);
  for (let turns = 0; turns < 100 && commits < 100; turns++) await turn();
  expect(commits).toBe(100);
  await rig.journal.settled();
});

it('is settled also for who asks while others are let run', async () => {
  const { bytes, header } = emptyFile({ durability: 'written' });
  const file = new RecordingFile(bytes, () => 0);
  const recovery = await recoverFrom(file, header);
  const rig = new JournalRig(file, header, recovery, { durability: 'written', isInLoop: true });
  await rig.journal.settled();
  for (let last = 1; last <= 20; last++) {
    let commits = 0;
    let settled: Promise<void> | undefined;
    rig.onDurable = () => {
      if (++commits < last) rig.output('a', []);
      // In one of the microtasks behind the last commit.
      else settled = Promise.resolve().then(() => rig.journal.settled());
    };
    rig.output('a', [bytesOf(8, 1)]);
    for (let turns = 0; turns < 100 && settled === undefined; turns++) await turn();
    await settled;
    expect(commits).toBe(last);
  }
});

it('never tries a failed sync again, whatever its errno', async () => {
  const { rig, file } = await newRig('synced');
  let syncs = 0;
  file.failSync = () => {
    syncs++;
    return Object.assign(new Error('no space'), { code: 'ENOSPC' });
  };
  rig.output('a', [bytesOf(100, 1)]);
  await expect(rig.journal.settled()).rejects.toThrow('fdatasync failed');
  expect(rig.failures).toEqual(['EIO']);
  expect(syncs).toBe(1);
});
