/** One mistake in `src/ring`: a text that occurs exactly once in a file, and what stands in its place. */
export interface Mutation {
  /** The rule that it breaks: a heading of the table in docs/CONFORMANCE.md. */
  rule: 'peek' | 'drain' | 'wakeup' | 'reserve' | 'positions' | 'create';
  what: string;
  file: string;
  find: string;
  replace: string;
  /**
   * A test that catches what no trace can show: the recorder has one thread, and its callback cannot write, so that
   * nothing changes between a peek and its release.
   */
  caughtBy?: string;
}

type Edit = [what: string, find: string, replace: string, caughtBy?: string];

function mutations(rule: Mutation['rule'], file: string, edits: readonly Edit[]): Mutation[] {
  return edits.map(([what, find, replace, caughtBy]) => ({
    rule,
    what,
    file,
    find,
    replace,
    ...(caughtBy !== undefined && { caughtBy }),
  }));
}

const MISALIGNED = 'if ((producerLow & 7) !== 0) return -EINVAL;';
const EMPTY = 'if (available <= 0) return -ENODATA;';
const PAST_END = 'if (total > available) return -EINVAL;';
const TOO_LARGE = 'if (total > size) return -E2BIG;';
const NO_DYNPTR = 'if (length > LARGEST) return -E2BIG;';
const DISCARDED = 'if ((header & DISCARD) !== 0) return';
const BUSY = 'if ((header & BUSY) !== 0) return -ENODATA;';
const UNLESS_DISCARDED = '&& (header & DISCARD) === 0';
const UNLESS_BUSY = '&& (header & BUSY) === 0';

const peek = [
  ...mutations('peek', 'peek.ts', [
    ['misaligned producer position let through', MISALIGNED, ''],
    ['misaligned means a multiple of 4', MISALIGNED, MISALIGNED.replace('& 7', '& 3')],
    ['misaligned answers ENODATA', MISALIGNED, MISALIGNED.replace('EINVAL', 'ENODATA')],
    [
      'empty comes before misaligned',
      MISALIGNED,
      'if ((producerLow & 7) !== 0 && distanceToProducer(words, producerWord, 0) > 0) return -EINVAL;',
    ],
    ['empty not noticed', EMPTY, EMPTY.replace('<= 0', '< 0')],
    ['empty answers EINVAL', EMPTY, EMPTY.replace('ENODATA', 'EINVAL')],
    ['a record up to the producer position is past it', PAST_END, PAST_END.replace('>', '>=')],
    ['a record past the producer position let through', PAST_END, ''],
    ['a record past the producer position answers E2BIG', PAST_END, PAST_END.replace('EINVAL', 'E2BIG')],
    ['a record past the producer position answers ENODATA', PAST_END, PAST_END.replace('EINVAL', 'ENODATA')],
    ['past the end measured without header', PAST_END, PAST_END.replace('total', 'length')],
    [
      'too large comes before past the end',
      PAST_END,
      'if (total > available) return total > size ? -E2BIG : -EINVAL;',
    ],
    ['past the end tested after DISCARD', PAST_END, PAST_END.replace(') r', ` ${UNLESS_DISCARDED}) r`)],
    ['past the end tested after BUSY', PAST_END, PAST_END.replace(') r', ` ${UNLESS_BUSY}) r`)],
    ['a record as large as the ring is too large', TOO_LARGE, TOO_LARGE.replace('>', '>=')],
    ['too large let through', TOO_LARGE, ''],
    ['too large answers EINVAL', TOO_LARGE, TOO_LARGE.replace('E2BIG', 'EINVAL')],
    ['too large measured without header', TOO_LARGE, TOO_LARGE.replace('total', 'length')],
    ['too large tested after DISCARD', TOO_LARGE, TOO_LARGE.replace(') r', ` ${UNLESS_DISCARDED}) r`)],
    ['too large tested after BUSY', TOO_LARGE, TOO_LARGE.replace(') r', ` ${UNLESS_BUSY}) r`)],
    ['a dynptr holds one byte less', NO_DYNPTR, NO_DYNPTR.replace('>', '>=')],
    ['a dynptr holds one byte more', NO_DYNPTR, NO_DYNPTR.replace('LARGEST', 'LARGEST + 1')],
    ['a dynptr holds anything', NO_DYNPTR, ''],
    ['the dynptr limit answers EINVAL', NO_DYNPTR, NO_DYNPTR.replace('E2BIG', 'EINVAL')],
    ['the dynptr limit tested after DISCARD', NO_DYNPTR, NO_DYNPTR.replace(') r', ` ${UNLESS_DISCARDED}) r`)],
    ['the dynptr limit tested after BUSY', NO_DYNPTR, NO_DYNPTR.replace(') r', ` ${UNLESS_BUSY}) r`)],
    ['BUSY comes before DISCARD', DISCARDED, DISCARDED.replace(') r', ` ${UNLESS_BUSY}) r`)],
    ['DISCARD not noticed', DISCARDED, 'if (false) return'],
    ['BUSY not noticed', BUSY, ''],
    ['BUSY answers EINVAL', BUSY, BUSY.replace('ENODATA', 'EINVAL')],
    ['BUSY skipped as a discard', BUSY, 'if ((header & BUSY) !== 0) return length | DISCARD;'],
    ['the length keeps the DISCARD bit', 'const length = header & LENGTH;', 'const length = header & ~BUSY;'],
    [
      'the record is looked for at the producer position',
      'loadHeader(words, (consumerLow + ahead)',
      'loadHeader(words, (producerLow + ahead)',
    ],
    [
      'full positions compared as low halves only',
      ': distanceToProducer(words, producerWord, ahead);',
      ': ((producerLow - consumerLow) | 0) - ahead;',
    ],
    ['behind counts as ahead', 'if (!isAhead(words, producerWord, CONSUMER_POS_WORD)) return 0;', ''],
    ['one lap is any lap', ' && words[producerWord + 1] === words[CONSUMER_POS_WORD + 1]', ''],
    ['far is near', 'const FAR = 2 ** 31 - 1;', 'const FAR = 0;'],
  ]),
];

