/** SIGTERM while an SDK producer sends: the next daemon has every sample once, in order. The real process, twice. */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { useDaemonLives } from '../support/daemon-lives.js';
import { MAIN } from '../support/daemon-process.js';

if (!existsSync(MAIN))
  describe('the built daemon is not there', () => {
    it.skip('NOT RUN: SIGTERM under load (npm run build makes dist/main.js)', () => undefined);
  });

describe.skipIf(!existsSync(MAIN))('SIGTERM under load', { timeout: 60_000 }, () => {
  const lives = useDaemonLives();

  it.each(['written', 'synced'] as const)('loses and doubles nothing on a %s map', async (durability) => {
    const first = await lives.start();
    await first.rest.createMap('m', { max_entries: 1 << 20, durability });
    const producer = await connect({ url: first.url, map: 'm', producer: 'p' });
    const outcomes: Promise<unknown>[] = [];
    let sent = 0;
    let acknowledged = 0;
    const send = (): void => {
      const samples = Array.from({ length: 5 }, () => String(sent++));
      outcomes.push(producer.output(samples).then(() => acknowledged++));
    };
    // Always some under way, also when the signal comes.
    while (acknowledged < 50) {
      for (let count = 0; count < 10; count++) send();
      await Promise.race(outcomes.slice(-10));
    }
    for (let count = 0; count < 20; count++) send();
    const ending = first.term();
    for (let count = 0; count < 20; count++) send();
    expect(await ending).toBe(0);

    const second = await lives.start(new URL(first.url).host);
    await Promise.all(outcomes);
    expect(await producer.close()).toMatchObject({ flushed: true, failed: 0 });
    const drained = await second.rest.drainSamples('m');
    expect(drained.map((hex) => Buffer.from(hex, 'hex').toString())).toEqual(
      Array.from({ length: sent }, (_, number) => String(number)),
    );
    expect(await second.rest.expect(200, 'GET', '/v1/maps/m/ledger')).toMatchObject({
      holds: true,
      producers: [{ producer: 'p', accepted: { samples: sent }, drained: { samples: sent } }],
    });
  });
});
