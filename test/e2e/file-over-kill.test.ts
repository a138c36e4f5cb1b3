/** What the `file` handler has after kill -9 in the middle of drains: each acknowledged sample, once, in order. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { useDaemonLives } from '../support/daemon-lives.js';
import { MAIN } from '../support/daemon-process.js';
import { until } from '../support/until.js';

const LIVES = 3;
const SAMPLES_PER_LIFE = 400;
const PATIENCE_MS = 60_000;

if (!existsSync(MAIN))
  describe('the built daemon is not there', () => {
    it.skip('NOT RUN: the file handler over kill -9 (npm run build makes dist/main.js)', () => undefined);
  });

describe.skipIf(!existsSync(MAIN))('the file handler over kill -9', () => {
  const lives = useDaemonLives();
  const start = () => lives.start(undefined, ['--limits-max-event-loop-delay-ms', '0']);

  it.each(['written', 'synced'])(
    'has what a %s map acknowledged, once and in order',
    async (durability) => {
      let daemon = await start();
      await daemon.rest.expect(201, 'PUT', '/v1/maps/kept', { max_entries: 65_536, durability });
      await daemon.rest.expect(201, 'PUT', '/v1/maps/kept/handlers/out', {
        kind: 'file',
        config: { name: 'out.ndjson' },
        trigger: { mode: 'auto' },
      });
      let sent = 0;
      for (let life = 0; life < LIVES; life++) {
        const producer = await connect({ url: daemon.url, map: 'kept', producer: 'p', reconnect: false });
        for (const end = sent + SAMPLES_PER_LIFE; sent < end;)
          await producer.output(Array.from({ length: 10 }, () => `sample ${sent++}`));
        // Drains are under way: what they wrote and did not release comes again.
        await daemon.kill();
        await producer.close({ timeoutMs: 0 });
        daemon = await start();
      }
      await until(
        async () => {
          const shown = await daemon.rest.expect(200, 'GET', '/v1/maps/kept');
          return shown['freed_pos'] === shown['producer_pos'];
        },
        'everything is drained',
        PATIENCE_MS,
      );
      const text = await readFile(join(lives.dataDir, 'out', 'kept', 'out.ndjson'), 'utf8');
      const lines = text.trimEnd().split('\n');
      expect(lines.map((line) => (JSON.parse(line) as { sample: string }).sample)).toEqual(
        Array.from({ length: LIVES * SAMPLES_PER_LIFE }, (_, number) => `sample ${number}`),
      );
    },
    2 * PATIENCE_MS,
  );
});
