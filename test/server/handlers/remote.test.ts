import { describe, expect, it } from 'vitest';
import { RemoteRig, result, settled, textOf } from './remote-rig.js';

const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe('a delivery', () => {
  it('carries the samples, the position of the first record and the ctx, and is released when it is answered', async () => {
    const rig = new RemoteRig();
    rig.store('skip');
    const client = rig.attach('a');
    const first = rig.drain();
    client.answer(1, 1);
    expect(result(await first)).toMatchObject({ ret: 1 });
    client.said();

    rig.store('one', 'two', '');
    const drained = rig.drain({ k: [1] });
    const frame = client.delivery();
    expect({ ...frame, ctx: decode(frame.ctx), run: textOf(frame) }).toEqual({
      op: 0x91,
      seq: 2n,
      samples: 3,
      position: 16n,
      ctx: '{"k":[1]}',
      run: ['one', 'two', ''],
    });
    await settled();
    expect(rig.used).toBe(40);
    client.answer(2, 3);
    expect(result(await drained)).toEqual({ ret: 3, drained: 3, stopped: false, why: undefined });
    expect(rig.used).toBe(0);
  });

  it.each([
    [{}, ''],
    [undefined, ''],
    [null, 'null'],
    [[1], '[1]'],
    ['é', '"é"'],
  ])('with ctx %j carries %j', async (ctx, expected) => {
    const rig = new RemoteRig();
    const client = rig.attach('a');
    rig.store('x');
    const drained = rig.drain(ctx);
    expect(decode(client.delivery().ctx)).toBe(expected);
    client.answer(1, 1);
    await drained;
  });

  it('ends where a discarded record lies, so that positions follow from the first one', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a');
    rig.store('a', 'b');
    rig.producer.discard(rig.producer.reserve(20));
    rig.store('c');
    const drained = rig.drain();
    expect(client.said()).toEqual(['deliver 1 at 0: a b']);
    client.answer(1, 2);
    await settled();
    expect(client.said()).toEqual(['deliver 2 at 64: c']);
    client.answer(2, 1);
    expect(await drained).toMatchObject({ ret: 3, drained: 3, discarded: 1 });
  });

  it('holds whole samples of a ring that wraps', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a');
    rig.store(new Uint8Array(4000));
    const first = rig.drain();
    client.answer(1, 1);
    await first;
    client.said();
    const text = 'w'.repeat(200);
    rig.store(text);
    const second = rig.drain();
    expect(textOf(client.delivery())).toEqual([text]);
    client.answer(2, 1);
    expect(result(await second)).toMatchObject({ ret: 1 });
  });

  it('is the only one on its way: the next follows the answer', async () => {
    const rig = new RemoteRig({ max_batch_bytes: 32 });
    const client = rig.attach('a');
    rig.store('a', 'b', 'c', 'd', 'e');
    const drained = rig.drain();
    expect(client.said()).toEqual(['deliver 1 at 0: a b']);
    await settled();
    expect(client.said()).toEqual([]);
    client.answer(1, 2);
    await settled();
    expect(client.said()).toEqual(['deliver 2 at 32: c d']);
    client.answer(2, 2);
    await settled();
    expect(client.said()).toEqual(['deliver 3 at 64: e']);
    client.answer(3, 1);
    expect(result(await drained)).toEqual({ ret: 5, drained: 5, stopped: false, why: undefined });
  });

  it('never has more bytes than the client has credit for, however many samples wait', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a', { credit: 128 });
    rig.store(...Array.from({ length: 50 }, (_, i) => `sample ${i}`));
    const drained = rig.drain({ some: 'ctx' });
    const seen: string[] = [];
    for (let number = 1; seen.length < 50; number++) {
      const { run, ctx, ...frame } = client.delivery();
      const body = 16 + Math.ceil(ctx.length / 8) * 8 + run.length;
      expect(body).toBeLessThanOrEqual(128);
      expect(rig.handler.state()).toMatchObject({ in_flight_bytes: body, credit_bytes: 128 });
      seen.push(...textOf({ ...frame, run, ctx }));
      client.answer(number, frame.samples);
      await settled();
      if (number > 50) throw new Error('too many deliveries');
    }
    expect(result(await drained)).toMatchObject({ ret: 50 });
    expect(rig.handler.state()).toMatchObject({ in_flight_bytes: 0 });
    expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => `sample ${i}`));
  });
});

