import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createUserRing, DATA_OFFSET, recordSize } from '../../../src/ring/index.js';
import { addToDigest, coversPayload, RecordChecksum } from '../../../src/server/journal/checksum.js';
import { PlainRecordCode } from '../../../src/server/journal/plain-record-code.js';
import { WasmRecordMemory } from '../../../src/server/journal/record-memory.js';
import { RecordStager } from '../../../src/server/journal/record-stager.js';
import {
  BUSY_MASK,
  DISCARD_MASK,
  highHalf,
  LENGTH_MASK,
  lowHalf,
} from '../../../src/server/journal/record-words.js';
import { Staging, type Slice } from '../../../src/server/journal/staging.js';

const RING_BYTES = 4096;
/** Of the ring, one after the other: each takes address space. */
const memory = new WasmRecordMemory(DATA_OFFSET + RING_BYTES);

interface Drawn {
  length: number;
  flags: number;
  /** Header flags that the disk gets instead. */
  written: number | undefined;
}

const flags = fc.constantFrom(0, 0, 0, BUSY_MASK, DISCARD_MASK, BUSY_MASK | DISCARD_MASK);
const drawn: fc.Arbitrary<Drawn> = fc.record({
  length: fc.nat(600),
  flags,
  written: fc.option(fc.constantFrom(0, DISCARD_MASK), { nil: undefined, freq: 3 }),
});

describe('what a commit writes of the ring', () => {
  it('is the records with the checksums that a recovery computes, whatever the slices, also where they lie', () => {
    fc.assert(
      fc.property(
        fc.array(drawn, { minLength: 1, maxLength: 40 }),
        // Around the places where a half of a position turns over.
        fc
          .constantFrom(0n, 4000n, 2n ** 32n - 2048n, 2n ** 63n, 2n ** 64n - 8n * 5000n)
          .map((at) => at & ~7n),
        fc.integer({ min: 2, max: 64 }).map((units) => units * 8),
        fc.array(fc.integer(), { minLength: 4, maxLength: 4 }),
        fc.constantFrom('slices', 'in the ring', 'in the ring, plain'),
        (records, start, sliceBytes, salt, where) => {
          const isInRing = where !== 'slices';
          const ring = createUserRing(
            { maxEntries: RING_BYTES },
            { mode: 'managed', memory: () => memory.buffer },
          );
          const { size, words, bytes } = ring;
          for (let at = DATA_OFFSET; at < DATA_OFFSET + size; at++)
            bytes[at] = Math.imul(at, 0x9e3779b1) >>> 24;
          const wordAt = (position: bigint): number => (DATA_OFFSET + (lowHalf(position) & (size - 1))) >> 2;
          const headers = new Map<bigint, number>();
          let end = start;
          for (const { length, flags: held, written } of records) {
            const total = recordSize(length);
            if (end - start + BigInt(total) > BigInt(size)) break;
            words[wordAt(end)] = length | held;
            words[wordAt(end) + 1] = 0;
            if (written !== undefined && !isInRing) headers.set(end, length | written);
            end += BigInt(total);
          }

          const reference = new RecordChecksum(Int32Array.from(salt));
          const expected = new Int32Array(Number(end - start) >> 2);
          for (let at = 0; at < expected.length; at++) expected[at] = words[wordAt(start + BigInt(4 * at))]!;
          let digest = 0;
          for (let position = start; position < end;) {
            const at = Number(position - start) >> 2;
            const header = headers.get(position) ?? expected[at]!;
            const total = recordSize(header & LENGTH_MASK);
            expected[at] = header;
            reference.begin(lowHalf(position), highHalf(position), header);
            if (coversPayload(header)) reference.payload(expected, at + 2, at + (total >> 2));
            expected[at + 1] = reference.end();
            digest = addToDigest(digest, expected[at + 1]!);
            position += BigInt(total);
          }

          const staging = new Staging(sliceBytes);
          const inRing = where === 'in the ring' ? memory.code : new PlainRecordCode(memory.buffer);
          const code = isInRing ? inRing : staging.code;
          const stager = new RecordStager(ring, reference, code, { start, end }, headers, isInRing);
          const written = new Uint8Array(expected.length * 4);
          let done = 0;
          while (!stager.done) {
            const slice = staging.acquire() as Slice;
            const { offset, length } = isInRing ? stager.stageInRing() : stager.fill(slice);
            expect(offset).toBe(lowHalf(start + BigInt(done)) & (size - 1));
            const from = isInRing ? bytes.subarray(DATA_OFFSET + offset) : slice.bytes;
            written.set(from.subarray(0, length), done);
            done += length;
            staging.release(slice);
          }
          expect(done).toBe(written.length);
          expect(new Int32Array(written.buffer)).toEqual(expected);
          expect(stager.digest).toBe(digest);
        },
      ),
    );
  });
});

describe('wasm/record-stager.ts', () => {
  it('is what the compiled code in src was made from', () => {
    const script = fileURLToPath(new URL('../../../scripts/build-wasm.mjs', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });
});
