import { expect, it } from 'vitest';
import {
  completeCommit,
  encodeCommit,
  NO_COUNTERS,
  tornCopies,
} from '../../../src/server/journal/commit-record.js';
import { COMMIT_MAGIC, COMMIT_SLOT_BYTES } from '../../../src/server/journal/layout.js';
import { NO_TABLE } from '../../../src/server/journal/producer-book.js';

it('does not take what a whole commit record holds for the start of a torn one', () => {
  // As the name of a producer may have it, at byte 512 of the record.
  const change = new Uint8Array(800);
  new DataView(change.buffer).setUint32(512 - 152, COMMIT_MAGIC, true);
  const bytes = completeCommit(
    encodeCommit(
      {
        number: 4,
        producerPos: 0n,
        consumerPos: 0n,
        rangeStart: 0n,
        durability: 'synced',
        counters: NO_COUNTERS,
        runs: [],
        table: NO_TABLE,
      },
      [change],
    ),
    0,
  );
  const slot = new Uint8Array(COMMIT_SLOT_BYTES);
  slot.set(bytes);
  expect(tornCopies(slot)).toEqual([]);
  slot[8 + 152]! ^= 1;
  expect(tornCopies(slot).map(({ at }) => at)).toEqual([0, 512]);
});
