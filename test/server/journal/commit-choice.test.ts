import { describe, expect, it } from 'vitest';
import { readSlot } from '../../../src/server/journal/commit-record.js';
import type { FileHeader } from '../../../src/server/journal/file-header.js';
import {
  COMMIT_SLOT_BYTES,
  COMMIT_SLOTS,
  commitSlotAt,
  dataAt,
  SECTOR_BYTES,
  sealAt,
  tableAt,
} from '../../../src/server/journal/layout.js';
import { emptyFile, JournalRig, recoverFrom, type ModelState } from '../../support/journal-rig.js';
import { modelOf } from '../../support/power-loss.js';
import { RecordingFile, UndoableFile, type DiskEvent } from '../../support/simulated-disk.js';

const payload = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

/** The bytes of a file, and what each write changes of them. */
interface Written {
  readonly before: Uint8Array;
  readonly writes: readonly { at: number; bytes: Uint8Array }[];
  readonly after: Uint8Array;
  readonly state: ModelState;
}

/** Takes a file up and lets `work` do something in its first commit, which is durable then. */
async function commitOn(
  image: Uint8Array,
  header: FileHeader,
  work: (rig: JournalRig) => void | Promise<void>,
): Promise<Written> {
  const file = new RecordingFile(image.slice());
  const recovery = await recoverFrom(file, header);
  const before = file.bytes.slice();
  file.events.length = 0;
  const rig = new JournalRig(file, header, recovery);
  await work(rig);
  await rig.journal.settled();
  const writes = file.events.flatMap((event: DiskEvent) => (event.kind === 'begin' ? [event] : []));
  return { before, writes, after: file.bytes, state: rig.state };
}

/** `before` with some of the writes that came. */
function onlyWith({ before, writes }: Written, wanted: (at: number) => boolean): Uint8Array {
  const image = before.slice();
  for (const { at, bytes } of writes) if (wanted(at)) image.set(bytes, at);
  return image;
}

const isCommit = (at: number): boolean =>
  at >= commitSlotAt(0) && at < commitSlotAt(0) + COMMIT_SLOTS * COMMIT_SLOT_BYTES;
const isSeal = (at: number): boolean => at >= sealAt(0) && at < commitSlotAt(0);

async function found(image: Uint8Array, header: FileHeader): Promise<ModelState> {
  const recovery = await recoverFrom(new UndoableFile(image.slice()), header);
  expect(recovery.found?.quarantined).toEqual([]);
  return modelOf(recovery);
}

const numbersIn = (image: Uint8Array): number[] =>
  Array.from({ length: COMMIT_SLOTS }, (_, slot) =>
    readSlot(image.subarray(commitSlotAt(slot), commitSlotAt(slot) + COMMIT_SLOT_BYTES)),
  )
    .flatMap((commit) => (commit === undefined ? [] : [commit.number]))
    .sort((a, b) => a - b);

/** A journal with one durable sample, and the same with one more. */
async function oneAndTwo() {
  const { bytes, header } = emptyFile({});
  const one = await commitOn(bytes, header, (rig) => void rig.output('p', [payload(500, 1)]));
  const two = await commitOn(one.after, header, (rig) => void rig.output('p', [payload(500, 2)]));
  return { header, one, two };
}