const NEXT = 'consumerLow = (before + ((length + ROUND_UP) & ~7)) | 0;';
const RELEASE_IN_DRAIN = 'else words[CONSUMER] = consumerLow;\n        drained++;';
const READY = '(((length + ROUND_UP) & ~7) - 1) >>> 0 < (words[PRODUCER]! - consumerLow) >>> 0;';
const PLAIN = 'managed && !shared && producerWord === PRODUCER && size <= LARGEST_PLAIN;';
const CARRY_IN_DRAIN = 'if (consumerLow >>> 0 < before >>> 0) ';
const LIMIT = 'while (drained + discarded < turns) {';
const COUNT_AND_END = 'report.discarded = discarded;\n    this.end(flags);';

const drain = [
  ...mutations('drain', 'consumer.ts', [
    ['unknown flags let through', 'if (!isValidDrainFlags(flags)) return -Errno.EINVAL;', ''],
    [
      'busy comes before unknown flags',
      'if (!isValidDrainFlags(flags)) return -Errno.EINVAL;',
      'if (!isValidDrainFlags(flags)) return this.#busy ? -Errno.EBUSY : -Errno.EINVAL;',
    ],
    ['a nested drain let through', 'if (this.#busy) return -Errno.EBUSY;', ''],
    [
      'a nested drain answers EINVAL',
      'if (this.#busy) return -Errno.EBUSY;',
      'if (this.#busy) return -Errno.EINVAL;',
    ],
    ['busy for ever', 'this.#dynptr.kill();\n    this.#busy = false;', 'this.#dynptr.kill();'],
    ['one turn more than the limit', LIMIT, LIMIT.replace('<', '<=')],
    ['one turn less than the limit', LIMIT, LIMIT.replace('turns', 'turns - 1')],
    ['discards cost no turn', LIMIT, LIMIT.replace('drained + discarded', 'drained')],
    ['samples cost no turn', LIMIT, LIMIT.replace('drained + discarded', 'discarded')],
    ['verdict 1 ignored', 'if (verdict === 1) {', 'if (false) {'],
    [
      'stops before the release',
      RELEASE_IN_DRAIN,
      RELEASE_IN_DRAIN.replace('else', 'else if (verdict === 0)'),
    ],
    [
      'the sample that stops is not counted',
      RELEASE_IN_DRAIN,
      RELEASE_IN_DRAIN.replace('drained++', 'drained += 1 - verdict'),
    ],
    ['samples not released', RELEASE_IN_DRAIN, 'drained++;'],
    ['discards not released', 'this.#release(length - DISCARD);', ''],
    ['stops after a discard', 'discarded++;\n            continue;', 'discarded++;\n            break;'],
    ['stops after every sample', 'if (verdict === 1) {', 'if (verdict === 1 || true) {'],
    [
      'an error after samples hidden by their count',
      'return error !== 0 ? error : drained;',
      'return drained > 0 ? drained : error;',
    ],
    ['errors forgotten', 'if (length !== -Errno.ENODATA) error = length;', ''],
    ['an empty ring is an error', 'if (length !== -Errno.ENODATA) error = length;', 'error = length;'],
    [
      'discards counted in the result',
      'return error !== 0 ? error : drained;',
      'return error !== 0 ? error : drained + discarded;',
    ],
    [
      'the bad record released',
      'if (length !== -Errno.ENODATA) error = length;',
      'if (length !== -Errno.ENODATA) { error = length; this.#release(0); }',
    ],
    [
      'discards released without padding',
      'recordSize(length), shared);',
      'length + BPF_RINGBUF_HDR_SZ, shared);',
    ],
    ['discards released without header', 'recordSize(length), shared);', 'recordSize(length) - 8, shared);'],
    ['released without padding', NEXT, NEXT.replace('ROUND_UP', 'HEADER').replace(' & ~7', '')],
    ['released without header', NEXT, NEXT.replace('ROUND_UP', '7')],
    ['released without carry', CARRY_IN_DRAIN, 'if (false) '],
    ['released with a carry at 2^31', CARRY_IN_DRAIN, 'if (consumerLow < before) '],
    ['no ladder: compared signed', READY, READY.replaceAll(' >>> 0', '')],
    ['no ladder: DISCARD not noticed', READY, READY.replace('(length +', '((length & ~DISCARD) +')],
    ['no ladder: the producer position not noticed', READY, 'true;'],
    ['no ladder: on direct maps', PLAIN, PLAIN.replace('managed && ', '')],
    [
      'the sample starts at its header',
      'dynptr.aim((consumerLow + HEADER) | 0, length)',
      'dynptr.aim(consumerLow, length)',
    ],
    [
      'the length released is read again',
      NEXT,
      NEXT.replace('length', '(words[DATA + ((consumerLow & mask) >> 2)]! & (DISCARD - 1))'),
      'test/ring/consumer.test.ts',
    ],
    [
      'runs: one turn more than the limit',
      'this.#turns + run.records < turns',
      'this.#turns + run.records <= turns',
    ],
    ['runs: earlier runs cost no turn', 'this.#turns + run.records < turns', 'run.records < turns'],
    [
      'runs: a discard at the head costs no turn',
      'this.#report.discarded++;\n    this.#turns++;',
      'this.#report.discarded++;',
    ],
    ['runs: a sample costs no turn', 'released++;\n        this.#turns++;', 'released++;'],
    [
      'runs: an error before the samples ahead of it',
      'return samples > 0 || peeked === -Errno.ENODATA ? samples : peeked;',
      'return peeked === -Errno.ENODATA ? samples : peeked;',
    ],
    [
      'runs: discards between samples stay',
      '} else {\n        this.#skip(run.lengthOf(record));',
      '} else {',
    ],
  ]),
];

