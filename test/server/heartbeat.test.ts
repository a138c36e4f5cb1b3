import { beforeEach, describe, expect, it } from 'vitest';
import { Heartbeat, type HeartbeatPeer } from '../../src/server/heartbeat.js';
import { ManualClock } from '../support/manual-clock.js';

interface FakePeer extends HeartbeatPeer {
  deadlineSuspended: boolean;
  pings: number;
  terminated: boolean;
}

function fakePeer(): FakePeer {
  const peer: FakePeer = {
    awaitingPong: false,
    deadlineSuspended: false,
    pings: 0,
    terminated: false,
    ping: () => void peer.pings++,
    terminate: () => void (peer.terminated = true),
  };
  return peer;
}

describe('the heartbeat', () => {
  const INTERVAL = 30_000;
  let clock: ManualClock;
  let lost: number;
  let heartbeat: Heartbeat;
  beforeEach(() => {
    clock = new ManualClock();
    lost = 0;
    heartbeat = new Heartbeat(clock, INTERVAL, () => void lost++);
  });

  it('pings once an interval and keeps whoever answers', () => {
    const peer = fakePeer();
    heartbeat.add(peer);
    for (let beat = 1; beat <= 5; beat++) {
      clock.advance(INTERVAL);
      expect(peer.pings).toBe(beat);
      peer.awaitingPong = false;
    }
    expect([peer.terminated, lost]).toEqual([false, 0]);
  });

  it('ends whoever was silent for a whole interval after a ping, once', () => {
    const [silent, lively] = [fakePeer(), fakePeer()];
    heartbeat.add(silent);
    heartbeat.add(lively);
    clock.advance(INTERVAL);
    lively.awaitingPong = false;
    clock.advance(INTERVAL - 1);
    expect(silent.terminated).toBe(false);
    clock.advance(1);
    expect([silent.terminated, lively.terminated, lost]).toEqual([true, false, 1]);
    clock.advance(3 * INTERVAL);
    // The lively one was pinged at the second beat and stayed silent since.
    expect([silent.pings, lost]).toEqual([1, 2]);
  });

  it('does not count the silence of a connection that the daemon itself has paused, but goes on pinging it', () => {
    const peer = fakePeer();
    heartbeat.add(peer);
    peer.deadlineSuspended = true;
    clock.advance(10 * INTERVAL);
    expect([peer.terminated, peer.pings]).toEqual([false, 10]);
    peer.deadlineSuspended = false;
    peer.awaitingPong = false;
    clock.advance(INTERVAL);
    expect(peer.terminated).toBe(false);
    clock.advance(INTERVAL);
    expect(peer.terminated).toBe(true);
  });

  it('keeps no timer without peers, and none at all with an interval of 0', () => {
    const peer = fakePeer();
    heartbeat.add(peer);
    heartbeat.add(fakePeer());
    expect(clock.timers).toBe(1);
    heartbeat.delete(peer);
    expect(clock.timers).toBe(1);
    heartbeat.stop();
    expect(clock.timers).toBe(0);
    new Heartbeat(clock, 0, () => undefined).add(peer);
    expect(clock.timers).toBe(0);
  });

  it('starts again after its last peer had gone', () => {
    const first = fakePeer();
    heartbeat.add(first);
    heartbeat.delete(first);
    expect(clock.timers).toBe(0);
    const second = fakePeer();
    heartbeat.add(second);
    clock.advance(INTERVAL);
    expect([first.pings, second.pings]).toEqual([0, 1]);
  });
});
