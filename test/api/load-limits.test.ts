import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { hashToken } from '../../src/server/tokens.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import type { RestAnswer } from '../support/rest.js';
import { until } from '../support/until.js';
import { expectProblem } from './problem.js';

const FORWARDED = { 'x-forwarded-for': '203.0.113.7' };

async function withDaemon(
  overrides: Record<string, unknown>,
  test: (daemon: TestDaemon) => Promise<void>,
): Promise<void> {
  const daemon = await startDaemon(overrides);
  try {
    await test(daemon);
  } finally {
    await daemon.close();
  }
}

function expectRateLimited(answer: RestAnswer): void {
  const seconds = Number(answer.headers['retry-after']);
  expect(seconds).toBeGreaterThan(1);
  expect(seconds).toBeLessThanOrEqual(60);
  const ms = answer.body.retry_after_ms as number;
  expect(Math.ceil(ms / 1000)).toBe(seconds);
  expectProblem(answer, 'RATE_LIMITED', { status: 429, retryAfterMs: ms });
}

describe('limits.max_requests_per_minute', () => {
  it('refuses a forwarded caller with 429 and says when to come back; loopback itself is exempt', async () => {
    await withDaemon({ limits: { max_requests_per_minute: 3 } }, async ({ rest }) => {
      for (let i = 0; i < 20; i++) expect((await rest.call('GET', '/v1/maps')).status).toBe(200);
      for (let i = 0; i < 3; i++)
        expect((await rest.call('GET', '/v1/maps', undefined, FORWARDED)).status).toBe(200);
      expectRateLimited(await rest.call('GET', '/v1/maps', undefined, FORWARDED));
      expect((await rest.call('GET', '/v1/maps')).status).toBe(200);
    });
  });

  it.each(['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'])('counts what came with %s', async (name) => {
    await withDaemon({ limits: { max_requests_per_minute: 1 } }, async ({ rest }) => {
      await rest.call('GET', '/livez', undefined, { [name]: 'x' });
      expectRateLimited(await rest.call('GET', '/livez', undefined, { [name]: 'y' }));
    });
  });

  it('counts each address of its own behind a trusted proxy', async () => {
    await withDaemon({ trust_proxy: true, limits: { max_requests_per_minute: 2 } }, async ({ rest }) => {
      const from = (address: string) =>
        rest.call('GET', '/v1/maps', undefined, { 'x-forwarded-for': address });
      for (let i = 0; i < 2; i++) expect((await from('203.0.113.7')).status).toBe(200);
      expectRateLimited(await from('203.0.113.7'));
      expect((await from('203.0.113.8')).status).toBe(200);
    });
  });

  it('counts guesses of tokens, and paths that are not there', async () => {
    const tokens = [{ name: 't', sha256: hashToken('secret'), scopes: ['admin'] }];
    await withDaemon({ tokens, limits: { max_requests_per_minute: 4 } }, async ({ rest }) => {
      for (let i = 0; i < 2; i++)
        expect((await rest.call('GET', '/v1/maps', undefined, FORWARDED)).status).toBe(401);
      for (let i = 0; i < 2; i++)
        expect((await rest.call('GET', '/nope', undefined, FORWARDED)).status).toBe(404);
      expectRateLimited(await rest.call('GET', '/nope', undefined, FORWARDED));
      const right = { ...FORWARDED, authorization: 'Bearer secret' };
      expectRateLimited(await rest.call('GET', '/v1/maps', undefined, right));
    });
  });

  it('can be switched off', async () => {
    await withDaemon({ limits: { max_requests_per_minute: 0 } }, async ({ rest }) => {
      for (let i = 0; i < 20; i++)
        expect((await rest.call('GET', '/v1/maps', undefined, FORWARDED)).status).toBe(200);
    });
  });
});

describe('limits.max_event_loop_delay_ms', () => {
  it('answers 503 while the event loop is late, but not to /livez and /metrics', async () => {
    await withDaemon({ limits: { max_event_loop_delay_ms: 20 } }, async ({ rest }) => {
      expect((await rest.call('GET', '/v1/maps')).status).toBe(200);
      // The plugin looks once a second at the mean of that second.
      const answer = await until(
        async () => {
          const end = performance.now() + 150;
          while (performance.now() < end);
          await sleep(1);
          const attempt = await rest.call('GET', '/v1/maps');
          return attempt.status === 503 ? attempt : undefined;
        },
        'the daemon is overloaded',
        8000,
      );
      expectProblem(answer, 'OVERLOADED', { status: 503, retryAfterMs: 1000 });
      expect((await rest.call('GET', '/livez')).status).toBe(200);
      expect((await rest.call('GET', '/v1/metrics')).status).toBe(200);
      const { text } = await rest.call('GET', '/metrics');
      expect(text).toMatch(
        /ringbufd_requests_refused_total\{surface="http",reason="overloaded",errno="EAGAIN"\} [1-9]/,
      );
      expect((await rest.call('GET', '/readyz')).status).toBe(503);
      await until(async () => (await rest.call('GET', '/readyz')).status === 200, 'it recovers', 8000);
    });
  });
});
