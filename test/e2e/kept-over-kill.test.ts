/** What was answered is there after kill -9: the real process, started from the built files, twice on one data directory. */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useDaemonLives } from '../support/daemon-lives.js';
import { MAIN } from '../support/daemon-process.js';

if (!existsSync(MAIN))
  describe('the built daemon is not there', () => {
    it.skip('NOT RUN: the registry over kill -9 (npm run build makes dist/main.js)', () => undefined);
  });

describe.skipIf(!existsSync(MAIN))('the registry over kill -9', () => {
  const lives = useDaemonLives();

  it('has every map and handler whose call was answered', async () => {
    const first = await lives.start();
    await first.rest.createMap('gone');
    for (let number = 0; number < 5; number++) await first.rest.createMap(`m${number}`);
    await first.rest.expect(204, 'DELETE', '/v1/maps/gone');
    await first.kill();

    const second = await lives.start();
    expect(second.maps).toBe(5);
    const { maps } = await second.rest.expect(200, 'GET', '/v1/maps');
    expect(
      (maps as { name: string; handlers: string[] }[]).map(({ name, handlers }) => [name, handlers]),
    ).toEqual([0, 1, 2, 3, 4].map((number) => [`m${number}`, ['count', 'capture']]));
    await second.rest.expect(200, 'PUT', '/v1/maps/m0', { max_entries: 4096 });
  });
});