const FORCE = 'if (flags & BPF_RB_FORCE_WAKEUP) return true;';
const wakeup = [
  ...mutations('wakeup', 'wakeup.ts', [
    ['FORCE not noticed', FORCE, ''],
    ['NO beats FORCE', FORCE, 'if (flags & BPF_RB_FORCE_WAKEUP) return !(flags & BPF_RB_NO_WAKEUP);'],
    ['FORCE needs a turn', FORCE, 'if (flags & BPF_RB_FORCE_WAKEUP) return turns > 0;'],
    ['NO not noticed', 'return !(flags & BPF_RB_NO_WAKEUP) && turns > 0;', 'return turns > 0;'],
    ['wakes without a turn', 'turns > 0;', 'turns >= 0;'],
    ['one turn is not enough', 'turns > 0;', 'turns > 1;'],
    ['never wakes by itself', 'return !(flags & BPF_RB_NO_WAKEUP) && turns > 0;', 'return false;'],
    [
      'FORCE and NO together are unknown',
      'flags <= (BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)',
      'flags < (BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)',
    ],
    ['flag 4 is known', 'flags <= (BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)', 'flags <= 4'],
    [
      'flags taken as 32 bits',
      'flags <= (BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)',
      'flags >>> 0 <= (BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)',
    ],
  ]),
  ...mutations('wakeup', 'consumer.ts', [
    [
      'no wakeup after an error',
      COUNT_AND_END,
      COUNT_AND_END.replace('(flags)', '(error !== 0 ? flags | 1 : flags)'),
    ],
    [
      'always a wakeup after an error',
      COUNT_AND_END,
      COUNT_AND_END.replace('(flags)', '(error !== 0 ? flags | 2 : flags)'),
    ],
    [
      'no wakeup after a stop',
      COUNT_AND_END,
      COUNT_AND_END.replace('(flags)', '(report.stopped ? flags | 1 : flags)'),
    ],
    ['discards alone do not wake', 'this.#report.drained + this.#report.discarded', 'this.#report.drained'],
    ['samples alone do not wake', 'this.#report.drained + this.#report.discarded', 'this.#report.discarded'],
  ]),
];

