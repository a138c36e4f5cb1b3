import { describe, expect, it } from 'vitest';
import { RemoteRig, result } from './handlers/remote-rig.js';

describe('the first frame', () => {
  it('says where the client is attached, as what, and under which limits', () => {
    const rig = new RemoteRig({ timeout_ms: 250, max_batch_bytes: 1000 });
    expect(rig.attach('a').attached).toEqual({
      op: 0x90,
      version: 1,
      body: {
        map: 'm',
        handler: 'h',
        incarnation: 'x',
        client: 'a',
        role: 'active',
        limits: { max_batch_bytes: 1000, timeout_ms: 250, max_frame_bytes: 1024 },
      },
    });
    expect(rig.attach('b').attached.body.role).toBe('standby');
  });

  it('is not preceded by a ROLE', () => {
    expect(new RemoteRig().attach('a').said()).toEqual([]);
  });
});

describe('CREDIT', () => {
  it('is answered with the role, echoing its seq', () => {
    const rig = new RemoteRig();
    const client = rig.attach('a');
    client.credit(4096, 7n);
    expect(client.frames).toEqual([]);
    expect(client.said()).toEqual(['active']);
    expect(rig.handler.state()).toMatchObject({ credit_bytes: 4096 });
  });

  it('of 0 gives the role away, and no delivery comes', async () => {
    const rig = new RemoteRig();
    const [a, b] = [rig.attach('a'), rig.attach('b')];
    a.credit(0);
    expect(a.said()).toEqual(['standby', 'standby']);
    expect(b.said()).toEqual(['active']);
    rig.store('x');
    const drained = rig.drain();
    expect(a.said()).toEqual([]);
    expect(b.said()).toEqual(['deliver 1 at 0: x']);
    b.answer(1, 1);
    await drained;
  });

  it('of 0 in the middle of a delivery lets it be answered', async () => {
    const rig = new RemoteRig();
    const a = rig.attach('a');
    rig.store('x');
    const drained = rig.drain();
    a.credit(0);
    a.answer(1, 1);
    expect(result(await drained)).toMatchObject({ ret: 1 });
  });

  it('makes a client that attached without any the active one', () => {
    const rig = new RemoteRig();
    const client = rig.attach('a', { credit: 0 });
    expect(client.attached.body.role).toBe('standby');
    client.credit(1024);
    expect(client.said()).toEqual(['active', 'active']);
  });
});

describe('a message that is no frame', () => {
  it.each([
    ['text', new TextEncoder().encode('{}'), false, 'a text message'],
    ['bytes', Uint8Array.of(1, 2, 3), true, 'a header of 16 bytes'],
    ['a frame of the daemon', Uint8Array.of(0x91, ...new Uint8Array(15)), true, 'op 0x91'],
  ])(
    '(%s) ends the connection with 4505, and the handler goes on without it',
    (_kind, bytes, binary, why) => {
      const rig = new RemoteRig();
      const [bad, good] = [rig.attach('bad'), rig.attach('good')];
      bad.session.message(bytes, binary);
      expect(bad.socket.closes).toEqual([
        { code: 4505, reason: expect.stringMatching(new RegExp(`^EPROTO: .*${why}`)) as string },
      ]);
      expect(good.said()).toEqual(['active']);
      bad.credit(9999);
      bad.session.closed();
      expect(rig.handler.state()).toMatchObject({ attached: 1, active: 'good', credit_bytes: 65_536 });
    },
  );

  it('is cut off while a delivery is on its way: EIO', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a');
    rig.store('x');
    const drained = rig.drain();
    client.session.violated();
    expect(result(await drained)).toMatchObject({ ret: -5 });
  });
});

describe('the closing handshake of a client', () => {
  it('is answered at once, and ends what it had', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a');
    rig.store('x');
    const drained = rig.drain();
    expect(client.session.closing()).toBe(false);
    expect(result(await drained)).toMatchObject({ ret: -5 });
    client.session.closed();
    expect(rig.handler.state()).toMatchObject({ attached: 0 });
  });
});

describe('a client that does not read', () => {
  it('may have one delivery of any size waiting for it', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a', { keep: true, maxQueuedBytes: 1000 });
    rig.store(new Uint8Array(3000));
    const drained = rig.drain();
    expect(client.socket.closes).toEqual([]);
    client.answer(1, 1);
    expect(result(await drained)).toMatchObject({ ret: 1 });
  });

  it('is closed with 4408 when more than that waits: the delivery fails, the limit holds', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a', { keep: true, maxQueuedBytes: 1000 });
    for (let i = 0; i < 100 && client.socket.closes.length === 0; i++) client.credit(4096);
    expect(client.socket.closes).toEqual([{ code: 4408, reason: 'ENOSPC: the client reads too slowly' }]);
    expect(client.socket.queuedBytes).toBeLessThanOrEqual(1000 + 16);
    expect(rig.slow).toEqual(['a']);
    expect(rig.handler.state()).toMatchObject({ attached: 0 });
    rig.store('x');
    expect(result(await rig.drain()).why).toBe('no client is attached');
  });

  it('and is found out by a delivery: EIO', async () => {
    const rig = new RemoteRig();
    const client = rig.attach('a', { keep: true, maxQueuedBytes: 1000 });
    client.socket.queuedBytes = 1001;
    rig.store('x');
    expect(result(await rig.drain())).toMatchObject({ ret: -5 });
    expect(client.socket.closes).toMatchObject([{ code: 4408 }]);
  });
});
