import { RingbufdError } from '../../errors.js';

/** What one rule of the verifier found. */
export interface VerifierLine {
  rule: string;
  ok: boolean;
  detail: string;
}

/** The refusal that a log ends with: its detail names the rule, then shows the log line by line. */
export function refusedBy(log: readonly VerifierLine[]): RingbufdError {
  const broken = log.at(-1)!;
  const lines = log.map(({ rule, ok, detail }) => `${ok ? 'ok  ' : 'FAIL'} ${rule}: ${detail}`);
  return new RingbufdError(
    'HANDLER_CONFIG',
    `the verifier refuses it by rule "${broken.rule}": ${broken.detail}\n${lines.join('\n')}`,
  );
}