const TOP_BITS = 'if (size >= BPF_RINGBUF_DISCARD_BIT) return -Errno.E2BIG;';
const NEVER_FITS = 'if (total > this.#ring.size) return -Errno.E2BIG;';
const NO_ROOM = 'if (total > this.#room) return -Errno.ENOSPC;';
const ROOM = 'return unsigned(this.#ring.size - used);';
const COMMITTED = 'const value = (words[header]! & ~BUSY_MASK) | discardBit;';
const OFF_GRID = 'this.#storeMisaligned(reservation, (word & ~BUSY_MASK) | discardBit);';

const reserve = [
  ...mutations('reserve', 'producer.ts', [
    ['top bits of the size let through', TOP_BITS, ''],
    ['top bits answer ENOSPC', TOP_BITS, TOP_BITS.replace('E2BIG', 'ENOSPC')],
    ['the ring is one byte short', NEVER_FITS, NEVER_FITS.replace('>', '>=')],
    ['never fits answers ENOSPC', NEVER_FITS, ''],
    ['never fits measured without header', NEVER_FITS, NEVER_FITS.replace('total', 'size')],
    [
      'full comes before never fits',
      NEVER_FITS,
      `if (total > this.#room) return -Errno.ENOSPC;\n    ${NEVER_FITS}`,
    ],
    ['the last byte stays free', NO_ROOM, NO_ROOM.replace('>', '>=')],
    ['a full ring is written over', NO_ROOM, ''],
    ['full answers E2BIG', NO_ROOM, NO_ROOM.replace('ENOSPC', 'E2BIG')],
    ['room compared without rounding', NO_ROOM, NO_ROOM.replace('total', 'size + 8')],
    ['room compared without header', NO_ROOM, NO_ROOM.replace('total', 'size')],
    ['room computed in 64 bits', ROOM, 'return this.#ring.free;'],
    ['room computed as a signed number', ROOM, 'return (this.#ring.size - used) | 0;'],
    [
      'the size not rounded up',
      'advance(words, PRODUCER_POS_WORD, total, shared);',
      'advance(words, PRODUCER_POS_WORD, size + 8, shared);',
    ],
    ['the producer position stays', 'advance(words, PRODUCER_POS_WORD, total, shared);', ''],
    ['not BUSY', 'words[header] = size | BUSY_MASK;', 'words[header] = size;'],
    ['the pad word stays', 'words[header + 1] = 0;', ''],
    ['off the grid: the header on the grid', 'if ((offset & 7) === 0) {', 'if (true) {'],
    [
      'off the grid: not BUSY',
      'this.#storeMisaligned(offset, size | BUSY_MASK);',
      'this.#storeMisaligned(offset, size);',
    ],
    ['off the grid: the pad word stays', 'this.#storeMisaligned(offset + 4, 0);', ''],
    ['off the grid: end on the grid', 'if ((reservation & 3) !== 0) {', 'if (false) {'],
    ['off the grid: end without DISCARD', OFF_GRID, OFF_GRID.replace(' | discardBit', '')],
    ['end: BUSY stays', COMMITTED, COMMITTED.replace('& ~BUSY_MASK', '')],
    ['end: a written DISCARD goes', COMMITTED, COMMITTED.replace('~BUSY_MASK', 'LENGTH_MASK')],
    ['discard as submit', 'this.#commit(reservation, DISCARD_MASK);', 'this.#commit(reservation, 0);'],
    ['submit as discard', 'this.#commit(reservation, 0);', 'this.#commit(reservation, DISCARD_MASK);'],
    ['the payload starts at the header', '(reservation + BPF_RINGBUF_HDR_SZ + at)', '(reservation + at)'],
    [
      'the second mapping refused',
      'offset + bytes.length > 2 * this.#ring.size',
      'offset + bytes.length > this.#ring.size',
    ],
    ['what passes the end of the ring is lost', 'bytes.set(source.subarray(untilEnd), DATA_OFFSET);', ''],
  ]),
];

