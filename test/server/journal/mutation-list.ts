import type { SourceEdit } from '../../support/source-mutation.js';

/** One mistake in `src/server/journal`. */
export interface JournalMutation extends SourceEdit {
  readonly file: string;
}

function mutations(
  file: string,
  edits: readonly [what: string, find: string, replace: string][],
): JournalMutation[] {
  return edits.map(([what, find, replace]) => ({ file, what, find, replace }));
}

const DIGEST = 'return whole && digest === commit.digest;';
const COMMIT_CRC =
  'if (view.getUint32(commit.crc, true) !== structureCrc(bytes, commit.crc, length)) return undefined;';
const LANES = [
  ['A', 'mix(salt[0]!, low, PRIME_A)', 'low'],
  ['B', 'mix(salt[1]!, header, PRIME_B)', 'header'],
  ['C', 'mix(salt[2]!, high, PRIME_C)', 'high'],
  ['D', 'mix(salt[3]!, low, PRIME_D)', 'low'],
] as const;
const WORDS = {
  low: 'the low half of the position',
  header: 'the header',
  high: 'the high half of the position',
} as const;
const SYNC_AND_SEAL = `      await this.#sync();
      await this.#file.write(sealAt(number), encodeSeal(number));`;

export const JOURNAL_MUTATIONS: readonly JournalMutation[] = [
  ...mutations('commit-choice.ts', [
    ['the digest of a commit is not compared', DIGEST, 'return whole;'],
    ['a commit counts without its records', DIGEST, 'return true;'],
    [
      'a commit without a seal counts always',
      'if (sealed || older === undefined || (choice.isComplete && choice.notes.length === 0))',
      'if (sealed || !sealed)',
    ],
    [
      'a written journal is never without a commit',
      'if (newest === undefined) return undefined;',
      'if (newest === undefined) throw new Error();',
    ],
  ]),
  ...mutations('commit-record.ts', [
    ['the CRC of a commit record is not compared', COMMIT_CRC, ''],
    ['a commit record has one copy', 'bytes.copyWithin(bytes.length / 2, 0, length);', ''],
  ]),
  ...mutations('record-scan.ts', [
    [
      'the checksum of a record is not compared',
      'return checksum.end() === words[word + 1] ? total : 0;',
      'return total;',
    ],
  ]),
  ...mutations('checksum.ts', [
    ...LANES.flatMap(([lane, find, word]): [string, string, string][] => [
      [`lane ${lane} without the salt`, find, find.replace(/salt\[\d\]!/, '0')],
      [`lane ${lane} without ${WORDS[word]}`, find, find.replace(`, ${word},`, ', 0,')],
    ]),
    ['two words that are left go into the wrong lanes', 'this.#isOdd = true;', ''],
    ['lanes are added as they are', 'Math.imul(lane ^ (lane >>> 15), prime)', 'prime && lane'],
  ]),
  ...mutations('recovery.ts', [
    [
      'a rejected commit is not erased',
      'for (const number of chosen.rejected) await eraseCommit(file, number);',
      '',
    ],
    [
      'the first sector of a commit that was cut short stays, and its number is free again',
      'for (const at of chosen.tornAt) await file.write(at, new Uint8Array(SECTOR_BYTES));',
      '',
    ],
    [
      'recovery does not seal what it chose',
      'await file.write(sealAt(chosen.commit.number), encodeSeal(chosen.commit.number));',
      '',
    ],
    [
      'only one copy of a rejected commit is erased',
      'for (const at of [0, ...COMMIT_SIZES]) await file.write',
      'for (const at of [0]) await file.write',
    ],
  ]),
  ...mutations('producer-book.ts', [
    ['a table takes the place of the last one', 'this.#table.generation + 1;', 'this.#table.generation + 2;'],
    [
      'the CRC of a table is not compared',
      "if (crc !== wanted.crc || crc !== view.getUint32(table.crc, true)) return 'the checksum is wrong';",
      '',
    ],
  ]),
  ...mutations('commit-plan.ts', [
    ['the number of a rejected commit is used again', 'const next = newest + 1;', 'const next = last + 1;'],
    [
      'a commit goes into the slot of the one that has to stay',
      'next % COMMIT_SLOTS === last % COMMIT_SLOTS ? next + 1 : next',
      'next',
    ],
  ]),
  ...mutations('commit-writer.ts', [
    [
      'what was written ahead counts although a reservation among it has ended',
      '[...headers.keys()].some((position) => position >= rangeStart)',
      'headers.size < 0',
    ],
    ['a commit does not wait for what is being written ahead', '      await this.#writing;\n', ''],
    ['a commit record does not wait for the last slice', '    await writing;\n', '    void writing;\n'],
    ['a sync that fails is taken for a write that does', 'throw new SyncFailed(error);', 'throw error;'],
    ['no sync behind a commit', SYNC_AND_SEAL, SYNC_AND_SEAL.split('\n')[1]!],
    ['the seal is written before the sync', SYNC_AND_SEAL, SYNC_AND_SEAL.split('\n').reverse().join('\n')],
    [
      'no sync before records that were reserved are rewritten',
      "if (this.#kind.durability === 'synced') await this.#sync();",
      '',
    ],
    ['a table has one copy', 'for (const copy of [0, 1] as const)', 'for (const copy of [0] as const)'],
    [
      'a header is rewritten before its payload',
      '      await this.#writePayload(ring, position + 8n, recordSize(header & LENGTH_MASK) - 8);\n',
      '      void position, header;\n',
    ],
  ]),
  ...mutations('loop-committer.ts', [
    [
      'loop: the event loop writes while the thread may still write ahead',
      'if (this.#away !== undefined) await this.#comeBack();',
      'void this.#comeBack();',
    ],
    ['loop: a slow disk does not matter', '!this.#options.waits.mayWrite && ', '!this.#options.waits && '],
    [
      'loop: the thread does not see the payload of a reservation that has ended',
      'mirror.followPlan(ring, plan);',
      'mirror.follow(ring, plan.rangeEnd);',
    ],
    [
      'loop: records are copied although they could be written from where they lie',
      'buffer === this.#memory?.buffer ? this.#memory.code : undefined',
      'buffer.byteLength < 0 ? this.#memory?.code : undefined',
    ],
    ['loop: the time of writes is not told', 'waits.wrote(bytes.length, fromMs, toMs);', ''],
  ]),
  ...mutations('shown-records.ts', [
    [
      'shown: the thread sleeps without looking once more',
      'if (this.endBehind(start, end) === undefined) return true;',
      'return true;',
    ],
    [
      'shown: records behind a commit that was asked for are taken for those before it',
      'Atomics.load(this.#positions, START) === start && shown > end',
      'shown > end',
    ],
  ]),
  ...mutations('file-header.ts', [
    [
      'a damaged header stays damaged',
      'for (const at of damagedAt) await file.write(at, encodeHeader(fields));',
      '',
    ],
  ]),
  ...mutations('file-journal.ts', [
    [
      'what recovery made a discard is not written',
      "for (const position of repairs) this.#endings.set(position, 'discard');",
      '',
    ],
  ]),
];
