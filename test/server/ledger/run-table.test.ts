import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LedgerLine } from '../../../src/server/ledger/ledger-line.js';
import { RunTable } from '../../../src/server/ledger/run-table.js';

/** A record of the model: whose it is, and whether it is a discard. */
interface ModelRecord {
  line: number;
  position: number;
  bytes: number;
  discard: boolean;
}

/** The table beside a list of single records, fed with the same. */
class Pair {
  readonly unattributed = new LedgerLine('unattributed');
  readonly lines = [0, 1, 2].map((number) => new LedgerLine('producer', `p${number}`));
  readonly table: RunTable;
  readonly records: ModelRecord[] = [];
  readonly gone: ModelRecord[] = [];
  #end: number;

  constructor(max: number, start: number) {
    this.table = new RunTable(this.unattributed, max);
    this.#end = start;
  }

  store(line: number, sizes: readonly number[]): void {
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    this.lines[line]!.acceptedSamples += sizes.length;
    this.lines[line]!.acceptedBytes += bytes;
    this.table.accepted(this.lines[line]!, sizes.length, bytes, this.#end | 0);
    for (const size of sizes) {
      this.records.push({ line, position: this.#end | 0, bytes: size, discard: false });
      this.#end += size;
    }
  }

  discard(which: number): void {
    const record = this.records[which % Math.max(1, this.records.length)];
    if (record === undefined || record.discard) return;
    record.discard = true;
    this.table.discarded(record.position, record.bytes);
  }

  release(count: number): void {
    const released = this.records.splice(0, count);
    if (released.length === 0) return;
    const discards = released.filter(({ discard }) => discard);
    this.table.released(
      {
        samples: released.length - discards.length,
        discarded: discards.length,
        discardedBytes: bytesOf(discards),
        bytes: bytesOf(released),
      },
      'drained',
    );
    this.gone.push(...released);
  }

  /** What the model knows of a line. */
  expected(line: number): number[] {
    const drained = this.gone.filter((record) => record.line === line && !record.discard);
    const discarded = this.gone.filter((record) => record.line === line && record.discard);
    return [drained.length, bytesOf(drained), discarded.length, bytesOf(discarded)];
  }
}

const bytesOf = (records: readonly ModelRecord[]): number =>
  records.reduce((sum, { bytes }) => sum + bytes, 0);

const numbersOf = (line: LedgerLine): number[] => [
  line.drainedSamples,
  line.drainedBytes,
  line.discardedSamples,
  line.discardedBytes,
];

const size = fc.integer({ min: 1, max: 8 }).map((words) => 8 * words);
const step = fc.oneof(
  fc.record({ store: fc.nat(2), sizes: fc.array(size, { minLength: 1, maxLength: 5 }) }),
  fc.record({ discard: fc.nat(20) }),
  fc.record({ release: fc.nat(6) }),
);

function play(
  pair: Pair,
  steps: readonly (typeof step extends fc.Arbitrary<infer Step> ? Step : never)[],
): void {
  for (const next of steps) {
    if ('store' in next) pair.store(next.store, next.sizes);
    else if ('discard' in next) pair.discard(next.discard);
    else pair.release(next.release);
  }
}

describe('the table of runs', () => {
  it('knows of each producer what became of its records, as a list of single records does', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.constantFrom(0, 2 ** 31 - 64, 2 ** 32 - 64),
        (steps, start) => {
          const pair = new Pair(1000, start);
          play(pair, steps);
          for (const line of [0, 1, 2]) expect(numbersOf(pair.lines[line]!)).toEqual(pair.expected(line));
          expect(numbersOf(pair.unattributed)).toEqual([0, 0, 0, 0]);
        },
      ),
    );
  });

  it('loses the detail of the oldest when it is full, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 2, max: 6 }), (steps, max) => {
        const pair = new Pair(max, 0);
        play(pair, steps);
        expect(pair.table.size).toBeLessThanOrEqual(max);
        const all = [...pair.lines, pair.unattributed];
        const total = all
          .map(numbersOf)
          .reduce((sum, numbers) => sum.map((value, at) => value + numbers[at]!));
        const expected = [0, 1, 2]
          .map((line) => pair.expected(line))
          .reduce((sum, numbers) => sum.map((value, at) => value + numbers[at]!));
        expect(total).toEqual(expected);
        const moved = pair.lines.reduce((sum, line) => sum + line.unattributedSamples, 0);
        expect(pair.unattributed.acceptedSamples).toBe(moved);
        for (const line of all) expect(line.bufferedSamples).toBeGreaterThanOrEqual(0);
        // All that is still known is right: what a line has told and what it has handed over is all that left it.
        pair.release(pair.records.length);
        for (const line of all) expect([line.bufferedSamples, line.bufferedBytes]).toEqual([0, 0]);
      }),
    );
  });

  it('takes one entry for a producer that is alone, however much it stores', () => {
    const pair = new Pair(1000, 0);
    for (let turn = 0; turn < 100; turn++) {
      pair.store(0, [16, 16]);
      pair.store(0, [24]);
      if (turn % 3 === 0) pair.release(2);
    }
    expect(pair.table.size).toBe(1);
    expect(pair.table.merged).toBe(0);
  });

  it('cuts off what has been passed', () => {
    const pair = new Pair(100, 0);
    for (let turn = 0; turn < 5000; turn++) {
      pair.store(turn % 2, [16]);
      pair.release(1);
    }
    expect(pair.table.size).toBe(1);
    expect(numbersOf(pair.lines[0]!)).toEqual([2500, 40_000, 0, 0]);
  });
});