const CARRY = 'if (wrapped(before, after)) words[index + 1] = (words[index + 1]! + 1) | 0;';
const positions = [
  ...mutations('positions', 'position.ts', [
    ['the high half not carried', CARRY, ''],
    [
      'the high half carried at 2^31',
      CARRY,
      'if (after < before) words[index + 1] = (words[index + 1]! + 1) | 0;',
    ],
    ['high halves compared signed', 'highA > highB :', '(highA | 0) > (highB | 0) :'],
    ['low halves compared signed', 'unsigned(words[a]!) > unsigned(words[b]!)', 'words[a]! > words[b]!'],
    ['high halves not compared', 'return highA !== highB ? highA > highB :', 'return'],
    ['a distance without borrow', 'const borrow = lowA < lowB ? 1 : 0;', 'const borrow = 0;'],
    ['a distance of low halves', 'return high * 2 ** 32 +', 'return'],
  ]),
  ...mutations('positions', 'layout.ts', [
    ['rounded down', '(length + BPF_RINGBUF_HDR_SZ + 7) & ~7', '(length + BPF_RINGBUF_HDR_SZ) & ~7'],
    [
      'rounded up once too often',
      '(length + BPF_RINGBUF_HDR_SZ + 7) & ~7',
      '(length + BPF_RINGBUF_HDR_SZ + 8) & ~7',
    ],
    ['rounded up to 4', '(length + BPF_RINGBUF_HDR_SZ + 7) & ~7', '(length + BPF_RINGBUF_HDR_SZ + 3) & ~3'],
    ['131071 turns', 'BPF_MAX_USER_RINGBUF_SAMPLES = 131072', 'BPF_MAX_USER_RINGBUF_SAMPLES = 131071'],
    ['131073 turns', 'BPF_MAX_USER_RINGBUF_SAMPLES = 131072', 'BPF_MAX_USER_RINGBUF_SAMPLES = 131073'],
    [
      'BUSY and DISCARD swapped',
      'BUSY_MASK = 1 << 31;\nexport const DISCARD_MASK = 1 << 30;',
      'BUSY_MASK = 1 << 30;\nexport const DISCARD_MASK = 1 << 31;',
    ],
  ]),
  ...mutations('positions', 'user-ring.ts', [
    ['a full ring is writable', 'return this.#taken < this.size;', 'return this.#taken <= this.size;'],
    ['poll in 32 bits', 'return this.#taken < this.size;', 'return this.#taken % 2 ** 32 < this.size;'],
    ['poll wants 8 free bytes', 'return this.#taken < this.size;', 'return this.#taken < this.size - 8;'],
    [
      'behind the consumer is writable',
      'return this.#taken < this.size;',
      'return this.#taken < this.size || this.#taken >= 2 ** 63;',
    ],
  ]),
  ...mutations('positions', 'dynptr.ts', [
    [
      'a sample that wraps is cut',
      'DATA_BYTE + length - untilEnd), targetOffset + untilEnd);',
      'DATA_BYTE), targetOffset);',
    ],
  ]),
];

const create = [
  ...mutations('create', 'user-ring.ts', [
    ['a key size let through', 'keySize !== 0 || valueSize !== 0', 'valueSize !== 0'],
    ['a value size let through', 'keySize !== 0 || valueSize !== 0', 'keySize !== 0'],
    [
      'map flags let through',
      'if (mapFlags !== 0 && mapFlags !== BPF_F_NUMA_NODE) return -Errno.EINVAL;',
      '',
    ],
    ['BPF_F_NUMA_NODE refused', 'mapFlags !== 0 && mapFlags !== BPF_F_NUMA_NODE', 'mapFlags !== 0'],
    ['a size of half a page let through', 'maxEntries % RINGBUF_PAGE_SIZE !== 0 || ', ''],
    ['any number of pages let through', ' || !Number.isInteger(Math.log2(maxEntries))', ''],
    ['the largest ring is one too large', 'maxEntries > MAX_RING_SIZE', 'maxEntries >= MAX_RING_SIZE'],
    [
      'no ring at all',
      'maxEntries <= 0) return -Errno.EINVAL;',
      'maxEntries < 0) return -Errno.EINVAL;\n  if (maxEntries === 0) return 0;',
    ],
  ]),
];

/** Every mutation. Each breaks one rule that the committed traces must notice. */
export const MUTATIONS: readonly Mutation[] = [
  ...peek,
  ...drain,
  ...wakeup,
  ...reserve,
  ...positions,
  ...create,
];
