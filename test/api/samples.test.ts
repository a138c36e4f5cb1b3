import { describe, expect, it } from 'vitest';
import { buildRun, Op } from '../../src/wire/index.js';
import type { RestAnswer } from '../support/rest.js';
import { toBytes } from '../support/raw-client.js';
import { useDaemon } from '../support/use-daemon.js';
import { expectProblem } from './problem.js';

const OCTETS = 'application/octet-stream';
const NDJSON = 'application/x-ndjson';
const RECORDS = 'application/vnd.ringbuf.records';

const under = useDaemon({ limits: { max_body_bytes: 65536, max_peek_samples: 1_000_000 } });
const post = (map: string, body: string | Uint8Array | undefined, type: string): Promise<RestAnswer> =>
  under.daemon.rest.send('POST', `/v1/maps/${map}/samples`, body, { 'content-type': type });
const peek = async (map: string, query = ''): Promise<Record<string, unknown>[]> =>
  (await under.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/samples${query}`)).samples as Record<
    string,
    unknown
  >[];
const run = (...samples: (string | Uint8Array)[]): Uint8Array => buildRun(samples.map(toBytes));
const hex = (text: string): string => Buffer.from(text).toString('hex');

/** What must not have changed after a refusal. */
async function position(map: string): Promise<unknown> {
  const { producer_pos, counters } = await under.daemon.rest.showMap(map);
  return { producer_pos, accepted: counters.accepted_samples, bytes: counters.accepted_bytes };
}

describe('POST /v1/maps/{map}/samples', () => {
  it('takes an octet-stream as one sample, whatever its bytes are', async () => {
    const map = await under.newMap();
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => i);
    const answer = await post(map, bytes, OCTETS);
    expect([answer.status, answer.body]).toEqual([200, { accepted: 1, producer_pos: '312' }]);
    expect(await peek(map)).toEqual([
      {
        pos: '0',
        len: 300,
        state: 'ready',
        sample: { b64: Buffer.from(bytes).toString('base64') },
        truncated: false,
      },
    ]);
  });

  it('takes an empty octet-stream as a sample of length 0', async () => {
    const map = await under.newMap();
    expect((await post(map, '', OCTETS)).body).toEqual({ accepted: 1, producer_pos: '8' });
    expect((await post(map, undefined, OCTETS)).body).toEqual({ accepted: 1, producer_pos: '16' });
    expect(await peek(map)).toMatchObject([
      { pos: '0', len: 0, sample: '' },
      { pos: '8', len: 0, sample: '' },
    ]);
  });

  it('takes NDJSON line by line, without LF or CRLF and with its last line ended or not', async () => {
    const map = await under.newMap();
    expect((await post(map, '{"a":1}\n{"a":2}\r\nnot json\n', NDJSON)).body).toEqual({
      accepted: 3,
      producer_pos: '48',
    });
    expect((await post(map, ' \nlast', NDJSON)).body).toEqual({ accepted: 2, producer_pos: '80' });
    expect((await post(map, '\rin the middle\r stays\n', NDJSON)).body).toMatchObject({ accepted: 1 });
    expect(await under.daemon.rest.drainSamples(map)).toEqual(
      ['{"a":1}', '{"a":2}', 'not json', ' ', 'last', '\rin the middle\r stays'].map(hex),
    );
  });

  it('ignores parameters and letter case of the content type', async () => {
    const map = await under.newMap();
    expect((await post(map, 'a\n', 'Application/X-NDJSON; charset=utf-8')).status).toBe(200);
    expect((await post(map, 'a', 'APPLICATION/OCTET-STREAM')).status).toBe(200);
  });

  it.each([
    ['an empty line in the middle', 'a\n\nb\n', /line 2 of the body is empty/],
    ['an empty first line', '\na\n', /line 1 /],
    ['a line of CR alone before its LF', 'a\n\r\n', /line 2 /],
    ['an empty last line', 'a\n\n', /line 2 /],
    ['no line at all', '', /no line/],
  ])('refuses NDJSON with %s', async (_what, body, detail) => {
    const map = await under.newMap();
    expectProblem(await post(map, body, NDJSON), 'BAD_REQUEST', { status: 400, detail });
    expect(await position(map)).toEqual({ producer_pos: '0', accepted: 0, bytes: 0 });
  });

  it('takes a run of records as it is', async () => {
    const map = await under.newMap();
    expect((await post(map, run('a', '', 'ccccccccc'), RECORDS)).body).toEqual({
      accepted: 3,
      producer_pos: '48',
    });
    expect(await under.daemon.rest.drainSamples(map)).toEqual([hex('a'), '', hex('ccccccccc')]);
  });

  it.each<[string, (good: Uint8Array) => Uint8Array]>([
    ['a truncated header', (good) => good.subarray(0, 4)],
    ['a payload past the end', (good) => good.subarray(0, 8)],
    ['trailing bytes', (good) => Uint8Array.from([...good, 0, 0, 0, 0])],
    ['a trailing header that is cut', (good) => Uint8Array.from([...good, ...good.subarray(0, 7)])],
    ['non-zero padding', (good) => good.map((byte, i) => (i === 15 ? 1 : byte))],
    ['a non-zero pad word', (good) => good.map((byte, i) => (i === 4 ? 1 : byte))],
    ['the BUSY bit', (good) => good.map((byte, i) => (i === 3 ? 0x80 : byte))],
    ['the DISCARD bit', (good) => good.map((byte, i) => (i === 3 ? 0x40 : byte))],
  ])('refuses a run with %s and stores nothing of it', async (_what, spoil) => {
    const map = await under.newMap();
    const first = run('first');
    const bad = spoil(run('abc'));
    const body = Uint8Array.from([...first, ...bad]);
    expectProblem(await post(map, body, RECORDS), 'BAD_RUN', { status: 400 });
    expect(await position(map)).toEqual({ producer_pos: '0', accepted: 0, bytes: 0 });
  });

  it('refuses what does not fit now with 429 and a time to try again, and stores nothing', async () => {
    const map = await under.newMap();
    await post(map, 'x'.repeat(4000), OCTETS);
    const before = await position(map);
    const refused = await post(map, 'a\nb\nc\nd\ne\nf\n', NDJSON);
    expectProblem(refused, 'RING_FULL', {
      status: 429,
      retryAfterMs: 1000,
      detail: '96 bytes as records, 88 are free',
    });
    expect(refused.headers['retry-after']).toBe('1');
    expect(await position(map)).toEqual(before);
    // What fits to the last byte is taken.
    expect((await post(map, 'y'.repeat(80), OCTETS)).body).toEqual({ accepted: 1, producer_pos: '4096' });
    expect((await under.daemon.rest.showMap(map)).counters.refused).toEqual({ 'ENOSPC|ring_full': 1 });
  });

  it('tells a producer of a map that drains itself to come back sooner', async () => {
    const map = await under.newMap();
    // Waits for a ring that is full to the last byte.
    await under.daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/auto`, {
      kind: 'count',
      trigger: { mode: 'auto', min_bytes: 4096 },
    });
    await post(map, 'x'.repeat(4080), OCTETS);
    expectProblem(await post(map, 'yy'.repeat(8), OCTETS), 'RING_FULL', { retryAfterMs: 50 });
  });

  it.each<[string, string | Uint8Array, string]>([
    ['a sample that is larger than the ring', 'x'.repeat(4089), OCTETS],
    ['lines that are larger than the ring together', 'xxxxxxx\n'.repeat(257), NDJSON],
    ['a run that is larger than the ring', buildRun(new Array<Uint8Array>(257).fill(toBytes('x'))), RECORDS],
  ])('refuses %s with 413', async (_what, body, type) => {
    const map = await under.newMap();
    expectProblem(await post(map, body, type), 'NEVER_FITS', { status: 413, detail: /the ring has 4096/ });
    expect(await position(map)).toEqual({ producer_pos: '0', accepted: 0, bytes: 0 });
  });

  it('refuses a body over the limit with 413, by its announced length and by its real one', async () => {
    const map = await under.newMap({ max_entries: 131072 });
    expect((await post(map, 'x'.repeat(65536), OCTETS)).status).toBe(200);
    expectProblem(await post(map, 'x'.repeat(65537), OCTETS), 'BODY_TOO_BIG', { status: 413 });
    const chunks = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 70; i++) controller.enqueue(new Uint8Array(1024));
        controller.close();
      },
    });
    const answer = await fetch(`${under.daemon.url}/v1/maps/${map}/samples`, {
      method: 'POST',
      body: chunks,
      headers: { 'content-type': OCTETS },
      duplex: 'half',
    });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ code: 'RINGBUFD_ERR_BODY_TOO_BIG', errno: 'E2BIG' });
    expect(await position(map)).toMatchObject({ accepted: 1 });
  });

  it('refuses samples on a direct map with 403', async () => {
    const map = await under.newMap({ mode: 'direct' });
    expectProblem(await post(map, 'x', OCTETS), 'NOT_ALLOWED_HERE', { status: 403, detail: /direct/ });
    expect((await under.daemon.rest.showMap(map)).counters.refused).toEqual({ 'EPERM|not_allowed': 1 });
  });

  it('does not overtake a connection that waits for room', async () => {
    const map = await under.newMap();
    await post(map, 'x'.repeat(4000), OCTETS);
    const client = await under.client(map, 'on_full=block');
    client.output(1, ['w'.repeat(200)]);
    await expect.poll(async () => (await under.daemon.rest.showMap(map)).producers_waiting).toBe(1);
    expectProblem(await post(map, 'y', OCTETS), 'RING_FULL', { status: 429 });
    await under.daemon.rest.drain(map);
    await client.expect(Op.ACK);
    expect((await post(map, 'y', OCTETS)).status).toBe(200);
  });
});

