import { describe, expect, it } from 'vitest';
import { bufferedOf, prove, type Claim, type Proof } from '../../../src/cli/load/proof.js';
import type { EquationAnswer, LedgerAnswer, LineAnswer } from '../../../src/cli/verify/ledger-answer.js';

type Term = keyof EquationAnswer | 'unattributed';
type Amounts = Partial<Record<Term, number>> & { ever?: number };

const amount = (samples = 0) => ({ samples, bytes: samples * 72 });

function line(source: string, producer: string | null, amounts: Amounts): LineAnswer {
  return {
    source,
    producer,
    accepted: amount(amounts.accepted),
    drained: amount(amounts.drained),
    discarded: amount(amounts.discarded),
    dead_lettered: amount(amounts.dead_lettered),
    quarantined: amount(amounts.quarantined),
    buffered: amount(amounts.buffered),
    unattributed: amount(amounts.unattributed),
    holds: true,
    accepted_ever: producer === null ? null : amount(amounts.ever ?? amounts.accepted),
    hash: null,
  };
}

function ledger(producers: LineAnswer[], more: Partial<LedgerAnswer> = {}): LedgerAnswer {
  const total = (term: keyof EquationAnswer) =>
    amount(producers.reduce((sum, one) => sum + one[term].samples, 0));
  return {
    map: 'm',
    incarnation: 'a',
    durability: 'memory',
    ledger: 'count',
    holds: true,
    counted: true,
    checks: [],
    accepted: total('accepted'),
    drained: total('drained'),
    discarded: total('discarded'),
    dead_lettered: total('dead_lettered'),
    quarantined: total('quarantined'),
    buffered: total('buffered'),
    producers,
    ...more,
  };
}

const claim = (acknowledged: number, more: Partial<Claim> = {}): Claim => ({
  producer: 'p',
  acknowledged,
  reserved: 0,
  uncertain: 0,
  ...more,
});

const nothing = ledger([]);
const failures = ({ checks }: Proof): string[] =>
  checks.flatMap(({ what, isTrue }) => (isTrue ? [] : [what]));
const ofOne = (amounts: Amounts, more: Partial<Claim> = {}): Proof =>
  prove([claim(10, more)], nothing, ledger([line('producer', 'p', amounts)]));

describe('PROVEN', () => {
  it('when what was acknowledged is what was accepted and drained', () => {
    expect(failures(ofOne({ accepted: 10, drained: 10 }))).toEqual([]);
  });

  it('whatever others do with the map meanwhile', () => {
    const after = ledger([
      line('producer', 'p', { accepted: 10, drained: 10 }),
      line('producer', 'q', { accepted: 7, drained: 3, buffered: 4 }),
      line('rest', null, { accepted: 5, drained: 5 }),
    ]);
    expect(failures(prove([claim(10)], nothing, after))).toEqual([]);
    expect(bufferedOf([claim(10)], after)).toBe(0);
  });

  it.each([10, 11, 12])(
    'when 10 were acknowledged, 2 are of unknown outcome, and %i were drained',
    (drained) => {
      expect(failures(ofOne({ accepted: drained, drained }, { uncertain: 2 }))).toEqual([]);
    },
  );

  it('when reservations were discarded besides', () => {
    expect(failures(ofOne({ accepted: 13, drained: 10, discarded: 3 }, { reserved: 5 }))).toEqual([]);
  });

  it('when samples were drained under another name, because the ledger lost count of whose they were', () => {
    const after = ledger([
      line('producer', 'p', { accepted: 10, drained: 6, unattributed: 4 }),
      line('unattributed', null, { accepted: 4, drained: 4 }),
    ]);
    expect(failures(prove([claim(10)], nothing, after))).toEqual([]);
  });

  it('over REST, by what came since the run began', () => {
    const rest = claim(10, { producer: null, uncertain: 2 });
    const before = ledger([line('rest', null, { accepted: 5, drained: 5 })]);
    const after = (samples: number) => ledger([line('rest', null, { accepted: samples, drained: samples })]);
    expect(failures(prove([rest], before, after(16)))).toEqual([]);
    expect(failures(prove([rest], before, after(14)))).not.toEqual([]);
    expect(failures(prove([rest], before, after(18)))).not.toEqual([]);
  });

  it('over a restart of the daemon, by what the producers had accepted ever', () => {
    const after = (ever: number, earlier: Amounts = {}) =>
      ledger([
        line('producer', 'p', { accepted: 4, drained: 4, ever }),
        line('before_restart', null, { accepted: 6, drained: 6, ...earlier }),
      ]);
    expect(failures(prove([claim(10)], nothing, after(10)))).toEqual([]);
    expect(failures(prove([claim(10)], nothing, after(9)))).toEqual([
      'acknowledged = accepted, producer by producer',
    ]);
    expect(failures(prove([claim(10)], nothing, after(11)))).toEqual([
      'acknowledged = accepted, producer by producer',
    ]);
    const quarantined = after(10, { drained: 5, quarantined: 1 });
    expect(failures(prove([claim(10)], nothing, quarantined))).toEqual(['accepted = drained']);
    // What was reserved is in no line of its own after a restart.
    const withReserved = prove([claim(12, { reserved: 2 })], nothing, after(10));
    expect(failures(withReserved)).toEqual([]);
    expect(withReserved.checks.map(({ figures }) => figures).join()).toMatch(
      /2 reserved ones are not told apart/,
    );
  });
});

