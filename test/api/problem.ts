import { expect } from 'vitest';
import { statusOfErrno } from '../../src/server/errno-status.js';
import { catalogue, type ErrorKey } from '../../src/server/errors.js';
import type { RestAnswer } from '../support/rest.js';

/** What a refusal must say, written down by hand where a test wants to be independent of the catalogue. */
interface Expected {
  status?: number;
  detail?: string | RegExp;
  /** Milliseconds; the Retry-After header is held against it. 0: neither is there. */
  retryAfterMs?: number;
  /** Members beside those of the problem. */
  extra?: Record<string, unknown>;
}

/** Asserts that an answer is this refusal, with every member of the problem in its right form. */
export function expectProblem(answer: RestAnswer, key: ErrorKey, expected: Expected = {}): void {
  const { errno, title, advice, retryable = false, ...entry } = catalogue[key];
  const status = expected.status ?? entry.status ?? statusOfErrno[errno];
  const detail = expected.detail ?? /./;
  const retryAfterMs = expected.retryAfterMs ?? (retryable ? 1000 : 0);
  expect({ ...answer.body, http: answer.status }).toEqual({
    type: 'about:blank',
    status,
    title,
    detail: typeof detail === 'string' ? detail : (expect.stringMatching(detail) as string),
    code: `RINGBUFD_ERR_${key}`,
    errno,
    advice,
    retryable,
    retry_after_ms: retryAfterMs,
    ...expected.extra,
    http: status,
  });
  expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(answer.headers['retry-after']).toBe(
    retryAfterMs === 0 ? undefined : String(Math.ceil(retryAfterMs / 1000)),
  );
}