describe('an answer', () => {
  it('with verdict 1 stops the drain behind what it answers for', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a');
    rig.store('a', 'b', 'c');
    const drained = rig.drain();
    client.answer(1, 2, true);
    expect(result(await drained)).toEqual({ ret: 2, drained: 2, stopped: true, why: undefined });
    expect(rig.used).toBe(16);
  });

  it('for fewer samples ends the drain there', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a');
    rig.store('a', 'b', 'c');
    const drained = rig.drain();
    client.answer(1, 1);
    expect(result(await drained)).toEqual({ ret: 1, drained: 1, stopped: false, why: undefined });
  });

  it('for more than was given is EINVAL: nothing is released, and another client takes over', async () => {
    const rig = new RemoteRig();
    const [liar, other] = [rig.attach('liar'), rig.attach('other')];
    rig.store('a', 'b');
    const drained = rig.drain();
    liar.said();
    liar.answer(1, 3);
    expect(result(await drained)).toEqual({
      ret: -22,
      drained: 0,
      stopped: false,
      why: 'client "liar" answered for 3 samples of delivery 1, which had 2',
    });
    expect(rig.used).toBe(32);
    expect([liar.said(), other.said()]).toEqual([['standby'], ['active']]);
    const again = rig.drain();
    expect(other.said()).toEqual(['deliver 2 at 0: a b']);
    other.answer(2, 2);
    expect(result(await again)).toMatchObject({ ret: 2 });
    expect(rig.handler.state()).toMatchObject({ errors: { EINVAL: 1 }, takeovers: 1, samples: 2 });
  });

  it.each([
    [5, -5, 'EIO'],
    [22, -22, 'EINVAL'],
    [28, -5, 'EIO'],
  ])('that says errno %i fails the drain with %i', async (errno, ret, name) => {
    const rig = new RemoteRig();
    const client = rig.attach('a');
    rig.store('a');
    const drained = rig.drain();
    client.fail(1, 'the database is away', errno);
    expect(result(await drained)).toEqual({
      ret,
      drained: 0,
      stopped: false,
      why: 'client "a" failed on delivery 1: the database is away',
    });
    expect(rig.used).toBe(16);
    expect(rig.handler.state()).toMatchObject({ errors: { [name]: 1 }, active: 'a' });
  });

  it('of failure is clipped', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a');
    rig.store('a');
    const drained = rig.drain();
    client.fail(1, 'x'.repeat(900));
    expect(result(await drained).why).toHaveLength('client "a" failed on delivery 1: '.length + 512);
  });

  it('that comes twice counts once, and costs nothing', async () => {
    const rig = new RemoteRig({ max_batch_bytes: 16 });
    const client = rig.attach('a');
    rig.store('a', 'b');
    const drained = rig.drain();
    client.answer(1, 1);
    client.answer(1, 1);
    await settled();
    // Delivery 2 is on its way: an answer to 1 is not one to 2.
    client.answer(1, 1);
    expect(rig.used).toBe(32);
    client.answer(2, 1);
    client.fail(2, 'too late to fail');
    expect(result(await drained)).toEqual({ ret: 2, drained: 2, stopped: false, why: undefined });
    expect(client.socket.closes).toEqual([]);
    expect(rig.handler.state()).toMatchObject({ stray_answers: 3, late_answers: 0, errors: {} });
  });

  it('to a delivery that the client never got ends its connection: 4505', async () => {
    const rig = new RemoteRig();
    const [a, b] = [rig.attach('a'), rig.attach('b')];
    rig.store('a');
    const drained = rig.drain();
    b.answer(1, 1);
    expect(b.socket.closes).toEqual([
      { code: 4505, reason: 'EPROTO: an answer to delivery 1, which this client was never given' },
    ]);
    a.answer(1, 1);
    expect(result(await drained)).toMatchObject({ ret: 1 });
  });

  it('that fails behind one that was fine leaves what was answered answered', async () => {
    const rig = new RemoteRig({ max_batch_bytes: 16 });
    const client = rig.attach('a');
    rig.store('a', 'b', 'c');
    const drained = rig.drain();
    client.answer(1, 1);
    await settled();
    client.fail(2, 'no');
    expect(await drained).toMatchObject({ drained: 1 });
    expect(rig.used).toBe(32);
    expect(rig.handler.state()).toMatchObject({ samples: 1, errors: { EIO: 1 } });
  });
});

