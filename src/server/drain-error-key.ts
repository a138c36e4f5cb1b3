import { outcomeErrno } from './drain-runner.js';
import { RingbufdError, type ErrorKey } from './errors.js';

/**
 * Names the failure of a drain, for whoever asked for it.
 * @param result its number is 0 when it was refused before it began
 */
export function drainErrorKey(result: { ret: number; number: number; error: unknown }): ErrorKey | undefined {
  if (result.error instanceof RingbufdError && isJournalKey(result.error.key)) return result.error.key;
  switch (outcomeErrno(result)) {
    case undefined:
      return undefined;
    case 'EIO':
      return result.number === 0 ? 'JOURNAL_FAILED' : 'HANDLER_FAILED';
    case 'EBUSY':
      return 'DRAIN_BUSY';
    case 'E2BIG':
      return result.error === undefined ? 'DRAIN_RECORD_TOO_BIG' : 'HANDLER_SAMPLE_TOO_BIG';
    case 'ETIMEDOUT':
      return 'HANDLER_TIMEOUT';
    case 'EINVAL':
      if (result.number === 0) return 'BAD_FLAGS';
      return result.error === undefined ? 'DRAIN_BAD_RECORD' : 'HANDLER_VERDICT';
    case 'ENOSPC':
      return result.number === 0 ? 'JOURNAL_FULL' : 'HANDLER_NO_SPACE';
    case 'EAGAIN':
      return isAskedToWait(result.error) ? 'HANDLER_ASKED_TO_WAIT' : 'NOBODY_ATTACHED';
    default:
      return 'HANDLER_FAILED';
  }
}

function isAskedToWait(error: unknown): boolean {
  return error instanceof RingbufdError && error.key === 'HANDLER_ASKED_TO_WAIT';
}

/** What a checkpoint failed with says it all. */
function isJournalKey(key: ErrorKey): boolean {
  return key === 'JOURNAL_FULL' || key === 'JOURNAL_FAILED';
}
