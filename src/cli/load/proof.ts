import type { MapView } from './daemon-rest.js';
import { formatCount } from './measures.js';

/** What the load tester claims: samples, over the whole run. */
export interface Claim {
  readonly acknowledged: number;
  /** May be stored or not. */
  readonly uncertain: number;
  /** Bytes of one sample as a record. */
  readonly recordBytes: number;
  /** Whether some samples were reserved: a reservation whose connection ended leaves a discarded record behind. */
  readonly reserved: boolean;
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
 * Compares what the tester was told (acknowledgements) with what the daemon says of the map before and after. The two
 * were counted on different sides of the network: that is what makes it a proof.
 */
export function prove(claim: Claim, before: MapView, after: MapView | undefined): Proof {
  if (after === undefined)
    return proofOf([
      {
        what: 'the daemon still shows the map',
        isTrue: false,
        figures: 'no such map, or no answer, at the end of the run',
      },
    ]);
  const checks = [
    check(
      'the content of the map was kept',
      before.incarnation === after.incarnation,
      before.incarnation === after.incarnation
        ? `incarnation ${after.incarnation}`
        : `incarnation ${before.incarnation} became ${after.incarnation}`,
    ),
    check(
      'everything in the ring was drained',
      after.consumer_pos === after.producer_pos,
      `consumer position ${after.consumer_pos}, producer position ${after.producer_pos}`,
    ),
    ...(after.counters.accepted_samples < before.counters.accepted_samples || startedAnew(before, after)
      ? byPositions(claim, before, after)
      : byCounters(claim, before, after)),
  ];
  return proofOf(checks);
}

/** A daemon that was restarted counts from 0 again, though its positions go on. */
function startedAnew(before: MapView, after: MapView): boolean {
  const bytes = BigInt(after.producer_pos) - BigInt(before.producer_pos);
  return bytes !== BigInt(after.counters.accepted_bytes - before.counters.accepted_bytes);
}

function byCounters(claim: Claim, { counters: from }: MapView, { counters: to }: MapView): Check[] {
  const accepted = to.accepted_samples - from.accepted_samples;
  const drained = to.drained_samples - from.drained_samples;
  const discarded = to.discarded_samples - from.discarded_samples;
  const buffered = to.buffered_samples - from.buffered_samples;
  return [
    check(
      'accepted = drained + discarded + buffered',
      accepted === drained + discarded + buffered,
      `${formatCount(accepted)} = ${formatCount(drained)} + ${formatCount(discarded)} + ${formatCount(buffered)}`,
    ),
    check(
      'acknowledged = drained',
      drained >= claim.acknowledged && drained <= claim.acknowledged + claim.uncertain,
      `${claimText(claim)} acknowledged, ${formatCount(drained)} drained`,
    ),
  ];
}

function byPositions(claim: Claim, before: MapView, after: MapView): Check[] {
  const bytes = BigInt(after.producer_pos) - BigInt(before.producer_pos);
  const least = BigInt(claim.acknowledged * claim.recordBytes);
  const most = least + BigInt(claim.uncertain * claim.recordBytes);
  const isTrue = bytes >= least && (claim.reserved || bytes <= most);
  return [
    check(
      'acknowledged = released, in bytes (the daemon was restarted: it counts samples anew)',
      isTrue,
      `${claimText(claim)} acknowledged, ${least} bytes as records; the positions moved by ${bytes} bytes`,
    ),
  ];
}

function claimText({ acknowledged, uncertain }: Claim): string {
  const more = uncertain === 0 ? '' : ` (and ${formatCount(uncertain)} of unknown outcome)`;
  return formatCount(acknowledged) + more;
}

function check(what: string, isTrue: boolean, figures: string): Check {
  return { what, isTrue, figures };
}

function proofOf(checks: readonly Check[]): Proof {
  return { isProven: checks.every(({ isTrue }) => isTrue), checks };
}
