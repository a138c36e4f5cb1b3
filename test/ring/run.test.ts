import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkRun, isOneRecord, prefixThatFits, skipRecords } from '../../src/ring/index.js';
import { pattern, runOf } from './raw.js';
import { slowCheckRun } from './slow-check-run.js';

/** The bytes at an offset that no alignment helps with, between bytes that are not zero. */
function misaligned(bytes: Uint8Array, alignment: number): DataView {
  const around = new Uint8Array(alignment + bytes.length + 9).fill(0xff);
  around.set(bytes, alignment);
  return new DataView(around.buffer, alignment, bytes.length);
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/[ |]/g, ''), 'hex'));

const payloads = fc.array(fc.uint8Array({ maxLength: 40, size: 'max' }), { maxLength: 8 });

type Mutation =
  | { kind: 'byte'; at: number; value: number }
  | { kind: 'bit'; at: number; bit: number }
  | { kind: 'cut'; at: number }
  | { kind: 'append'; bytes: Uint8Array };

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('byte' as const), at: fc.nat(400), value: fc.nat(255) }),
  fc.record({ kind: fc.constant('bit' as const), at: fc.nat(400), bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(400) }),
  fc.record({ kind: fc.constant('append' as const), bytes: fc.uint8Array({ maxLength: 20, size: 'max' }) }),
);

function mutate(run: Uint8Array, { ...change }: Mutation): Uint8Array {
  const bytes = run.slice();
  if (change.kind === 'append') return Uint8Array.of(...bytes, ...change.bytes);
  const at = bytes.length === 0 ? 0 : change.at % bytes.length;
  if (change.kind === 'cut') return bytes.subarray(0, at);
  if (bytes.length === 0) return bytes;
  if (change.kind === 'byte') bytes[at] = change.value;
  else bytes[at] = bytes[at]! ^ (1 << change.bit);
  return bytes;
}

describe('isOneRecord', () => {
  it('agrees with the slow reference about what is one good record, whole or mutated, at any alignment', () => {
    let accepted = 0;
    fc.assert(
      fc.property(
        payloads,
        fc.array(mutation, { maxLength: 2 }),
        fc.nat(7),
        fc.constantFrom(16, 40, 4096),
        (list, changes, alignment, ringSize) => {
          const bytes = changes.reduce(mutate, runOf(list));
          const { buffer, byteOffset, byteLength } = misaligned(bytes, alignment);
          const is = isOneRecord(new Uint8Array(buffer, 0, byteOffset + byteLength), byteOffset, ringSize);
          if (is) accepted++;
          expect(is).toBe(slowCheckRun([...bytes], ringSize) === 1);
        },
      ),
      { numRuns: 2000 },
    );
    expect(accepted).toBeGreaterThan(10);
  });

  it('is not fooled by a length beyond a dynptr, BUSY or DISCARD', () => {
    expect(isOneRecord(hex('0000000000000000'), 0, 4096)).toBe(true);
    for (const top of ['01', '40', '80', 'c0'])
      expect(isOneRecord(hex(`000000${top}00000000`), 0, 4096)).toBe(false);
  });
});

