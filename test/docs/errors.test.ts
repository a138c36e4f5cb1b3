import { statusOfErrno } from '../../src/server/errno-status.js';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/ring/index.js';
import { errorReference } from '../../src/server/error-reference.js';
import { catalogue, errorCode, RingbufdError, type ErrorKey } from '../../src/server/errors.js';
import { CloseCode } from '../../src/wire/index.js';
import { committed, root } from './committed.js';

const keys = Object.keys(catalogue) as ErrorKey[];

/** The source files, without the catalogue itself. */
function sources(): string[] {
  const src = fileURLToPath(root('src'));
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/server\/(errors\.ts|error-catalogue\/)/.test(path))
    .map((path) => readFileSync(join(src, path), 'utf8'));
}

describe('docs/ERRORS.md', () => {
  it('is what the catalogue says (UPDATE_DOCS=1 writes it)', () => {
    expect(committed('docs/ERRORS.md', errorReference())).toBe(errorReference());
  });

  it('is formatted as the formatter wants it', async () => {
    const options = await resolveConfig(root('docs/ERRORS.md'));
    expect(await format(errorReference(), { ...options, parser: 'markdown' })).toBe(errorReference());
  });

  it('documents every code, and none that is not there', () => {
    const documented = [...committed('docs/ERRORS.md', errorReference()).matchAll(/RINGBUFD_ERR_[A-Z_]+/g)];
    expect(documented.map(([code]) => code)).toEqual(keys.map(errorCode));
  });

  it('documents every close code, and none that is not there', () => {
    const text = committed('docs/ERRORS.md', errorReference());
    const rows = [...text.matchAll(/^\| (4\d\d\d) +\| ([A-Z_]+) /gm)].map(([, code, name]) => [
      name,
      Number(code),
    ]);
    expect(rows).toEqual(Object.entries(CloseCode));
  });
});

describe('the catalogue', () => {
  it.each(keys)('%s: its code is its key, and every text is there', (key) => {
    const error = new RingbufdError(key);
    expect(error.code).toBe(`RINGBUFD_ERR_${key}`);
    expect(error.errnoNumber).toBe(Errno[error.errno]);
    expect(error.title).toMatch(/^[^A-Z].*[^.]$/);
    expect(error.advice).toMatch(/^["A-Z].*[.:"]$/s);
  });

  it('is used: each key occurs in the source', () => {
    const text = sources().join('\n');
    const unused = keys.filter((key) => !text.includes(`'${key}'`) && !text.includes(`catalogue.${key}`));
    expect(unused).toEqual([]);
  });

  it('gives each errno the HTTP status of the contract', () => {
    expect(statusOfErrno).toEqual({
      EINVAL: 400,
      EPROTO: 400,
      EPERM: 403,
      ENOENT: 404,
      ENODATA: 404,
      EBUSY: 409,
      EEXIST: 409,
      ESTALE: 410,
      E2BIG: 413,
      ENOSPC: 429,
      EAGAIN: 429,
      EIO: 500,
      ETIMEDOUT: 504,
      ENOMEM: 507,
    });
  });

  it('parts from it only where the contract or HTTP has a status of its own', () => {
    const special = keys.filter((key) => catalogue[key].status !== undefined);
    expect(Object.fromEntries(special.map((key) => [key, new RingbufdError(key).status]))).toEqual({
      ANSWERS_UNREAD: 503,
      METHOD_NOT_ALLOWED: 405,
      JOURNAL_SPACE: 507,
      UPGRADE_REQUIRED: 426,
      HEADERS_TOO_BIG: 431,
      REQUEST_TIMEOUT: 408,
      EXPECTATION: 417,
      MEDIA_TYPE: 415,
      HANDLER_ASKED_TO_WAIT: 503,
      HANDLER_DISABLED: 409,
      DRAIN_BAD_RECORD: 422,
      DRAIN_RECORD_TOO_BIG: 422,
      HANDLER_VERDICT: 422,
      HANDLER_SAMPLE_TOO_BIG: 422,
      NOBODY_ATTACHED: 503,
      NO_DEAD_LETTER: 422,
      REPLAY_CYCLE: 422,
      LIMIT_CONNECTIONS: 429,
      RATE_LIMITED: 429,
      OVERLOADED: 503,
      SHUTTING_DOWN: 503,
      MAPS_READ_ONLY: 503,
      UNAUTHENTICATED: 401,
    });
  });
});