describe('the commit that a journal goes on from', () => {
  it('is not one whose records are partly those of a commit that was cut short in its place', async () => {
    const { header, one, two } = await oneAndTwo();
    const other = await commitOn(
      one.after,
      header,
      (rig) => void rig.output('p', [payload(500, 3), payload(100, 4)]),
    );
    const three = await commitOn(
      one.after,
      header,
      (rig) => void rig.output('p', [payload(500, 5), payload(100, 6)]),
    );
    expect(two.state.producerPos).toBe(1024n);
    // The commit record has come through, and the first of its records; the second is what was there before, and verifies.
    const image = onlyWith(three, (at) => !isSeal(at));
    const second = dataAt(header.tableBytes) + 1024;
    image.set(other.after.subarray(second, second + 112), second);
    expect((await found(image, header)).producerPos).toBe(512n);
    expect(
      (
        await found(
          onlyWith(three, (at) => !isSeal(at)),
          header,
        )
      ).producerPos,
    ).toBe(1024n + 112n);
  });

  it('is never one that was rejected before', async () => {
    const { header, two } = await oneAndTwo();
    const cut = onlyWith(two, isCommit);
    const [, rejected] = numbersIn(cut).slice(-2) as [number, number];
    const next = await commitOn(cut, header, (rig) => void rig.output('p', [payload(300, 7)]));
    expect(next.state.producerPos).toBe(512n + 312n);
    // Erased, both copies of it; and the next one has a number of its own.
    expect(numbersIn(next.before)).not.toContain(rejected);
    expect(numbersIn(next.after).at(-1)).toBe(rejected + 1);
    expect((await found(onlyWith(next, isCommit), header)).producerPos).toBe(512n);
  });

  it('is never one of which a loss of power has left the first sector, and a later commit the rest', async () => {
    const { header, one } = await oneAndTwo();
    // Each changes what a commit record says in its first sector, and what it says behind it stays the same.
    const fourProducers = (rig: JournalRig): void => {
      for (const id of ['a', 'b', 'c', 'd']) rig.output(id, []);
    };
    const two = await commitOn(one.after, header, fourProducers);
    const torn = await commitOn(two.after, header, (rig) => {
      rig.release(1);
      fourProducers(rig);
    });
    const record = torn.writes.find(({ at }) => isCommit(at))!;
    expect(record.bytes.length).toBeGreaterThan(2 * SECTOR_BYTES);
    const image = torn.before.slice();
    image.set(record.bytes.subarray(0, SECTOR_BYTES), record.at);
    expect((await found(image, header)).consumerPos).toBe(0n);
    const next = await commitOn(image, header, fourProducers);
    const completed = next.before.slice();
    const behind = next.writes.find(({ at }) => isCommit(at))!;
    completed.set(behind.bytes.subarray(SECTOR_BYTES), behind.at + SECTOR_BYTES);
    expect((await found(completed, header)).consumerPos).toBe(0n);
    // By itself either would do.
    expect(behind.at).not.toBe(record.at);
    expect(next.before.subarray(record.at, record.at + SECTOR_BYTES)).toEqual(new Uint8Array(SECTOR_BYTES));
  });

  it('is never one of those, however many losses of power have each left a first sector', async () => {
    const { header, two } = await oneAndTwo();
    let image = two.after;
    const numbers: number[] = [];
    let tornAt: number | undefined;
    for (let life = 0; life < 10; life++) {
      const { before, writes } = await commitOn(image, header, (rig) => {
        for (const id of ['a', 'b', 'c', 'd']) rig.output(id, []);
      });
      if (tornAt !== undefined)
        expect(before.subarray(tornAt, tornAt + SECTOR_BYTES)).toEqual(new Uint8Array(SECTOR_BYTES));
      const record = writes.find(({ at }) => isCommit(at))!;
      tornAt = record.at;
      numbers.push(Number(new DataView(record.bytes.buffer, record.bytes.byteOffset).getBigUint64(8, true)));
      image = before.slice();
      image.set(record.bytes.subarray(0, SECTOR_BYTES), record.at);
    }
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  it('is not erased for a flipped bit in the number of one of its copies', async () => {
    const { header, one } = await oneAndTwo();
    const last = one.writes.filter(({ at }) => isCommit(at)).at(-1)!;
    const image = one.after.slice();
    for (let bit = 0; bit < 16; bit++) {
      const flipped = image.slice();
      flipped[last.at + 8 + (bit >> 3)]! ^= 1 << (bit & 7);
      expect((await found(flipped, header)).producerPos).toBe(512n);
      const recovered = await commitOn(flipped, header, () => undefined);
      expect((await found(recovered.before, header)).producerPos).toBe(512n);
    }
  });

  it('stays, however many commits behind it are cut short', async () => {
    const { header, two: start } = await oneAndTwo();
    let two = start;
    for (let cut = 0; cut < 9; cut++) {
      const image = onlyWith(two, isCommit);
      expect((await found(image, header)).producerPos).toBe(512n);
      two = await commitOn(image, header, (rig) => void rig.output('p', [payload(300, cut)]));
    }
  });

  it('is sealed before anything that its digest covers changes', async () => {
    const { bytes, header } = emptyFile({});
    const reserved = await commitOn(bytes, header, (rig) => {
      rig.output('p', [payload(20, 1)]);
      rig.reserve(40);
    });
    // Durable and acknowledged; its seal, which no sync has brought to the disk, is lost.
    const unsealed = onlyWith(reserved, (at) => !isSeal(at));
    // The first commit of the next start makes a discard of the reservation, and is cut short right behind that.
    const next = await commitOn(unsealed, header, () => undefined);
    const image = onlyWith(next, (at) => !isCommit(at) && !isSeal(at));
    expect((await found(image, header)).producerPos).toBe(reserved.state.producerPos);
    expect(image).not.toEqual(next.before);
  });

  it('has its producer table, while the next one is being written', async () => {
    const { bytes, header } = emptyFile({ producers: 400 });
    const everybody = (rig: JournalRig): void => {
      for (let id = 0; id < 300; id++) rig.output(`producer-${id}`, []);
    };
    const first = await commitOn(bytes, header, everybody);
    const second = await commitOn(first.after, header, everybody);
    const isTable = (at: number): boolean =>
      at >= tableAt(0, 0, header.tableBytes) && at < dataAt(header.tableBytes);
    expect(second.writes.filter(({ at }) => isTable(at))).toHaveLength(2);
    expect((await found(onlyWith(second, isTable), header)).producers).toEqual(first.state.producers);
  });

  it.each([0, 1] as const)('has its producer table where copy %i of it is damaged', async (copy) => {
    const { bytes, header } = emptyFile({ producers: 400 });
    const written = await commitOn(bytes, header, (rig) => {
      for (let id = 0; id < 300; id++) rig.output(`producer-${id}`, []);
    });
    const image = written.after.slice();
    // The last sequence number of the first entry.
    image[tableAt(1, copy, header.tableBytes) + 24 + 8]! ^= 64;
    expect((await found(image, header)).producers).toEqual(written.state.producers);
  });

  it('has discards where the start before found damage', async () => {
    const { header, two } = await oneAndTwo();
    const image = two.after.slice();
    image[dataAt(header.tableBytes) + 512 + 100]! ^= 1;
    const next = await commitOn(image, header, () => undefined);
    const again = await found(next.after, header);
    expect(again.records.map(({ kind }) => kind)).toEqual(['sample', 'discard']);
  });
});
