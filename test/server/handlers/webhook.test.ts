import { createHmac } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../support/until.js';
import { answer, Receiver, reset, type Behaviour } from './webhook-receiver.js';
import { DelayLog, INCARNATION, messageOf, Rig } from './webhook-rig.js';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startReceiver(...behaviours: Behaviour[]): Promise<Receiver> {
  const receiver = await Receiver.start(behaviours.length > 0 ? { behaviours } : {});
  cleanups.push(() => receiver.stop());
  return receiver;
}

function makeRig(options: ConstructorParameters<typeof Rig>[0]): Rig {
  const rig = new Rig(options);
  cleanups.push(() => rig.handler.close());
  return rig;
}

describe('a webhook', () => {
  it('POSTs NDJSON, one sample a line with its position', async () => {
    const receiver = await startReceiver();
    const rig = makeRig({ config: { url: receiver.url('/in?x=1') } });
    rig.put('one', 'zwei €');
    rig.putDiscarded(5);
    rig.put(Uint8Array.of(0, 1, 254));
    expect(await rig.drain()).toMatchObject({
      ret: 3,
      drained: 3,
      discarded: 1,
      stopped: false,
      wakeup: true,
    });
    const [request, ...others] = receiver.requests;
    expect(others).toEqual([]);
    expect(request).toMatchObject({
      method: 'POST',
      path: '/in?x=1',
      headers: { 'content-type': 'application/x-ndjson' },
    });
    expect(request!.body.toString()).toBe(
      '{"pos":"0","sample":"one"}\n{"pos":"16","sample":"zwei €"}\n{"pos":"48","sample":{"b64":"AAH+"}}\n',
    );
    expect(rig.buffered).toBe(0);
  });

  it('POSTs a JSON array', async () => {
    const receiver = await startReceiver(answer(204));
    const rig = makeRig({ config: { url: receiver.url(), format: 'json' } });
    rig.put('a', '"quoted"', '');
    expect(await rig.drain()).toMatchObject({ ret: 3 });
    expect(receiver.requests[0]!.headers['content-type']).toBe('application/json');
    expect(JSON.parse(receiver.requests[0]!.body.toString())).toEqual([
      { pos: '0', sample: 'a' },
      { pos: '16', sample: '"quoted"' },
      { pos: '32', sample: '' },
    ]);
  });

  it('POSTs records in ring format', async () => {
    const receiver = await startReceiver(answer(202));
    const rig = makeRig({ config: { url: receiver.url(), format: 'records' } });
    rig.put('abc', Uint8Array.of(9, 0, 255, 1, 2, 3, 4, 5));
    expect(await rig.drain()).toMatchObject({ ret: 2 });
    expect(receiver.requests[0]!.headers['content-type']).toBe('application/vnd.ringbuf.records');
    expect(receiver.requests[0]!.body.toString('hex')).toBe(
      '0300000000000000' + '6162630000000000' + '0800000000000000' + '0900ff0102030405',
    );
  });

  it('says in headers which samples these are, and sends the headers of its config', async () => {
    const receiver = await startReceiver();
    const headers = { Authorization: 'Bearer abc', 'X-Tenant': 'north' };
    const rig = makeRig({ config: { url: receiver.url(), headers } });
    rig.putDiscarded(8);
    rig.put('a', 'b');
    await rig.drain();
    expect(receiver.requests[0]!.headers).toMatchObject({
      host: `127.0.0.1:${receiver.port}`,
      authorization: 'Bearer abc',
      'x-tenant': 'north',
      'idempotency-key': `events:${INCARNATION}:16:2`,
      'ringbuf-map': 'events',
      'ringbuf-handler': 'hook',
      'ringbuf-incarnation': INCARNATION,
      'ringbuf-position': '16',
      'ringbuf-samples': '2',
    });
    expect(receiver.requests[0]!.headers).not.toHaveProperty('ringbuf-signature');
  });

  it('signs time and body, anew for each attempt', async () => {
    const receiver = await startReceiver(answer(500), answer(200));
    const secret = 'a key of more than 16 bytes €';
    const clock = new DelayLog();
    const rig = makeRig({ config: { url: receiver.url(), secret, backoff_min_ms: 4000 }, clock });
    rig.put('payload');
    const drained = rig.drain();
    await until(() => clock.delays.length === 2, 'the pause has begun');
    clock.advance(3000);
    expect(await drained).toMatchObject({ ret: 1 });
    const times = receiver.requests.map(({ headers, body }) => {
      const match = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['ringbuf-signature']));
      const [, time, signature] = match!;
      const signed = Buffer.concat([Buffer.from(`${time}.`), body]);
      expect(createHmac('sha256', Buffer.from(secret, 'utf8')).update(signed).digest('hex')).toBe(signature);
      return Number(time);
    });
    const started = Math.floor(Date.UTC(2030, 0, 1) / 1000) + 1;
    expect(times).toEqual([started, started + 3]);
    expect(JSON.stringify(rig.state)).not.toContain(secret);
  });

  it('keeps one connection for many batches', async () => {
    const receiver = await startReceiver();
    const rig = makeRig({ config: { url: receiver.url() } });
    for (let i = 0; i < 25; i++) {
      rig.put(`sample ${i}`);
      expect(await rig.drain()).toMatchObject({ ret: 1 });
    }
    expect(receiver.requests).toHaveLength(25);
    expect(receiver.sockets).toHaveLength(1);
    expect(rig.state).toMatchObject({ samples: 25, batches: 25, attempts: 25, retries: 0, last_status: 200 });
  });

  it('cuts a drain into batches of at most max_batch_samples and max_batch_bytes', async () => {
    const receiver = await startReceiver();
    const config = { url: receiver.url(), max_batch_samples: 40, max_batch_bytes: 2048 };
    const rig = makeRig({ config });
    const samples = Array.from({ length: 150 }, (_, i) => (i < 100 ? `small ${i}` : `${i} `.repeat(100)));
    rig.put(...samples);
    expect(await rig.drain()).toMatchObject({ ret: 150, drained: 150 });
    const received = receiver.requests.flatMap(({ body }) =>
      body
        .toString()
        .split('\n')
        .slice(0, -1)
        .map((line) => (JSON.parse(line) as { sample: string }).sample),
    );
    expect(received).toEqual(samples);
    for (const { body, headers } of receiver.requests) {
      expect(body.length).toBeLessThanOrEqual(2048);
      expect(Number(headers['ringbuf-samples'])).toBeLessThanOrEqual(40);
    }
    expect(receiver.sockets).toHaveLength(1);
    expect(rig.state).toMatchObject({ samples: 150, batches: receiver.requests.length });
  });

  it('releases what was delivered before a batch fails, and nothing of that batch', async () => {
    const receiver = await startReceiver(answer(200), answer(200), answer(400));
    const rig = makeRig({ config: { url: receiver.url(), max_batch_samples: 2 } });
    rig.put('a', 'b', 'c', 'd', 'e', 'f', 'g');
    const outcome = await rig.drain();
    expect(outcome).toMatchObject({ ret: -5, drained: 4 });
    expect(messageOf(outcome)).toContain('HTTP 400');
    expect(rig.buffered).toBe(3);
  });

  it('sends a batch whose answer was lost as it was, with the same key, though more has come since', async () => {
    const receiver = await startReceiver(reset, answer(200));
    const rig = makeRig({ config: { url: receiver.url(), max_attempts: 1 } });
    rig.put('a', 'b');
    expect(await rig.drain()).toMatchObject({ ret: -5, drained: 0 });
    rig.put('c');
    let drained = 0;
    while (drained < 3) drained += (await rig.drain()).drained;
    const [lost, again, later] = receiver.requests;
    expect(again!.headers['idempotency-key']).toBe(`events:${INCARNATION}:0:2`);
    expect(again!.headers['idempotency-key']).toBe(lost!.headers['idempotency-key']);
    expect(again!.body).toEqual(lost!.body);
    expect(later!.headers['idempotency-key']).toBe(`events:${INCARNATION}:32:1`);
    expect(receiver.requests).toHaveLength(3);
  });

  it('names a sample that fits into no body, and leaves it at the head', async () => {
    const receiver = await startReceiver();
    const rig = makeRig({ config: { url: receiver.url(), max_batch_bytes: 1024 } });
    rig.put('small', 'x'.repeat(1020));
    // The first sample is delivered; the drain ends at the one that cannot be.
    expect((await rig.drain()).drained).toBe(1);
    const outcome = await rig.drain();
    expect(outcome).toMatchObject({ ret: -7, drained: 0 });
    expect(messageOf(outcome)).toContain(
      'the sample of 1020 bytes at 16 fits into no body of max_batch_bytes',
    );
    expect(receiver.requests).toHaveLength(1);
    expect(rig.buffered).toBe(1);
  });

  it('does not begin a connection for an empty ring', async () => {
    const receiver = await startReceiver();
    const rig = makeRig({ config: { url: receiver.url() } });
    expect(await rig.drain()).toMatchObject({ ret: 0, wakeup: false });
    expect(receiver.sockets).toHaveLength(0);
  });
});
