import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/client/clock.js';
import { Backoff, defaultReconnect } from '../../src/client/reconnect.js';

function clockAt(time: { now: number; random: number }): Clock {
  return { now: () => time.now, random: () => time.random, after: () => undefined, clear: () => undefined };
}

describe('the delays between attempts', () => {
  it('are below a bound that doubles up to the largest', () => {
    const time = { now: 0, random: 1 };
    const backoff = new Backoff({ ...defaultReconnect, minDelayMs: 100, maxDelayMs: 1000 }, clockAt(time));
    expect([1, 2, 3, 4, 5, 6].map(() => backoff.next())).toEqual([100, 200, 400, 800, 1000, 1000]);
    expect(backoff.attempts).toBe(6);
  });

  it('are spread over the whole of that bound', () => {
    const time = { now: 0, random: 0 };
    const backoff = new Backoff({ ...defaultReconnect, minDelayMs: 100 }, clockAt(time));
    expect(backoff.next()).toBe(0);
    time.random = 0.25;
    expect(backoff.next()).toBe(50);
  });

  it('come after the advice of the daemon', () => {
    const backoff = new Backoff({ ...defaultReconnect, minDelayMs: 100 }, clockAt({ now: 0, random: 0.5 }));
    expect(backoff.next(2000)).toBe(2050);
  });

  it('begin anew after a connection that lived long enough, and not after a short one', () => {
    const time = { now: 0, random: 1 };
    const backoff = new Backoff({ ...defaultReconnect, minDelayMs: 100, stableMs: 5000 }, clockAt(time));
    backoff.next();
    backoff.next();
    backoff.connected();
    time.now += 4999;
    expect(backoff.next()).toBe(400);
    backoff.connected();
    time.now += 5000;
    expect(backoff.next()).toBe(100);
  });

  it('end after maxAttempts, of which 0 means no end', () => {
    const time = { now: 0, random: 1 };
    const three = new Backoff({ ...defaultReconnect, maxAttempts: 3 }, clockAt(time));
    expect([1, 2, 3, 4].map(() => three.next() !== undefined)).toEqual([true, true, true, false]);
    const endless = new Backoff({ ...defaultReconnect, minDelayMs: 0 }, clockAt(time));
    for (let i = 0; i < 5000; i++) expect(endless.next()).toBe(0);
  });
});
