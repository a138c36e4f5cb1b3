/** The webhook kind through a running daemon: registered over REST, on the operator's allow-list or not. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answer, Receiver } from '../server/handlers/webhook-receiver.js';
import { useDaemon } from '../support/use-daemon.js';
import { until } from '../support/until.js';

const SECRET = 'a secret of the operator';

describe('a webhook', () => {
  const allowing = useDaemon({ webhooks: { allow: ['127.0.0.0/8'] } });
  const strict = useDaemon();
  let receiver: Receiver;

  beforeEach(async () => {
    receiver = await Receiver.start({ behaviours: [answer(500), answer(200)] });
  });
  afterEach(() => receiver.stop());

  const put = (setup: typeof allowing, map: string, trigger?: object) =>
    setup.daemon.rest.call('PUT', `/v1/maps/${map}/handlers/hook`, {
      kind: 'webhook',
      config: { url: receiver.url(), secret: SECRET, max_attempts: 1 },
      ...(trigger && { trigger }),
    });

  it('shows its secret to nobody', async () => {
    const map = await allowing.newMap();
    const created = await put(allowing, map);
    expect(created.status).toBe(201);
    const shown = await allowing.daemon.rest.expect(200, 'GET', `/v1/maps/${map}/handlers/hook`);
    expect(JSON.stringify([created, shown])).not.toContain(SECRET);
  });

  it('drains by itself, keeps what the server did not take, and delivers it after the back-off', async () => {
    const map = await allowing.newMap();
    await put(allowing, map, { mode: 'auto' });
    const client = await allowing.client(map);
    client.output(1, ['one', 'two']);
    await until(() => receiver.requests.length === 2);
    const bodies = receiver.requests.map(({ body }) => body.toString());
    expect(bodies[0]).toBe('{"pos":"0","sample":"one"}\n{"pos":"16","sample":"two"}\n');
    expect(bodies[1]).toBe(bodies[0]);
    expect(receiver.requests[1]!.headers['idempotency-key']).toBe(
      receiver.requests[0]!.headers['idempotency-key'],
    );
    await until(async () => (await allowing.daemon.rest.showMap(map)).counters.drained_samples === 2);
  });

  it('is refused at once when it names a loopback address that the operator did not allow', async () => {
    const map = await strict.newMap();
    const created = await put(strict, map);
    expect(created.status).toBe(400);
    expect(created.body).toMatchObject({ errno: 'EINVAL', code: 'RINGBUFD_ERR_HANDLER_CONFIG' });
    expect(receiver.requests).toHaveLength(0);
  });

  it.each([301, 302, 303, 307, 308])(
    'does not follow a %i to a private address: nobody connects to it, and the sample stays',
    async (status) => {
      // On an address that the operator allows: nothing but the refusal to follow keeps the daemon away.
      const inside = await Receiver.start({});
      const redirecting = await Receiver.start({
        behaviours: [answer(status, { location: inside.url('/admin') })],
      });
      try {
        const map = await allowing.newMap();
        const { rest } = allowing.daemon;
        await rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/hook`, {
          kind: 'webhook',
          config: { url: redirecting.url(), max_attempts: 3, backoff_min_ms: 1, backoff_max_ms: 1 },
        });
        (await allowing.client(map)).output(1, ['kept']);
        await until(async () => (await rest.showMap(map)).counters.accepted_samples === 1);
        const answered = await rest.call('POST', `/v1/maps/${map}/drain`, { handler: 'hook' });
        expect(answered).toMatchObject({ status: 500, body: { errno: 'EIO', drained: 0 } });
        expect(answered.text).toContain(`HTTP ${status}: redirects are not followed`);
        // It is flushed and closed: whatever it was about to do has happened.
        await rest.expect(204, 'DELETE', `/v1/maps/${map}/handlers/hook`);
        expect(inside.sockets).toHaveLength(0);
        expect(redirecting.requests).toHaveLength(1);
        expect((await rest.showMap(map)).counters).toMatchObject({
          accepted_samples: 1,
          buffered_samples: 1,
        });
      } finally {
        await redirecting.stop();
        await inside.stop();
      }
    },
  );
});