describe('GET /v1/maps/{map}/samples', () => {
  it('shows records from the head on, 16 unless told, and consumes none', async () => {
    const map = await under.newMap();
    await post(map, 'line\n'.repeat(20), NDJSON);
    expect(await peek(map)).toHaveLength(16);
    expect(await peek(map, '?limit=1')).toEqual([
      { pos: '0', len: 4, state: 'ready', sample: 'line', truncated: false },
    ]);
    expect((await peek(map, '?limit=100')).map(({ pos }) => pos)).toEqual(
      Array.from({ length: 20 }, (_, i) => String(16 * i)),
    );
    expect((await under.daemon.rest.showMap(map)).consumer_pos).toBe('0');
  });

  it('shows text as a string and everything else as base64', async () => {
    const map = await under.newMap();
    await post(map, run('grün\n', Uint8Array.of(0xff, 0), '\u0007'), RECORDS);
    expect((await peek(map)).map(({ sample }) => sample)).toEqual([
      'grün\n',
      { b64: '/wA=' },
      { b64: 'Bw==' },
    ]);
  });

  it('shows reserved and discarded records as what they are', async () => {
    const map = await under.newMap();
    const client = await under.client(map);
    const first = await client.reserve(8);
    await client.reserve(20);
    client.send({ op: Op.DISCARD, seq: 9n, position: first });
    await client.expect(Op.DONE);
    expect(await peek(map)).toEqual([
      { pos: '0', len: 8, state: 'discarded', sample: '', truncated: false },
      { pos: '16', len: 20, state: 'busy', sample: '', truncated: false },
    ]);
  });

  it('cuts payloads off where one answer would grow over 1 MiB', async () => {
    const map = await under.newMap({ max_entries: 2 ** 21 });
    for (let i = 0; i < 17; i++) await post(map, 'x'.repeat(65536), OCTETS);
    const samples = await peek(map, '?limit=100');
    expect(samples).toHaveLength(17);
    expect(samples.map(({ truncated }) => truncated)).toEqual([...new Array<boolean>(16).fill(false), true]);
    expect(samples[16]).toMatchObject({ len: 65536, sample: '' });
  });

  it.each(['0', '-1', '1.5', 'x', '', '1e99', 'true'])('refuses limit=%s', async (limit) => {
    const map = await under.newMap();
    const answer = await under.daemon.rest.call('GET', `/v1/maps/${map}/samples?limit=${limit}`);
    expectProblem(answer, 'BAD_REQUEST', { status: 400, detail: /^query\.limit / });
  });

  it('refuses query parameters that it does not know', async () => {
    const map = await under.newMap();
    const answer = await under.daemon.rest.call('GET', `/v1/maps/${map}/samples?limti=3`);
    expectProblem(answer, 'BAD_REQUEST', { status: 400, detail: 'query.limti is not a known key' });
  });

  it('gets through a direct map whose producer wrote nonsense', async () => {
    const map = await under.newMap({ mode: 'direct' });
    const client = await under.client(map);
    client.send({ op: Op.WRITE, seq: 1n, offset: 0n, bytes: new Uint8Array(4096).fill(0xff) });
    await client.expect(Op.DONE);
    for (const producerPos of [8n, 4096n, 4097n, 2n ** 40n, 2n ** 64n - 8n]) {
      client.send({ op: Op.COMMIT, seq: 2n, producerPos });
      await client.expect(Op.DONE);
      expect((await peek(map, '?limit=1000')).length).toBeLessThanOrEqual(1);
    }
  });
});
