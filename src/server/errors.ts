/**
 * The error catalogue: every refusal that ringbufd can give, with its errno, what it means and what to do about it.
 * REST shows `code`, `errno` and the advice as problem+json; frames carry the errno and the message. docs/ERRORS.md is
 * generated from these tables.
 */
import { Errno, type ErrnoName } from '../ring/index.js';
import { accessErrors } from './error-catalogue/access-errors.js';
import { durabilityErrors } from './error-catalogue/durability-errors.js';
import { handlerErrors } from './error-catalogue/handler-errors.js';
import { journalErrors } from './error-catalogue/journal-errors.js';
import { mapErrors } from './error-catalogue/map-errors.js';
import { producerErrors } from './error-catalogue/producer-errors.js';
import { requestErrors } from './error-catalogue/request-errors.js';
import { statusOfErrno } from './errno-status.js';

export const catalogue = {
  ...requestErrors,
  ...mapErrors,
  ...durabilityErrors,
  ...handlerErrors,
  ...producerErrors,
  ...accessErrors,
  ...journalErrors,
};
// Retired codes, never to be used again: none yet.

export type ErrorKey = keyof typeof catalogue;

/** The stable code of a catalogue entry, as users see it. */
export function errorCode(key: ErrorKey): string {
  return `RINGBUFD_ERR_${key}`;
}

/** A refusal. `detail` says what was wrong with this very request. */
export class RingbufdError extends Error {
  readonly key: ErrorKey;
  readonly detail: string;
  /** 0: no advice on when. */
  readonly retryAfterMs: number;

  constructor(key: ErrorKey, detail?: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    // A refusal is an answer, given by the thousand when a ring is full; to walk the stack for each takes 12 µs.
    const { stackTraceLimit } = Error;
    if (key !== 'INTERNAL') Error.stackTraceLimit = 0;
    super(detail ?? catalogue[key].title, options.cause === undefined ? undefined : { cause: options.cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'RingbufdError';
    this.key = key;
    this.detail = detail ?? catalogue[key].title;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }

  get code(): string {
    return errorCode(this.key);
  }

  get errno(): ErrnoName {
    return catalogue[this.key].errno;
  }

  /** The positive number of the errno. */
  get errnoNumber(): number {
    return Errno[this.errno];
  }

  get status(): number {
    return catalogue[this.key].status ?? statusOfErrno[this.errno];
  }

  get retryable(): boolean {
    return catalogue[this.key].retryable ?? false;
  }

  get title(): string {
    return catalogue[this.key].title;
  }

  get advice(): string {
    return catalogue[this.key].advice;
  }
}
