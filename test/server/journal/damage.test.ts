import { describe, expect, it } from 'vitest';
import { RecordChecksum } from '../../../src/server/journal/checksum.js';
import { dataAt } from '../../../src/server/journal/layout.js';
import { scanRecords } from '../../../src/server/journal/record-scan.js';
import { emptyFile, JournalRig, recoverFrom, type ModelRecord } from '../../support/journal-rig.js';
import { modelOf, randomFrom } from '../../support/power-loss.js';
import { RecordingFile, UndoableFile } from '../../support/simulated-disk.js';

/** A journal that was written, synced and closed: six records over the end of the ring. */
async function writtenFile(durability: 'written' | 'synced') {
  const { bytes, header } = emptyFile({ durability });
  const file = new RecordingFile(bytes);
  const rig = new JournalRig(file, header, await recoverFrom(file, header), { durability });
  rig.output('a', [new Uint8Array(3900)]);
  await rig.journal.settled();
  rig.release(1);
  await rig.journal.settled();
  const random = randomFrom(5);
  const payload = (length: number): Uint8Array =>
    Uint8Array.from({ length }, () => Math.floor(random() * 256));
  rig.output('a', [payload(40), payload(0), payload(333)]);
  rig.output('b', [payload(7), payload(700), payload(24)]);
  await rig.journal.close();
  return { bytes: file.bytes, header, state: rig.state, data: dataAt(header.tableBytes) };
}

type Written = Awaited<ReturnType<typeof writtenFile>>;

/** Byte of the file at a position of the ring. */
const byteOf = ({ header, data }: Written, position: bigint): number =>
  data + (Number(position) & (header.maxEntries - 1));

/** What a recovery quarantines, as [position, bytes]; all other records have to be as they were. */
async function quarantinedIn(written: Written): Promise<[bigint, number][]> {
  const file = new UndoableFile(written.bytes);
  const recovery = await recoverFrom(file, written.header);
  file.rollBack();
  const found = modelOf(recovery);
  expect(found.producers).toEqual(written.state.producers);
  expect(found.producerPos).toBe(written.state.producerPos);
  expect(found.consumerPos).toBe(written.state.consumerPos);
  const bad = recovery.found!.quarantined.map(({ position, bytes }): [bigint, number] => [position, bytes]);
  const hit = ({ position, size }: ModelRecord): boolean =>
    bad.some(([start, bytes]) => position < start + BigInt(bytes) && start < position + BigInt(size));
  const intact = written.state.records.filter((record) => !hit(record));
  expect(found.records.filter(({ kind }) => kind === 'sample')).toEqual(intact);
  // What is set aside is whole records: the ring can be walked, and drained, as before.
  expect(found.records.reduce((sum, { size }) => sum + size, 0)).toBe(
    Number(found.producerPos - found.consumerPos),
  );
  return bad;
}

function flip(bytes: Uint8Array, at: number, bit: number): void {
  bytes[at]! ^= 1 << bit;
}

describe.each(['written', 'synced'] as const)('a damaged journal of durability %s', (durability) => {
  it('loses exactly the record that a flipped bit has hit, whichever bit it was', async () => {
    const written = await writtenFile(durability);
    expect(await quarantinedIn(written)).toEqual([]);
    for (const { position, size } of written.state.records)
      for (let byte = 0; byte < size; byte += byte < 16 ? 1 : 13)
        for (let bit = 0; bit < 8; bit++) {
          const at = byteOf(written, position + BigInt(byte));
          flip(written.bytes, at, bit);
          expect(await quarantinedIn(written)).toEqual([[position, size]]);
          flip(written.bytes, at, bit);
        }
  });

  it('loses nothing to one flipped bit anywhere before the records', async () => {
    const written = await writtenFile(durability);
    for (let slot = 0; slot < 4; slot++)
      for (let byte = 0; byte < 400; byte += 3)
        for (const copy of [0, 512]) {
          const at = 12288 + slot * 32768 + copy + byte;
          flip(written.bytes, at, byte % 8);
          expect(await quarantinedIn(written)).toEqual([]);
          flip(written.bytes, at, byte % 8);
        }
  });

  it('loses the records that were cut off, when the file was cut', async () => {
    const written = await writtenFile(durability);
    // The ring wraps: what lies at its start is still there.
    const end = written.bytes.length - 40;
    const cut = { ...written, bytes: written.bytes.slice(0, end) };
    const bad = await quarantinedIn(cut);
    expect(bad).toHaveLength(1);
    const lost = bad[0]!;
    const first = byteOf(written, lost[0]);
    expect(first).toBeLessThan(written.bytes.length);
    expect(first + lost[1]).toBeGreaterThan(end);
  });

  it('keeps two neighbours that were both hit in one piece, and zeros in place of a sector', async () => {
    const written = await writtenFile(durability);
    const [, , third, fourth] = written.state.records as [ModelRecord, ModelRecord, ModelRecord, ModelRecord];
    flip(written.bytes, byteOf(written, third.position + 20n), 3);
    flip(written.bytes, byteOf(written, fourth.position), 5);
    expect(await quarantinedIn(written)).toEqual([[third.position, third.size + fourth.size]]);
    const other = await writtenFile(durability);
    const long = other.state.records[4]!;
    const sector = Math.ceil(byteOf(other, long.position + 8n) / 8) * 8;
    other.bytes.fill(0, sector, sector + 512);
    expect(await quarantinedIn(other)).toEqual([[long.position, long.size]]);
  });
});

describe('the scan of records', () => {
  const checksum = new RecordChecksum(Int32Array.of(1, 2, 3, 4));

  it('gives up a damaged stretch whose payload was made to be slow', () => {
    // Every 8 bytes look like a record that reaches to the end.
    const words = new Int32Array(4096);
    for (let word = 0; word < words.length; word += 2) words[word] = 4 * (words.length - word) - 8;
    const found: [number, number, string][] = [];
    scanRecords(words, 0n, checksum, (offset, bytes, kind) => found.push([offset, bytes, kind]), 100_000);
    expect(found).toEqual([[0, 4 * words.length, 'damaged']]);
  });
});
