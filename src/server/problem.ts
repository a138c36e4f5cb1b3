import type { RingbufdError } from './errors.js';

/** An error as REST shows it: RFC 9457 problem details with the project's own members. */
export interface Problem {
  type: string;
  status: number;
  title: string;
  detail: string;
  code: string;
  errno: string;
  advice: string;
  retryable: boolean;
  /** 0: no advice on when. */
  retry_after_ms: number;
}

export function problemOf(error: RingbufdError): Problem {
  return {
    type: 'about:blank',
    status: error.status,
    title: error.title,
    detail: error.detail,
    code: error.code,
    errno: error.errno,
    advice: error.advice,
    retryable: error.retryable,
    retry_after_ms: error.retryAfterMs,
  };
}
