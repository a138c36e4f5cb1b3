import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { startDaemon } from '../support/daemon.js';
import type { RestAnswer } from '../support/rest.js';
import { useDaemon } from '../support/use-daemon.js';
import { expectProblem } from './problem.js';

const under = useDaemon();
const call = (map: string, path: string, body: unknown): Promise<RestAnswer> =>
  under.daemon.rest.call('POST', `/v1/maps/${map}/${path}`, body);
const store = (map: string, sample: string): Promise<RestAnswer> =>
  under.daemon.rest.send('POST', `/v1/maps/${map}/samples`, sample, {
    'content-type': 'application/octet-stream',
  });
/** A webhook whose address is refused: it fails at once, whatever the sample. */
const failing = (onError: unknown) => ({
  kind: 'webhook',
  config: { url: 'http://localhost:1/' },
  on_error: onError,
});
const putFailing = (map: string, onError: unknown): Promise<RestAnswer> =>
  under.daemon.rest.call('PUT', `/v1/maps/${map}/handlers/fails`, failing(onError));
const show = (map: string): Promise<Record<string, unknown>> =>
  under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/fails`);
const hex = (text: string): string => Buffer.from(text).toString('hex');

/** A map whose samples are dead letters in another one, and the name of that one. */
async function withLetters(samples: readonly string[]): Promise<{ map: string; dlq: string }> {
  const map = await under.newMap();
  const dlq = await under.newMap({ max_entries: 65_536 });
  await putFailing(map, { policy: 'dead_letter', map: dlq, max_attempts: 1 });
  for (const sample of samples) {
    await store(map, sample);
    await under.daemon.rest.drain(map, 'fails');
  }
  return { map, dlq };
}

describe('on_error', () => {
  it('is shown with its defaults', async () => {
    const map = await under.newMap();
    expect((await putFailing(map, { policy: 'retry' })).body.on_error).toEqual({
      policy: 'retry',
      max_attempts: 0,
      backoff_min_ms: 100,
      backoff_max_ms: 30_000,
    });
    expect((await putFailing(map, { policy: 'dead_letter', map: 'x' })).body.on_error).toMatchObject({
      max_attempts: 5,
    });
  });

  it.each([
    [{ policy: 'retry', backoff_min_ms: 2, backoff_max_ms: 1 }, 'HANDLER_CONFIG', /backoff_min_ms \(2\)/],
    [{ policy: 'dead_letter' }, 'BAD_REQUEST', /on_error/],
    [{ policy: 'dead_letter', map: 'x', max_attempts: 0 }, 'BAD_REQUEST', /on_error/],
    [{ policy: 'drop' }, 'BAD_REQUEST', /on_error/],
  ] as const)('%j is refused', async (onError, key, detail) => {
    const answer = await putFailing(await under.newMap(), onError);
    expectProblem(answer, key, { status: 400, detail });
  });

  it('tells a drain by hand what became of the sample, and GET what went on', async () => {
    const map = await under.newMap();
    const dlq = await under.newMap();
    await putFailing(map, { policy: 'dead_letter', map: dlq, max_attempts: 2 });
    await store(map, 'poison');
    expect((await call(map, 'drain', { handler: 'fails' })).status).toBe(500);
    expect(await show(map)).toMatchObject({ status: 'running', attempts: 1, last_drain: { ret: -5 } });
    const answer = await call(map, 'drain', { handler: 'fails' });
    expect([answer.status, answer.body]).toMatchObject([
      200,
      { ret: 0, dead_lettered: 1, dead_letters: [{ pos: '0', map: dlq, errno: 'EIO', attempts: 2 }] },
    ]);
    expect(await show(map)).toMatchObject({
      attempts: 0,
      last_error: { errno: 'EIO' },
      last_drain: { ret: 0, dead_lettered: 1 },
      counters: { calls: 2, samples: 0, retries: 1, dead_letters: 1, errors: { EIO: 2 } },
    });
  });

  it('says beside the problem that a dead letter was not taken', async () => {
    const map = await under.newMap();
    await putFailing(map, { policy: 'dead_letter', map: 'nowhere', max_attempts: 1 });
    await store(map, 'a');
    const answer = await call(map, 'drain', { handler: 'fails' });
    expect(answer.status).toBe(500);
    expect(answer.body.detail).toMatch(
      /its dead letter was not taken: there is no dead-letter map "nowhere"/,
    );
    expect(await show(map)).toMatchObject({ dead_letter_error: { errno: 'ENOENT' } });
  });

  it('leads nowhere back: a circle of maps is refused, and its way is named', async () => {
    const [a, b, c] = [await under.newMap(), await under.newMap(), await under.newMap()];
    expect((await putFailing(a, { policy: 'dead_letter', map: b })).status).toBe(201);
    expect((await putFailing(b, { policy: 'dead_letter', map: c })).status).toBe(201);
    expectProblem(await putFailing(c, { policy: 'dead_letter', map: a }), 'HANDLER_CYCLE', {
      status: 400,
      detail: new RegExp(`"${c}" → "${a}" → "${b}" → "${c}"`),
    });
    expectProblem(await putFailing(c, { policy: 'dead_letter', map: c }), 'HANDLER_CYCLE', { status: 400 });
  });
});

describe('POST …/enable and …/disable', () => {
  it('switch a handler off and on, as often as they are called', async () => {
    const map = await under.newMap();
    const path = `/v1/maps/${map}/handlers/count`;
    for (let i = 0; i < 2; i++)
      expect(await under.daemon.rest.expect(200, 'POST', `${path}/disable`)).toMatchObject({
        enabled: false,
        status: 'disabled',
      });
    expectProblem(await call(map, 'drain', { handler: 'count' }), 'HANDLER_DISABLED', { status: 409 });
    for (let i = 0; i < 2; i++)
      expect(await under.daemon.rest.expect(200, 'POST', `${path}/enable`)).toMatchObject({
        enabled: true,
        status: 'running',
      });
    expect((await call(map, 'drain', { handler: 'count' })).status).toBe(200);
    expect((await under.daemon.rest.call('POST', `/v1/maps/${map}/handlers/nope/enable`)).status).toBe(404);
  });
});

describe('POST /v1/maps/{map}/replay', () => {
  it('sends dead letters back to the map they came from, in order and as they were', async () => {
    const { map, dlq } = await withLetters(['a', 'b\u0000', 'c']);
    const answer = await call(dlq, 'replay', {});
    expect([answer.status, answer.body]).toMatchObject([200, { replayed: 3, to: { [map]: 3 } }]);
    expect(await under.daemon.rest.drainSamples(map)).toEqual([hex('a'), hex('b\u0000'), hex('c')]);
    expect((await under.daemon.rest.showMap(dlq)).counters.buffered_samples).toBe(0);
    expect((await call(dlq, 'replay', {})).body).toMatchObject({ replayed: 0, to: {} });
  });

  it('sends as many as it is told to, and where it is told to', async () => {
    const { dlq } = await withLetters(['a', 'b', 'c']);
    const other = await under.newMap();
    expect((await call(dlq, 'replay', { limit: 2, to: other })).body).toMatchObject({
      replayed: 2,
      to: { [other]: 2 },
    });
    expect(await under.daemon.rest.drainSamples(other)).toEqual([hex('a'), hex('b')]);
    expect(await under.daemon.rest.peek(dlq)).toHaveLength(1);
  });

  it('stops at the first that does not fit, says what it did before, and loses nothing', async () => {
    const { map, dlq } = await withLetters(['a', 'b'.repeat(64), 'c']);
    // Room for "a" alone.
    await store(map, 'x'.repeat(4096 - 8 - 24));
    const answer = await call(dlq, 'replay', {});
    expect([answer.status, answer.body]).toMatchObject([
      429,
      { code: 'RINGBUFD_ERR_RING_FULL', replayed: 1, to: { [map]: 1 } },
    ]);
    expect(answer.headers['retry-after']).toBeDefined();
    await under.daemon.rest.drain(map);
    expect((await call(dlq, 'replay', {})).body).toMatchObject({ replayed: 2 });
  });

  it('leaves what is no dead letter where it is', async () => {
    const { dlq } = await withLetters(['a']);
    await store(dlq, '{"dead_letter":1}');
    const answer = await call(dlq, 'replay', {});
    expect([answer.status, answer.body]).toMatchObject([
      422,
      { code: 'RINGBUFD_ERR_NO_DEAD_LETTER', replayed: 1 },
    ]);
    expect(await under.daemon.rest.peek(dlq)).toHaveLength(1);
  });

  it('does not send into the map itself, nor into one that is not there', async () => {
    const { map, dlq } = await withLetters(['a']);
    expectProblem(await call(dlq, 'replay', { to: dlq }), 'REPLAY_CYCLE', { status: 422 });
    expectProblem(await call(dlq, 'replay', { to: 'nope' }), 'NO_MAP', { status: 404 });
    await under.daemon.rest.drain(map);
    await under.daemon.rest.expect(204, 'DELETE', `/v1/maps/${map}`);
    const gone = await call(dlq, 'replay', {});
    expect([gone.status, gone.body]).toMatchObject([404, { code: 'RINGBUFD_ERR_NO_MAP', replayed: 0 }]);
    expect(await under.daemon.rest.peek(dlq)).toHaveLength(1);
  });

  it('needs the right to produce into each map that gets samples', async () => {
    const sha256 = (token: string): string => createHash('sha256').update(token).digest('hex');
    const daemon = await startDaemon(
      {
        tokens: [
          { name: 'root', sha256: sha256('root'), scopes: ['admin'] },
          { name: 'half', sha256: sha256('half'), scopes: ['drain:dlq'] },
        ],
      },
      { token: 'root' },
    );
    try {
      const { rest } = daemon;
      for (const name of ['m', 'dlq']) await rest.createMap(name);
      await rest.expect(
        201,
        'PUT',
        '/v1/maps/m/handlers/fails',
        failing({ policy: 'dead_letter', map: 'dlq', max_attempts: 1 }),
      );
      await rest.send('POST', '/v1/maps/m/samples', 'a', { 'content-type': 'application/octet-stream' });
      await rest.drain('m', 'fails');
      const half = { authorization: 'Bearer half' };
      for (const body of [{}, { to: 'm' }]) {
        const refused = await rest.call('POST', '/v1/maps/dlq/replay', body, half);
        expect([refused.status, refused.body.code]).toEqual([403, 'RINGBUFD_ERR_FORBIDDEN']);
      }
      expect(await rest.expect(200, 'POST', '/v1/maps/dlq/replay', {})).toMatchObject({ replayed: 1 });
    } finally {
      await daemon.close();
    }
  });
});

describe('GET /metrics', () => {
  it('tells what each handler did', async () => {
    const { map, dlq } = await withLetters(['a', 'b']);
    await under.daemon.rest.call('PUT', `/v1/maps/${map}/handlers/fails`, failing({ policy: 'stop' }));
    await store(map, 'c');
    for (let i = 0; i < 3; i++) await call(map, 'drain', { handler: 'fails' });
    await under.daemon.rest.drain(map, 'capture', { ctx: { stop_after: 1 } });
    const { text } = await under.daemon.rest.call('GET', '/metrics');
    const value = (name: string, labels: string): number =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`ringbufd_${name}{${labels}}`))
          ?.split(' ')[1],
      );
    const of = (handler: string): string => `map="${map}",handler="${handler}"`;
    expect({
      calls: value('handler_calls_total', of('fails')),
      retries: value('handler_retries_total', of('fails')),
      errors: value('handler_errors_total', `${of('fails')},errno="EIO"`),
      batches: value('handler_batch_duration_seconds_count', of('fails')),
      stops: value('handler_stops_total', of('capture')),
      samples: value('handler_samples_total', of('capture')),
      dead: value('samples_dead_lettered_total', `map="${map}"`),
      buffered: value('samples_buffered', `map="${dlq}"`),
    }).toEqual({ calls: 3, retries: 2, errors: 3, batches: 5, stops: 1, samples: 1, dead: 2, buffered: 2 });
  });
});