describe('a client that does not answer', () => {
  it('costs its delivery after timeout_ms: ETIMEDOUT, nothing released, CANCEL', async () => {
    const rig = new RemoteRig({ timeout_ms: 200 });
    const client = rig.attach('a');
    rig.store('a');
    const drained = rig.drain();
    rig.clock.advance(199);
    expect(client.said()).toEqual(['deliver 1 at 0: a']);
    rig.clock.advance(1);
    expect(client.said()).toEqual(['cancel 1 110', 'standby']);
    expect(result(await drained)).toEqual({
      ret: -110,
      drained: 0,
      stopped: false,
      why: 'client "a" did not answer delivery 1 within 200 ms',
    });
    expect(rig.handler.state()).toMatchObject({ active: null, attached: 1, errors: { ETIMEDOUT: 1 } });
  });

  it('gets nothing more until it has answered, and its credit stays in use', async () => {
    const rig = new RemoteRig({ timeout_ms: 200 });
    const client = rig.attach('a');
    rig.store('a');
    const drained = rig.drain();
    rig.clock.advance(200);
    await drained;
    client.said();
    expect(rig.handler.state()).toMatchObject({ in_flight_bytes: 32 });
    const asked = rig.drain();
    rig.clock.advance(200);
    expect(result(await asked)).toMatchObject({
      ret: -110,
      why: 'each client (1) hangs on a delivery of 1 samples from here on, for another 200 ms',
    });
    expect(client.said()).toEqual([]);
    expect(rig.ready).toBe(0);

    client.answer(1, 1);
    expect(rig.used).toBe(16);
    expect(client.said()).toEqual(['active']);
    expect(rig.ready).toBe(1);
    expect(rig.handler.state()).toMatchObject({ late_answers: 1, in_flight_bytes: 0, samples: 0 });
    const again = rig.drain();
    expect(client.said()).toEqual(['deliver 2 at 0: a']);
    client.answer(2, 1);
    expect(result(await again)).toMatchObject({ ret: 1 });
  });

  it('hands over to a standby, and stands behind all others afterwards', async () => {
    const rig = new RemoteRig({ timeout_ms: 200 });
    const [hung, b, c] = [rig.attach('hung'), rig.attach('b'), rig.attach('c')];
    rig.store('a');
    const drained = rig.drain();
    rig.clock.advance(200);
    await drained;
    expect([b.said(), c.said()]).toEqual([['active'], []]);
    hung.answer(1, 1);
    b.session.closed();
    expect(c.said()).toEqual(['active']);
    c.session.closed();
    expect(hung.said()).toEqual(['deliver 1 at 0: a', 'cancel 1 110', 'standby', 'active']);
  });

  it('leaves no timer behind when it does answer', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a');
    rig.store('a');
    const drained = rig.drain();
    expect(rig.clock.timers).toBe(1);
    client.answer(1, 1);
    await drained;
    expect(rig.clock.timers).toBe(0);
  });
});

describe('a client that is gone in the middle of a delivery', () => {
  it('fails the drain with EIO, nothing released, and the next one takes over', async () => {
    const rig = new RemoteRig();
    const [a, b] = [rig.attach('a'), rig.attach('b')];
    rig.store('x', 'y');
    const drained = rig.drain();
    a.session.closed();
    expect(result(await drained)).toEqual({
      ret: -5,
      drained: 0,
      stopped: false,
      why: 'client "a" disconnected with delivery 1 unanswered',
    });
    expect(rig.clock.timers).toBe(0);
    expect(b.said()).toEqual(['active']);
    const again = rig.drain();
    expect(b.said()).toEqual(['deliver 2 at 0: x y']);
    b.answer(2, 2);
    expect(result(await again)).toMatchObject({ ret: 2 });
    expect(rig.handler.state()).toMatchObject({ attached: 1, active: 'b', errors: { EIO: 1 }, takeovers: 1 });
  });

  it('changes nothing when it only stood by', async () => {
    const rig = new RemoteRig();
    const [a, b] = [rig.attach('a'), rig.attach('b')];
    rig.store('x');
    const drained = rig.drain();
    b.session.closed();
    a.answer(1, 1);
    expect(result(await drained)).toMatchObject({ ret: 1 });
  });
});

