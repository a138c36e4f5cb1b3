import type { AmountAnswer, LedgerAnswer, LineAnswer } from '../verify/ledger-answer.js';
import { formatCount } from './measures.js';

/** What the load tester claims of one line of the ledger: samples, over the whole run. */
export interface Claim {
  /** The producer id; null: what came over REST. */
  readonly producer: string | null;
  readonly acknowledged: number;
  /** Of these, by RESERVE and SUBMIT. */
  readonly reserved: number;
  /** May be stored or not. */
  readonly uncertain: number;
}

export interface Check {
  readonly what: string;
  readonly isTrue: boolean;
  /** Both sides in figures. */
  readonly figures: string;
}

/** Whether everything that was acknowledged was drained, and nothing else was. */
export interface Proof {
  readonly isProven: boolean;
  readonly checks: readonly Check[];
}

/**
 * Compares what the tester was told (acknowledgements) with the ledger of the map before and after, line by line. The
 * two were counted on different sides of the network: that is what makes it a proof.
 */
export function prove(
  claims: readonly Claim[],
  before: LedgerAnswer,
  after: LedgerAnswer | undefined,
): Proof {
  if (after === undefined)
    return proofOf([
      {
        what: 'the daemon still shows the map',
        isTrue: false,
        figures: 'no such map, or no answer, at the end of the run',
      },
    ]);
  const restarted = wasRestarted(before, after);
  const lines = claims.map((claim) => claimedLine(claim, before, after, restarted));
  return proofOf([
    contentCheck(before, after),
    booksCheck(after),
    somethingCheck(claims),
    acceptedCheck(lines, restarted),
    drainedCheck(lines, restarted, claims, before, after),
  ]);
}

/** Samples of the run that are still in the ring, as far as the ledger can tell them from those of others. */
export function bufferedOf(claims: readonly Claim[], ledger: LedgerAnswer): number {
  return sum(linesOf(claims, ledger), ({ buffered }) => buffered.samples);
}

/** The claimed lines, and those that may hold samples of the run without saying so. */
function linesOf(claims: readonly Claim[], ledger: LedgerAnswer): LineAnswer[] {
  const claimed = claims.map(({ producer }) => lineOf(ledger, producer));
  const others = ledger.producers.filter(
    ({ source }) => source === 'before_restart' || source === 'unattributed',
  );
  return [...claimed, ...others].filter((line) => line !== undefined);
}

/** What was accepted by the daemon's process before becomes a line of its own. */
function wasRestarted(before: LedgerAnswer, after: LedgerAnswer): boolean {
  const earlier = ({ producers }: LedgerAnswer): number =>
    producers.find(({ source }) => source === 'before_restart')?.accepted.samples ?? 0;
  return earlier(before) !== earlier(after);
}

function contentCheck(before: LedgerAnswer, after: LedgerAnswer): Check {
  const isTrue = before.incarnation === after.incarnation;
  return {
    what: 'the content of the map was kept',
    isTrue,
    figures: isTrue
      ? `incarnation ${after.incarnation}`
      : `incarnation ${before.incarnation} became ${after.incarnation}`,
  };
}

function booksCheck(ledger: LedgerAnswer): Check {
  const wrong = ledger.checks.filter(({ holds }) => !holds);
  return {
    what: 'the books of the daemon balance',
    isTrue: ledger.holds,
    figures: [
      `${formatCount(ledger.accepted.samples)} accepted = ${terms.map((term) => `${formatCount(ledger[term].samples)} ${term.replace('_', '-')}`).join(' + ')}`,
      ...wrong.map(({ check, detail }) => `${check}: ${detail ?? 'does not hold'}`),
    ].join('; '),
  };
}

/** Two books without an entry are equal as well: that proves nothing. */
function somethingCheck(claims: readonly Claim[]): Check {
  const acknowledged = sum(claims, (claim) => claim.acknowledged);
  return {
    what: 'something was acknowledged',
    isTrue: acknowledged > 0,
    figures: `${formatCount(acknowledged)} samples`,
  };
}

const terms = ['drained', 'discarded', 'dead_lettered', 'quarantined', 'buffered'] as const;