describe('checkRun', () => {
  it('counts the records of a good run at any alignment', () => {
    fc.assert(
      fc.property(payloads, fc.nat(7), (list, alignment) => {
        expect(checkRun(misaligned(runOf(list), alignment), 4096)).toBe(list.length);
      }),
      { numRuns: 300 },
    );
  });

  it('agrees with the slow reference about mutated runs at any alignment', () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(
        payloads,
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        fc.nat(7),
        fc.constantFrom(16, 40, 4096),
        (list, mutations, alignment, ringSize) => {
          const run = mutations.reduce(mutate, runOf(list));
          const expected = slowCheckRun([...run], ringSize);
          const kind = expected < 0 ? String(expected) : 'good';
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
          expect(checkRun(misaligned(run, alignment), ringSize)).toBe(expected);
        },
      ),
      { numRuns: 3000, seed: 4242 },
    );
    expect([...seen.keys()].sort()).toEqual(['-22', '-7', 'good']);
  });

  it('agrees with the slow reference about any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64, size: 'max' }), fc.nat(7), (run, alignment) => {
        expect(checkRun(misaligned(run, alignment), 4096)).toBe(slowCheckRun([...run], 4096));
      }),
      { numRuns: 500 },
    );
  });

  it('finds each byte of padding that is not zero, whatever the payload ends with', () => {
    for (let length = 0; length <= 17; length++) {
      const payload = new Uint8Array(length).fill(0xff);
      const good = runOf([payload]);
      expect(checkRun(view(good), 4096)).toBe(1);
      for (let at = 8 + length; at < good.length; at++)
        for (const value of [1, 0x80, 0xff]) {
          const bad = good.slice();
          bad[at] = value;
          expect(checkRun(view(bad), 4096)).toBe(-22);
        }
    }
  });

  it.each([
    ['nothing', '', 0],
    ['an empty sample', '00000000 00000000', 1],
    ['one byte', '01000000 00000000 | aa00000000000000', 1],
    ['two records', '01000000 00000000 | aa00000000000000 | 00000000 00000000', 2],
    ['one byte of a header', '00', -22],
    ['seven bytes of a header', '00000000 000000', -22],
    ['a header cut off behind a record', '00000000 00000000 | 000000', -22],
    ['BUSY', '01000080 00000000 | aa00000000000000', -22],
    ['DISCARD', '01000040 00000000 | aa00000000000000', -22],
    ['BUSY and DISCARD', '010000c0 00000000 | aa00000000000000', -22],
    ['a pad word that is not zero', '01000000 00000001 | aa00000000000000', -22],
    ['a length past the end', '09000000 00000000 | aa00000000000000', -22],
    ['padding past the end', '01000000 00000000 | aa000000000000', -22],
    ['payload past the end', '08000000 00000000 | aa000000000000', -22],
    ['the largest length, past the end before too big', 'ffffff3f 00000000', -22],
    ['padding that is not zero', '01000000 00000000 | aa00000000000001', -22],
    ['a bad second record', '00000000 00000000 | 00000080 00000000', -22],
  ])('of %s answers as it must', (_what, bytes, expected) => {
    expect(checkRun(view(hex(bytes)), 4096)).toBe(expected);
  });

  it('says E2BIG for a whole record that the ring could not hold, before it looks at its padding', () => {
    const run = runOf([new Uint8Array(4089)]);
    expect(checkRun(view(run), 8192)).toBe(1);
    expect(checkRun(view(run), 4096)).toBe(-7);
    run[run.length - 1] = 1;
    expect(checkRun(view(run), 4096)).toBe(-7);
    expect(checkRun(view(run), 8192)).toBe(-22);
    expect(checkRun(view(runOf([new Uint8Array(4088)])), 4096)).toBe(1);
  });

  it('may be longer than the ring when its records are not', () => {
    expect(checkRun(view(runOf(Array.from({ length: 3 }, () => pattern(4088)))), 4096)).toBe(3);
  });
});

describe('the prefix of a run that fits', () => {
  it('is the longest one of whole records', () => {
    fc.assert(
      fc.property(payloads, fc.nat(7), fc.nat(400), fc.nat(8), (list, alignment, room, skipped) => {
        const sizes = list.map((payload) => runOf([payload]).length);
        const from = Math.min(skipped, list.length);
        let bytes = 0;
        let records = 0;
        for (const size of sizes.slice(from)) {
          if (bytes + size > room) break;
          bytes += size;
          records++;
        }
        const start = sizes.slice(0, from).reduce((sum, size) => sum + size, 0);
        expect(prefixThatFits(misaligned(runOf(list), alignment), start, room)).toEqual({ records, bytes });
      }),
      { numRuns: 300 },
    );
  });

  it('is empty without room, and all of it with exactly enough', () => {
    const run = view(runOf([pattern(8), pattern(8)]));
    expect(prefixThatFits(run, 0, 0)).toEqual({ records: 0, bytes: 0 });
    expect(prefixThatFits(run, 0, 31)).toEqual({ records: 1, bytes: 16 });
    expect(prefixThatFits(run, 0, 32)).toEqual({ records: 2, bytes: 32 });
    expect(prefixThatFits(run, 32, 100)).toEqual({ records: 0, bytes: 0 });
  });
});

describe('skipRecords', () => {
  it('gives the offset behind so many records, and -1 when there are not so many', () => {
    fc.assert(
      fc.property(payloads, fc.nat(7), fc.nat(10), (list, alignment, records) => {
        const expected = records > list.length ? -1 : runOf(list.slice(0, records)).length;
        expect(skipRecords(misaligned(runOf(list), alignment), records)).toBe(expected);
      }),
      { numRuns: 300 },
    );
  });
});