describe('nobody to deliver to', () => {
  it('is EAGAIN with a reason, and onReady tells when a client attaches', async () => {
    const rig = new RemoteRig();
    rig.store('a');
    expect(result(await rig.drain())).toEqual({
      ret: -11,
      drained: 0,
      stopped: false,
      why: 'no client is attached',
    });
    expect(rig.ready).toBe(0);
    rig.attach('a');
    expect(rig.ready).toBe(1);
    rig.attach('b');
    expect(rig.ready).toBe(1);
  });

  it('is no failure for an empty ring', async () => {
    expect(result(await new RemoteRig().drain())).toMatchObject({ ret: 0, why: undefined });
  });

  it('is ENOSPC where credit is too small for the sample, until CREDIT says otherwise', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a', { credit: 64 });
    rig.store('z'.repeat(100));
    expect(result(await rig.drain())).toMatchObject({
      ret: -28,
      why: 'the next delivery has 128 bytes, and no client that could take one has so much credit',
    });
    client.credit(127);
    expect(rig.ready).toBe(0);
    client.credit(128);
    expect(rig.ready).toBe(1);
    client.said();
    const drained = rig.drain();
    expect(textOf(client.delivery())).toEqual(['z'.repeat(100)]);
    client.answer(1, 1);
    expect(result(await drained)).toMatchObject({ ret: 1 });
  });

  it('is not the case when a standby has the credit that the active one lacks', async () => {
    const rig = new RemoteRig();
    const [small, large] = [rig.attach('small', { credit: 64 }), rig.attach('large', { credit: 4096 })];
    rig.store('z'.repeat(100), 'tail');
    const drained = rig.drain();
    expect(small.said()).toEqual(['standby']);
    expect(large.said()).toEqual(['active', `deliver 1 at 0: ${'z'.repeat(100)}`]);
    large.answer(1, 1);
    await settled();
    // The run was as long as the small client could take; the next one is as long as the large one can.
    expect(large.said()).toEqual(['deliver 2 at 112: tail']);
    large.answer(2, 1);
    expect(result(await drained)).toMatchObject({ ret: 2 });
  });
});

describe('the end of the handler', () => {
  it('ends every connection with 1012, and a delivery on its way with EIO', async () => {
    const rig = new RemoteRig();
    const [a, b] = [rig.attach('a'), rig.attach('b')];
    rig.store('x');
    const drained = rig.drain();
    await rig.handler.close();
    expect(result(await drained)).toMatchObject({ ret: -5, drained: 0 });
    const closed = [{ code: 1012, reason: 'ENOENT: the handler was removed or replaced' }];
    expect([a.socket.closes, b.socket.closes]).toEqual([closed, closed]);
    expect(b.said()).toEqual([]);
    expect(() => rig.attach('late')).toThrow('the handler was removed');
    expect(rig.handler.state()).toMatchObject({ attached: 0, active: null });
  });
});

describe('what operators see', () => {
  it('is who is attached, who is active, what is on its way, and what went wrong', async () => {
    const rig = new RemoteRig();
    expect(rig.handler.state()).toEqual({
      attached: 0,
      active: null,
      credit_bytes: 0,
      in_flight_bytes: 0,
      deliveries: 0,
      samples: 0,
      bytes: 0,
      takeovers: 0,
      late_answers: 0,
      stray_answers: 0,
      errors: {},
    });
    const a = rig.attach('a');
    rig.attach('b');
    rig.store('one', 'two');
    const drained = rig.drain();
    expect(rig.handler.state()).toEqual({
      attached: 2,
      active: 'a',
      credit_bytes: 65_536,
      in_flight_bytes: 48,
      deliveries: 1,
      samples: 0,
      bytes: 48,
      takeovers: 0,
      late_answers: 0,
      stray_answers: 0,
      errors: {},
    });
    a.answer(1, 2);
    await drained;
    expect(rig.handler.state()).toMatchObject({ in_flight_bytes: 0, samples: 2 });
  });
});
