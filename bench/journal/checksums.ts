import { crc32 } from 'node:zlib';
import { RecordChecksum } from '../../src/server/journal/checksum.js';
import type { RecordCode } from '../../src/server/journal/record-code.js';

/** A way to give each record of a run its checksum. */
export interface ChecksumContender {
  readonly name: string;
  /** @param words records of `RECORD_WORDS` words each, with 64 bytes of payload */
  readonly pass: (words: Int32Array, bytes: Uint8Array) => void;
}

const PAYLOAD_WORDS = 16;
export const RECORD_WORDS = PAYLOAD_WORDS + 2;
/** Records of 64 bytes that fill a frame of 64 KiB. */
export const RECORDS = Math.floor(65536 / (4 * RECORD_WORDS));

const castagnoli = tables(0x82f63b78);
const checksum = new RecordChecksum(Int32Array.of(1, 2, 3, 4));

/** @param stager with the words in its first slice */
export const checksumContenders = (stager: RecordCode): readonly ChecksumContender[] => [
  { name: 'copy alone', pass: () => undefined },
  {
    name: 'multiply and rotate, 4 lanes, in WebAssembly (what the journal does)',
    pass: (words) => void stager.stage(0, 0, words.length * 4, 0, 0, 1, 2, 3, 4, 0),
  },
  {
    name: 'multiply and rotate, 4 lanes',
    pass: (words) => {
      for (let at = 0; at < words.length; at += RECORD_WORDS) {
        checksum.begin(at, 0, words[at]!);
        checksum.payload(words, at + 2, at + RECORD_WORDS);
        words[at + 1] = checksum.end();
      }
    },
  },
  {
    name: 'multiply and rotate, 1 lane',
    pass: (words) => {
      for (let at = 0; at < words.length; at += RECORD_WORDS) {
        let hash = Math.imul(at ^ words[at]!, 0x9e3779b1);
        for (let index = at + 2; index < at + RECORD_WORDS; index++) {
          hash = Math.imul(hash ^ words[index]!, 0x9e3779b1);
          hash = (hash << 13) | (hash >>> 19);
        }
        words[at + 1] = hash;
      }
    },
  },
  {
    name: 'CRC-32C, 4 tables',
    pass: (words) => {
      const [t0, t1, t2, t3] = castagnoli;
      for (let at = 0; at < words.length; at += RECORD_WORDS) {
        let crc = at ^ words[at]!;
        for (let index = at + 2; index < at + RECORD_WORDS; index++) {
          crc ^= words[index]!;
          crc = t3[crc & 255]! ^ t2[(crc >>> 8) & 255]! ^ t1[(crc >>> 16) & 255]! ^ t0[crc >>> 24]!;
        }
        words[at + 1] = crc;
      }
    },
  },
  {
    name: 'zlib.crc32 for each record',
    pass: (words, bytes) => {
      for (let at = 0; at < words.length; at += RECORD_WORDS)
        words[at + 1] = crc32(bytes.subarray(4 * at + 8, 4 * (at + RECORD_WORDS)));
    },
  },
  {
    name: 'zlib.crc32 once (no record can be told from another)',
    pass: (words, bytes) => void (words[1] = crc32(bytes)),
  },
];

type Tables = readonly [Int32Array, Int32Array, Int32Array, Int32Array];

/** Tables of a reflected CRC that takes four bytes a step. */
function tables(polynomial: number): Tables {
  const first = Int32Array.from({ length: 256 }, (_, index) => {
    let crc = index;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
  const next = (table: Int32Array): Int32Array => table.map((crc) => (crc >>> 8) ^ first[crc & 255]!);
  const second = next(first);
  const third = next(second);
  return [first, second, third, next(third)];
}
