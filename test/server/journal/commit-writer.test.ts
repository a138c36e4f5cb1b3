import { describe, expect, it } from 'vitest';
import { createUserRing, Producer } from '../../../src/ring/index.js';
import { CommitPlanner } from '../../../src/server/journal/commit-plan.js';
import { CommitWriter } from '../../../src/server/journal/commit-writer.js';
import { dataAt } from '../../../src/server/journal/layout.js';
import { Staging } from '../../../src/server/journal/staging.js';
import { emptyFile, momentOf, recoverFrom } from '../../support/journal-rig.js';
import { modelOf } from '../../support/power-loss.js';
import { RecordingFile, turn } from '../../support/simulated-disk.js';

const RING = 4096;

async function newWriter() {
  const { bytes, header } = emptyFile({ durability: 'written' });
  const file = new RecordingFile(bytes);
  const recovery = await recoverFrom(file, header);
  const planner = new CommitPlanner('written', header.tableBytes, recovery);
  const writer = new CommitWriter(
    file,
    { durability: 'written', salt: header.salt, tableBytes: header.tableBytes },
    new Staging(1024),
  );
  const ring = createUserRing({ maxEntries: RING }, { mode: 'managed' });
  const producer = new Producer(ring);
  file.events.length = 0;
  return {
    file,
    header,
    ring,
    producer,
    ahead: () => writer.ahead(planner.end, ring.producerPosition, ring),
    commit: (headers = new Map<bigint, number>()) =>
      writer.commit(planner.plan(momentOf(ring), headers), ring),
    /** Where in the data area something was written since the last call, and how many bytes. */
    takeWrites: () =>
      file.events
        .splice(0)
        .flatMap((event) =>
          event.kind === 'begin' && event.at >= dataAt(header.tableBytes)
            ? [[event.at - dataAt(header.tableBytes), event.bytes.length]]
            : [],
        ),
  };
}

async function payloadsOf(file: RecordingFile, header: Awaited<ReturnType<typeof newWriter>>['header']) {
  const recovery = await recoverFrom(new RecordingFile(file.bytes.slice()), header);
  expect(recovery.found?.quarantined ?? []).toEqual([]);
  return modelOf(recovery).records.map(({ kind, payload }) => [kind, payload.length, payload[0]]);
}

async function quiet(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await turn();
}

const bytesOf = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

describe('records that are written ahead of their commit', () => {
  it('are not written again by it', async () => {
    const { producer, file, header, ahead, commit, takeWrites } = await newWriter();
    producer.output(bytesOf(1016, 1));
    ahead();
    await quiet();
    expect(takeWrites()).toEqual([[0, 1024]]);
    producer.output(bytesOf(56, 2));
    await commit();
    expect(takeWrites()).toEqual([[1024, 64]]);
    expect(await payloadsOf(file, header)).toEqual([
      ['sample', 1016, 1],
      ['sample', 56, 2],
    ]);
  });

  it('grow while they are being written, also across the end of a slice and of the ring', async () => {
    const { ring, producer, file, header, ahead, commit } = await newWriter();
    producer.output(bytesOf(3000, 1));
    await commit();
    ring.consumerPosition = ring.producerPosition;
    await commit();
    for (const value of [2, 3, 4]) {
      producer.output(bytesOf(700, value));
      ahead();
      await turn();
    }
    await commit();
    expect(await payloadsOf(file, header)).toEqual([2, 3, 4].map((value) => ['sample', 700, value]));
  });

  it('mean nothing to a recovery before their commit', async () => {
    const { producer, file, header, ahead } = await newWriter();
    producer.output(bytesOf(100, 1));
    ahead();
    await quiet();
    expect(await payloadsOf(file, header)).toEqual([]);
  });

  it('are written anew when a reservation among them has ended meanwhile', async () => {
    const { producer, file, header, ahead, commit, takeWrites } = await newWriter();
    const reservation = producer.reserve(24);
    producer.output(bytesOf(8, 1));
    ahead();
    await quiet();
    takeWrites();
    producer.fill(reservation, bytesOf(24, 9));
    await commit(new Map([[0n, 24]]));
    expect(takeWrites()).toEqual([[0, 48]]);
    expect(await payloadsOf(file, header)).toEqual([
      ['sample', 24, 9],
      ['sample', 8, 1],
    ]);
  });

  it('are written anew by the commit when that had failed, and nobody hears of it', async () => {
    const { producer, file, header, ahead, commit } = await newWriter();
    producer.output(bytesOf(100, 1));
    file.failWrite = () => Object.assign(new Error('no room'), { code: 'ENOSPC' });
    ahead();
    await quiet();
    file.failWrite = undefined;
    await commit();
    expect(await payloadsOf(file, header)).toEqual([['sample', 100, 1]]);
  });

  it('wait for the end of a commit that is under way', async () => {
    const { producer, file, header, ahead, commit, takeWrites } = await newWriter();
    producer.output(bytesOf(100, 1));
    const committed = commit();
    producer.output(bytesOf(100, 2));
    ahead();
    await committed;
    await quiet();
    expect(takeWrites()).toEqual([[0, 112]]);
    await commit();
    expect(await payloadsOf(file, header)).toHaveLength(2);
  });
});

it('may carry out a plan again that has failed half-way', async () => {
  const { ring, producer, file, header } = await newWriter();
  const recovery = await recoverFrom(file, header);
  const planner = new CommitPlanner('synced', header.tableBytes, recovery);
  const { salt, tableBytes } = header;
  const writer = new CommitWriter(file, { durability: 'synced', salt, tableBytes }, new Staging(1024));
  producer.output(bytesOf(3000, 7));
  const plan = planner.plan(momentOf(ring), new Map());
  let writes = 0;
  file.failWrite = () => (++writes === 3 ? new Error('once') : undefined);
  await expect(writer.commit(plan, ring)).rejects.toThrow('once');
  await writer.commit(plan, ring);
  expect(await payloadsOf(file, header)).toEqual([['sample', 3000, 7]]);
});