describe('NOT PROVEN', () => {
  const accepted = 'acknowledged = accepted, producer by producer';
  const drained = 'accepted = drained';

  it.each([
    ['a sample is missing', { accepted: 9, drained: 9 }, [accepted, drained]],
    ['there is one too many', { accepted: 11, drained: 11 }, [accepted, drained]],
    ['something is left in the ring', { accepted: 10, drained: 9, buffered: 1 }, [drained]],
    ['something is dead-lettered', { accepted: 10, drained: 9, dead_lettered: 1 }, [drained]],
    ['an acknowledged sample was discarded', { accepted: 10, drained: 9, discarded: 1 }, [accepted, drained]],
  ] as const)('when %s', (_what, amounts, expected) => {
    expect(failures(ofOne(amounts))).toEqual(expected);
  });

  it('when what one producer lacks another one has too many of', () => {
    const claims = [claim(10), claim(10, { producer: 'q' })];
    const after = ledger([
      line('producer', 'p', { accepted: 9, drained: 9 }),
      line('producer', 'q', { accepted: 11, drained: 11 }),
    ]);
    const proof = prove(claims, nothing, after);
    expect(failures(proof)).toEqual([accepted, drained]);
    expect(proof.checks[3]?.figures).toMatch(/producer p: 10 acknowledged, 9 accepted; producer q: /);
  });

  it('when the ledger has no line for the producer', () => {
    expect(failures(prove([claim(1)], nothing, nothing))).toEqual([accepted, drained]);
  });

  it('when the books of the daemon do not balance', () => {
    const wrong = ledger([line('producer', 'p', { accepted: 10, drained: 10 })], {
      holds: false,
      checks: [{ check: 'sums', holds: false, detail: '1 is not 2' }],
    });
    const proof = prove([claim(10)], nothing, wrong);
    expect(failures(proof)).toEqual(['the books of the daemon balance']);
    expect(proof.checks[1]?.figures).toMatch(/; sums: 1 is not 2$/);
  });

  it('when the content was lost', () => {
    const after = ledger([line('producer', 'p', { accepted: 10, drained: 10 })], { incarnation: 'b' });
    expect(failures(prove([claim(10)], nothing, after))).toEqual(['the content of the map was kept']);
  });

  it('when the daemon is away', () => {
    expect(prove([], nothing, undefined).isProven).toBe(false);
  });
});
