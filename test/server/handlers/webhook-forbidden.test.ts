/** What a webhook must not reach: traps stand where it would arrive if it did. */
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { answer, Receiver } from './webhook-receiver.js';
import { messageOf, Rig, type RigOptions } from './webhook-rig.js';

const EIO = -5;
const ALLOWED = '127.0.0.2';
const FORBIDDEN = '127.0.0.1';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startReceiver(options: Parameters<typeof Receiver.start>[0]): Promise<Receiver> {
  const receiver = await Receiver.start(options);
  cleanups.push(() => receiver.stop());
  return receiver;
}

function makeRig(options: RigOptions): Rig {
  const rig = new Rig(options);
  cleanups.push(() => rig.handler.close());
  return rig;
}

/** A resolver that gives one answer after the other; the last one stays. */
function answers(...lists: string[][]) {
  const asked: string[] = [];
  const resolve = async (hostname: string) => {
    asked.push(hostname);
    const addresses = lists.length > 1 ? lists.shift()! : lists[0]!;
    return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  };
  return { asked, resolve };
}

describe('a webhook and redirects', () => {
  it.each([301, 302, 303, 307, 308])('does not follow a %i to a private address', async (status) => {
    const trap = await startReceiver({});
    const location = trap.url('/admin');
    const receiver = await startReceiver({ behaviours: [answer(status, { location })] });
    const rig = makeRig({ config: { url: receiver.url() } });
    rig.put('a');
    const outcome = await rig.drain();
    expect(outcome).toMatchObject({ ret: EIO, drained: 0 });
    expect(messageOf(outcome)).toContain(`HTTP ${status}: redirects are not followed`);
    expect(receiver.requests).toHaveLength(1);
    expect(trap.sockets).toHaveLength(0);
    expect(rig.buffered).toBe(1);
  });
});

describe('a webhook and names', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['10.0.0.7', 'private'],
    ['169.254.169.254', 'link-local'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'IPv4-mapped'],
    ['64:ff9b::7f00:1', 'NAT64'],
    ['fd00::1', 'unique-local'],
  ])('does not connect to a name that is %s (%s)', async (address, reason) => {
    const trap = await startReceiver({});
    const { asked, resolve } = answers([address]);
    const rig = makeRig({ config: { url: `http://inside.example:${trap.port}/` }, allow: [], resolve });
    rig.put('a');
    const outcome = await rig.drain();
    expect(outcome).toMatchObject({ ret: EIO, drained: 0, error: { key: 'HANDLER_FAILED' } });
    expect(messageOf(outcome)).toContain(`inside.example is ${address}, ${reason}`);
    expect(trap.sockets).toHaveLength(0);
    // Not tried again: a refusal does not pass.
    expect(asked).toEqual(['inside.example']);
    expect(rig.buffered).toBe(1);
  });

  it('does not connect to localhost by its real name', async () => {
    const trap = await startReceiver({});
    const rig = makeRig({ config: { url: `http://localhost:${trap.port}/` }, allow: [] });
    rig.put('a');
    expect(messageOf(await rig.drain())).toContain('loopback');
    expect(trap.sockets).toHaveLength(0);
  });

  it('refuses a name of which one address is refused, whichever stands first', async () => {
    const trap = await startReceiver({});
    for (const list of [
      [FORBIDDEN, '192.31.196.1'],
      ['192.31.196.1', FORBIDDEN],
    ]) {
      const { resolve } = answers(list);
      const rig = makeRig({ config: { url: `http://mixed.example:${trap.port}/` }, allow: [], resolve });
      rig.put('a');
      expect(messageOf(await rig.drain())).toContain(`mixed.example is ${FORBIDDEN}, loopback`);
    }
    expect(trap.sockets).toHaveLength(0);
  });

  it('fails on a name without any address', async () => {
    const { resolve } = answers([]);
    const rig = makeRig({ config: { url: 'http://empty.example/', max_attempts: 1 }, resolve });
    rig.put('a');
    expect(messageOf(await rig.drain())).toContain('empty.example has no address');
  });

  it('delivers to an allowed name, and tells the server the name', async () => {
    const receiver = await startReceiver({});
    const { resolve } = answers([FORBIDDEN]);
    const rig = makeRig({
      config: { url: `http://inside.example:${receiver.port}/` },
      allow: ['127.0.0.1/32'],
      resolve,
    });
    rig.put('a');
    expect(await rig.drain()).toMatchObject({ ret: 1 });
    expect(receiver.requests[0]!.headers.host).toBe(`inside.example:${receiver.port}`);
  });
});

// An allowed loopback address stands for the public one, which a test must not call. Linux has the whole of 127/8.
const hasLoopbackNet = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.cidr === '127.0.0.1/8' && process.platform === 'linux');

describe.runIf(hasLoopbackNet)('a webhook and names that change their mind (needs 127.0.0.2)', () => {
  it('connects to the address that it checked, not to what a second answer says', async () => {
    const receiver = await startReceiver({ host: ALLOWED });
    const trap = await startReceiver({ host: FORBIDDEN, port: receiver.port });
    const { asked, resolve } = answers([ALLOWED], [FORBIDDEN]);
    const config = { url: `http://rebind.example:${receiver.port}/` };
    const rig = makeRig({ config, allow: [ALLOWED], resolve });
    rig.put('a');
    expect(await rig.drain()).toMatchObject({ ret: 1 });
    expect(receiver.requests).toHaveLength(1);
    expect(trap.sockets).toHaveLength(0);
    expect(asked).toHaveLength(1);
  });

  it('checks again for each new connection', async () => {
    const behaviours = [answer(200, { connection: 'close' })];
    const receiver = await startReceiver({ host: ALLOWED, behaviours });
    const trap = await startReceiver({ host: FORBIDDEN, port: receiver.port });
    const { asked, resolve } = answers([ALLOWED], [FORBIDDEN]);
    const config = { url: `http://rebind.example:${receiver.port}/` };
    const rig = makeRig({ config, allow: [ALLOWED], resolve });
    rig.put('a');
    expect(await rig.drain()).toMatchObject({ ret: 1 });
    rig.put('b');
    const outcome = await rig.drain();
    expect(outcome).toMatchObject({ ret: EIO, drained: 0 });
    expect(messageOf(outcome)).toContain(`rebind.example is ${FORBIDDEN}, loopback`);
    expect(asked).toHaveLength(2);
    expect(trap.sockets).toHaveLength(0);
    expect(rig.buffered).toBe(1);
  });
});
