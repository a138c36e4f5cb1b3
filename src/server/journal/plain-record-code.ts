import { recordSize } from '../../ring/index.js';
import { addToDigest, coversPayload, RecordChecksum } from './checksum.js';
import type { RecordCode } from './record-code.js';
import { highAfter, LENGTH_MASK } from './record-words.js';

/** wasm/record-stager.ts in JavaScript, four times as slow: for where WebAssembly gets no memory. */
export class PlainRecordCode implements RecordCode {
  readonly #words: Int32Array;
  #digest = 0;

  constructor(buffer: ArrayBuffer) {
    this.#words = new Int32Array(buffer);
  }

  readonly stage: RecordCode['stage'] = (
    address,
    at,
    length,
    low,
    high,
    salt0,
    salt1,
    salt2,
    salt3,
    digest,
  ) => {
    const words = this.#words;
    const checksum = new RecordChecksum(Int32Array.of(salt0, salt1, salt2, salt3));
    while (at < length) {
      const word = (address + at) >> 2;
      const header = words[word]!;
      const total = recordSize(header & LENGTH_MASK);
      const hasPayload = coversPayload(header);
      if (hasPayload && at + total > length) break;
      checksum.begin((low + at) | 0, highAfter(low, high, at), header);
      if (hasPayload) checksum.payload(words, word + 2, word + (total >> 2));
      const pad = checksum.end();
      words[word + 1] = pad;
      digest = addToDigest(digest, pad);
      at += total;
    }
    this.#digest = digest;
    return at;
  };

  digestOf(): number {
    return this.#digest;
  }
}
