import { describe, expect, it } from 'vitest';
import type { MapView } from '../../../src/cli/load/daemon-rest.js';
import { prove, type Claim, type Proof } from '../../../src/cli/load/proof.js';

interface Books {
  accepted: number;
  drained: number;
  discarded?: number;
  buffered?: number;
  incarnation?: string;
  /** Bytes beyond the records that were accepted: what a restarted daemon no longer counts. */
  earlierBytes?: number;
}

const RECORD = 72;

function view({
  accepted,
  drained,
  discarded = 0,
  buffered = 0,
  incarnation = 'a',
  earlierBytes = 0,
}: Books): MapView {
  const producerPos = accepted * RECORD + earlierBytes;
  return {
    max_entries: 65536,
    mode: 'managed',
    durability: 'memory',
    incarnation,
    producer_pos: String(producerPos),
    consumer_pos: String(producerPos - buffered * RECORD),
    fill: 0,
    producers: 0,
    handlers: [],
    counters: {
      accepted_samples: accepted,
      accepted_bytes: accepted * RECORD,
      drained_samples: drained,
      discarded_samples: discarded,
      buffered_samples: buffered,
      refused: {},
    },
  };
}

const claim = (acknowledged: number, more: Partial<Claim> = {}): Claim => ({
  acknowledged,
  uncertain: 0,
  recordBytes: RECORD,
  reserved: false,
  ...more,
});

const failures = ({ checks }: Proof): string[] =>
  checks.flatMap(({ what, isTrue }) => (isTrue ? [] : [what]));

describe('PROVEN', () => {
  it('when what was acknowledged is what was drained', () => {
    expect(
      prove(claim(10), view({ accepted: 5, drained: 5 }), view({ accepted: 15, drained: 15 })).isProven,
    ).toBe(true);
  });

  it.each([10, 11, 12])(
    'when 10 were acknowledged, 2 are of unknown outcome, and %i were drained',
    (drained) => {
      const after = view({ accepted: drained, drained });
      expect(prove(claim(10, { uncertain: 2 }), view({ accepted: 0, drained: 0 }), after).isProven).toBe(
        true,
      );
    },
  );

  it('when reservations were discarded besides', () => {
    const after = view({ accepted: 13, drained: 10, discarded: 3 });
    expect(prove(claim(10, { reserved: true }), view({ accepted: 0, drained: 0 }), after).isProven).toBe(
      true,
    );
  });

  it('by the positions, when the daemon was restarted and counts anew', () => {
    const before = view({ accepted: 100, drained: 100 });
    const after = view({ accepted: 4, drained: 4, earlierBytes: 106 * RECORD });
    expect(prove(claim(10), before, after).isProven).toBe(true);
    expect(failures(prove(claim(11), before, after))).toEqual([expect.stringMatching(/in bytes/)]);
    expect(failures(prove(claim(9), before, after))).toEqual([expect.stringMatching(/in bytes/)]);
    expect(prove(claim(9, { uncertain: 1 }), before, after).isProven).toBe(true);
  });
});

describe('NOT PROVEN', () => {
  it.each([
    ['a sample is missing', { accepted: 9, drained: 9 }, ['acknowledged = drained']],
    ['there is one too many', { accepted: 11, drained: 11 }, ['acknowledged = drained']],
    ['one more than could be', { accepted: 13, drained: 13 }, ['acknowledged = drained']],
    [
      'something is left in the ring',
      { accepted: 10, drained: 9, buffered: 1 },
      ['everything in the ring was drained', 'acknowledged = drained'],
    ],
    [
      'the books of the daemon do not balance',
      { accepted: 11, drained: 10 },
      ['accepted = drained + discarded + buffered'],
    ],
    [
      'the content was lost',
      { accepted: 10, drained: 10, incarnation: 'b' },
      ['the content of the map was kept'],
    ],
  ] as const)('when %s', (_what, books, expected) => {
    const proof = prove(claim(10), view({ accepted: 0, drained: 0 }), view(books));
    expect(proof.isProven).toBe(false);
    expect(failures(proof)).toEqual(expected);
  });

  it('when the daemon is away', () => {
    expect(prove(claim(0), view({ accepted: 0, drained: 0 }), undefined).isProven).toBe(false);
  });
});
