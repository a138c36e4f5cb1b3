import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connect, daemonFor } from '../../src/client/index.js';
import { failure, startDaemon } from './support.js';

const urls = fc.uniqueArray(
  fc
    .tuple(fc.domain(), fc.integer({ min: 1024, max: 65535 }))
    .map(([host, port]) => `http://${host}:${port}`),
  { minLength: 1, maxLength: 8 },
);
const map = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);

describe('daemonFor', () => {
  it('gives the same answer whatever the order of the list', () => {
    fc.assert(
      fc.property(urls, map, (list, name) => {
        expect(daemonFor(name, [...list].reverse())).toBe(daemonFor(name, list));
      }),
    );
  });

  it('moves a map to a daemon that joins, or leaves it where it is', () => {
    fc.assert(
      fc.property(urls, map, (list, name) => {
        const [joins, ...others] = list as [string, ...string[]];
        if (others.length === 0) return;
        expect([joins, daemonFor(name, others)]).toContain(daemonFor(name, list));
      }),
    );
  });

  it('spreads maps evenly', () => {
    const list = [1, 2, 3, 4].map((number) => `http://10.0.0.${number}:7890`);
    const counts = new Map(list.map((url) => [url, 0]));
    for (let number = 0; number < 4000; number++) {
      const url = daemonFor(`map-${number}`, list);
      counts.set(url, counts.get(url)! + 1);
    }
    for (const count of counts.values()) expect(count).toBeGreaterThan(850);
  });

  // Worked out from the definition in another language: its clients have to come to the same.
  it.each([
    ['events', 'http://a:7890'],
    ['telemetry', 'http://b:7890'],
    ['a', 'http://b:7890'],
  ])('has map %s on %s', (name, url) => {
    expect(daemonFor(name, ['http://a:7890', 'http://b:7890', 'https://c/ring/'])).toBe(url);
  });

  it('takes ws: and http:, with and without a slash, for one daemon', () => {
    const list = ['http://a:7890', 'http://b:7890', 'http://c:7890'];
    const other = ['ws://a:7890/', 'ws://b:7890/', 'ws://c:7890/'];
    for (let number = 0; number < 50; number++)
      expect(other.indexOf(daemonFor(`m${number}`, other))).toBe(list.indexOf(daemonFor(`m${number}`, list)));
  });

  it.each([
    ['no daemon', []],
    ['not an address', ['not an address']],
    ['the scheme', ['ftp://x']],
  ])('says EINVAL and "%s"', (text, list) => {
    expect(() => daemonFor('m', list)).toThrow(text);
  });
});

describe('connect with urls', () => {
  it('goes to the daemon that has the map', async () => {
    const daemons = [await startDaemon(), await startDaemon(), await startDaemon()];
    const list = daemons.map(({ url }) => url);
    for (const name of ['a', 'b', 'c', 'd']) {
      const there = daemons[list.indexOf(daemonFor(name, list))]!;
      const before = there.upgrades.length;
      const producer = await connect({ urls: list, map: name });
      expect(there.upgrades.length).toBe(before + 1);
      await producer.close();
    }
  });

  it('refuses url and urls together', async () => {
    const error = await failure(connect({ url: 'ws://a', urls: ['ws://b'], map: 'm' }));
    expect(error).toMatchObject({ errno: 'EINVAL', code: 'BAD_ARGUMENT' });
    expect(error.message).toContain('urls');
  });
});