function acceptedCheck(lines: readonly ClaimedLine[], restarted: boolean): Check {
  const wrong = lines.filter(({ isAcceptedAsClaimed }) => !isAcceptedAsClaimed);
  const reserved = restarted ? sum(lines, ({ claim }) => claim.reserved) : 0;
  return {
    what: 'acknowledged = accepted, producer by producer',
    isTrue: wrong.length === 0,
    figures: [
      `${claimText(lines.map(({ claim }) => claim))}, ${formatCount(sum(lines, ({ accepted }) => accepted))} accepted`,
      ...(reserved > 0
        ? [`over a restart the ${formatCount(reserved)} reserved ones are not told apart`]
        : []),
      ...wrong
        .slice(0, SHOWN_LINES)
        .map(
          ({ name, claim, accepted }) => `${name}: ${claimText([claim])}, ${formatCount(accepted)} accepted`,
        ),
    ].join('; '),
  };
}

const SHOWN_LINES = 3;

/** After a restart lines count anew: then it is enough that nothing of what was accepted is anywhere else. */
function drainedCheck(
  lines: readonly ClaimedLine[],
  restarted: boolean,
  claims: readonly Claim[],
  before: LedgerAnswer,
  after: LedgerAnswer,
): Check {
  const astray = (ledger: LedgerAnswer): number =>
    sum(linesOf(claims, ledger), (line) => line.dead_lettered.samples + line.quarantined.samples);
  const buffered = bufferedOf(claims, after);
  const elsewhere = astray(after) - astray(before);
  const asClaimed = restarted || lines.every(({ isDrainedAsClaimed }) => isDrainedAsClaimed);
  return {
    what: 'accepted = drained',
    isTrue: buffered === 0 && elsewhere === 0 && asClaimed,
    figures:
      `${formatCount(sum(lines, ({ drained }) => drained))} drained${restarted ? ' since the daemon was restarted' : ''}, ` +
      `${formatCount(buffered)} left in the ring, ${formatCount(elsewhere)} dead-lettered or quarantined`,
  };
}

/** One line of the ledger beside what is claimed of it. */
interface ClaimedLine {
  readonly claim: Claim;
  readonly name: string;
  /** Without what was reserved and discarded. */
  readonly accepted: number;
  readonly isAcceptedAsClaimed: boolean;
  readonly drained: number;
  readonly isDrainedAsClaimed: boolean;
}

function claimedLine(
  claim: Claim,
  before: LedgerAnswer,
  after: LedgerAnswer,
  restarted: boolean,
): ClaimedLine {
  const line = lineOf(after, claim.producer);
  const earlier = lineOf(before, claim.producer);
  const since = (of: (line: LineAnswer) => AmountAnswer): number =>
    (line === undefined ? 0 : of(line).samples) - (earlier === undefined ? 0 : of(earlier).samples);
  const stored = since(({ accepted }) => accepted) - since(({ discarded }) => discarded);
  const drained = since((one) => one.drained);
  // What was lost count of was drained under another name, discards among it.
  const unattributed = since((one) => one.unattributed);
  const isBetween = (value: number, least: number, slack: number): boolean =>
    value >= least && value <= least + claim.uncertain + slack;
  const outputs = claim.acknowledged - claim.reserved;
  const ever = line?.accepted_ever?.samples ?? stored;
  return {
    claim,
    name: claim.producer === null ? 'REST' : `producer ${claim.producer}`,
    accepted: restarted ? ever : stored,
    isAcceptedAsClaimed: restarted
      ? isBetween(ever, outputs, 0)
      : isBetween(stored, claim.acknowledged, claim.reserved > 0 ? unattributed : 0),
    drained: drained + unattributed,
    isDrainedAsClaimed: isBetween(drained + unattributed, claim.acknowledged, unattributed),
  };
}

function lineOf(ledger: LedgerAnswer, producer: string | null): LineAnswer | undefined {
  return ledger.producers.find((line) =>
    producer === null ? line.source === 'rest' : line.producer === producer,
  );
}

function claimText(claims: readonly Claim[]): string {
  const uncertain = sum(claims, (claim) => claim.uncertain);
  const more = uncertain === 0 ? '' : ` (and ${formatCount(uncertain)} of unknown outcome)`;
  return `${formatCount(sum(claims, ({ acknowledged }) => acknowledged))}${more} acknowledged`;
}

function sum<Item>(items: readonly Item[], value: (item: Item) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

function proofOf(checks: readonly Check[]): Proof {
  return { isProven: checks.every(({ isTrue }) => isTrue), checks };
}
