/** What a ledger proves. Pure: an answer and expectations in, sentences out. */
import type { EquationAnswer, LedgerAnswer, LineAnswer } from './ledger-answer.js';

export interface Expectations {
  /** Only this producer's line is looked at beside the map. */
  producer: string | undefined;
  /** Samples accepted: of the producer, over all restarts of the daemon; without one, of the map. */
  accepted: number | undefined;
  /** Hash of what the producer has sent. */
  hash: string | undefined;
  /** Everything accepted has to be drained (or discarded) by now. */
  drained: boolean;
}

/** One sentence, and whether it is so. */
export interface Finding {
  holds: boolean;
  text: string;
}

export interface Verdict {
  proven: boolean;
  findings: Finding[];
}

export function judge(ledger: LedgerAnswer, expected: Expectations): Verdict {
  const findings: Finding[] = [
    { holds: ledger.holds, text: `map ${ledger.map}: ${equationText(ledger)}` },
    ...ledger.checks
      .filter(({ holds }) => !holds)
      .map(({ check, detail }) => ({ holds: false, text: `${check}: ${detail ?? 'does not hold'}` })),
  ];
  const lines = ledger.producers;
  for (const line of lines)
    findings.push({ holds: line.holds, text: `${nameOf(line)}: ${equationText(line)}` });
  if (expected.producer !== undefined && lines.length === 0)
    findings.push({ holds: false, text: `the ledger has no line for producer ${expected.producer}` });
  if (expected.drained) findings.push(drainedFinding(expected.producer === undefined ? [ledger] : lines));
  if (expected.accepted !== undefined) findings.push(acceptedFinding(ledger, expected));
  if (expected.hash !== undefined) findings.push(hashFinding(lines[0], expected.hash));
  findings.push(...lines.flatMap(hashesFinding));
  return { proven: findings.every(({ holds }) => holds), findings };
}

/** For people: the equation with its numbers, samples first and bytes of records in brackets. */
function equationText(equation: EquationAnswer & { unattributed?: LineAnswer['unattributed'] }): string {
  const { accepted, unattributed } = equation;
  const terms = (['drained', 'discarded', 'dead_lettered', 'quarantined', 'buffered'] as const).map(
    (term) => ({ name: term.replace('_', '-'), ...equation[term] }),
  );
  if (unattributed !== undefined && unattributed.samples > 0)
    terms.push({ name: 'unattributed', ...unattributed });
  const right = terms.map(({ name, samples }) => `${samples} ${name}`).join(' + ');
  const bytes = terms.map((term) => term.bytes).join(' + ');
  return `${accepted.samples} accepted = ${right} (bytes: ${accepted.bytes} = ${bytes})`;
}

function drainedFinding(parts: EquationAnswer[]): Finding {
  const left = (of: (part: EquationAnswer) => number): number =>
    parts.reduce((sum, part) => sum + of(part), 0);
  const buffered = left((part) => part.buffered.samples);
  const astray = left((part) => part.dead_lettered.samples + part.quarantined.samples);
  return {
    holds: parts.length > 0 && buffered === 0 && astray === 0,
    text: `everything accepted is drained: ${buffered} still buffered, ${astray} dead-lettered or quarantined`,
  };
}

function acceptedFinding(ledger: LedgerAnswer, { producer, accepted = 0 }: Expectations): Finding {
  const line = ledger.producers[0];
  const found =
    producer === undefined
      ? ledger.accepted.samples
      : (line?.accepted_ever?.samples ?? line?.accepted.samples ?? 0);
  return { holds: found === accepted, text: `${accepted} samples expected, ${found} accepted` };
}

function hashFinding(line: LineAnswer | undefined, expected: string): Finding {
  const found = line?.hash?.accepted;
  if (found === undefined)
    return { holds: false, text: 'a hash is expected, and the map keeps none ("ledger":"hash")' };
  return { holds: found === expected.toLowerCase(), text: `hash ${expected} expected, ${found} accepted` };
}

/** What was accepted and what was drained, where both are the whole: nothing in the ring, nothing on another way. */
function hashesFinding(line: LineAnswer): Finding[] {
  const { hash } = line;
  const astray = line.buffered.samples + line.dead_lettered.samples + line.quarantined.samples;
  if (hash === null || !hash.complete || astray > 0) return [];
  return [
    {
      holds: hash.accepted === hash.drained,
      text: `${nameOf(line)}: hash of what was accepted ${hash.accepted}, of what was drained ${hash.drained}`,
    },
  ];
}

function nameOf({ source, producer }: LineAnswer): string {
  return producer === null ? source.replace('_', ' ') : `producer ${producer}`;
}
