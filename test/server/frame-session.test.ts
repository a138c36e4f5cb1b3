/** What one connection's frames of one turn of the event loop come to: they share an ACK, and what is noted once. */
import { beforeEach, describe, expect, it } from 'vitest';
import { FrameSession } from '../../src/server/frame-session.js';
import type { WhenFull } from '../../src/server/producer-session.js';
import type { HostedMap } from '../../src/server/hosted-map.js';
import { buildOutputFrame, Op, Subprotocol } from '../../src/wire/index.js';
import { fakeSocket, type FakeSocket } from '../support/fake-socket.js';
import { toBytes } from '../support/raw-client.js';
import { hostMaps, putHandler, type HostedMaps } from './hosted.js';

let hosted: HostedMaps;
let map: HostedMap;
let socket: FakeSocket;
let session: FrameSession;

function connect(whenFull: WhenFull): void {
  socket = fakeSocket();
  const options = {
    map,
    ...map.states.claim('p', 'anonymous'),
    whenFull,
    subprotocol: Subprotocol.BINARY,
    remoteAddress: '127.0.0.1',
    label: 'p',
    connectedAtMs: 0,
    maxFrameBytes: 65_536,
    maxQueuedBytes: 65_536,
    onSlow: () => undefined,
  };
  session = new FrameSession(socket, options, 'binary');
  expect(socket.frames()).toMatchObject([{ op: Op.WELCOME }]);
}

beforeEach(() => {
  hosted = hostMaps();
  map = hosted.maps.create('m', { maxEntries: 4096 }).map;
  connect('reject');
});

const output = (seq: number, options = {}, samples = ['a']): void =>
  session.message(buildOutputFrame(seq, samples.map(toBytes), options), true);
/** The real event loop comes round: ACKs are sent. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('the age of the oldest sample', () => {
  beforeEach(async () => {
    await putHandler(map, undefined, { manual: true });
    // Drained and acknowledged: nothing is known of the next turn's samples.
    output(1);
    await map.drain('h', 0, {});
    await turn();
    expect(socket.frames()).toMatchObject([{ op: Op.ACK, seq: 1 }]);
    expect(map.oldestAgeMs).toBe(0);
  });

  it('is known when a resent OUTPUT has made an ACK due before', async () => {
    output(1, { resend: true });
    output(2);
    hosted.clock.advance(700);
    expect(map.oldestAgeMs).toBe(700);
    await turn();
    expect(socket.frames()).toMatchObject([{ op: Op.ACK, seq: 2 }]);
  });

  it('is that of the first of several small frames, in each turn', async () => {
    for (const seq of [2, 3]) output(seq);
    hosted.clock.advance(300);
    await turn();
    await map.drain('h', 0, {});
    for (const seq of [4, 5]) output(seq);
    hosted.clock.advance(400);
    expect(map.oldestAgeMs).toBe(400);
    await turn();
    expect(socket.frames()).toMatchObject([
      { op: Op.ACK, seq: 3 },
      { op: Op.ACK, seq: 5 },
    ]);
  });
});

describe('a message that waits for room', () => {
  it('is kept as a copy: what the session is given is lent', async () => {
    session.closed();
    connect('block');
    await putHandler(map, undefined, { manual: true });
    const lent = buildOutputFrame(1, [toBytes('a'.repeat(2500)), toBytes('b'.repeat(2500))], {});
    session.message(lent, true);
    lent.fill(0);
    await map.drain('h', 0, {});
    await turn();
    expect(socket.frames()).toMatchObject([{ op: Op.ACK, seq: 1 }]);
    expect(map.ring.bytes.filter((byte) => byte === 'b'.charCodeAt(0))).toHaveLength(2500);
  });
});
