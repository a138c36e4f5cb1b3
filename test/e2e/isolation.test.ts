/**
 * One hostile handler after the other in one real daemon. It costs its own map: two other maps drain everything they are given
 * meanwhile, /livez answers, and afterwards every sample of each map is accounted for.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { assertMapConserved } from '../support/conservation.js';
import { DaemonProcess } from '../support/daemon-process.js';
import { HOSTILE_BYTE, HOSTILE_HANDLERS } from '../support/hostile-handlers.js';
import { until } from '../support/until.js';

/** Generous: how fast the machine is decides nothing here. */
const PATIENCE_MS = 45_000;
const FOR_HOSTILE = 60;
const BATCH = 50;

let daemon: DaemonProcess;
let pid: number;

beforeAll(async () => {
  daemon = await DaemonProcess.start({ drain: { backoff_min_ms: 5, backoff_max_ms: 20 } });
  pid = daemon.pid;
});
afterAll(() => daemon.destroy());

/** A map that counts by itself, and a producer that knows how much it has stored. */
async function neighbour(map: string): Promise<{ give(): Promise<void>; given(): number; close(): unknown }> {
  await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}`, { max_entries: 65_536 });
  const count = { kind: 'count', trigger: { mode: 'auto' } };
  await daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/count`, count);
  const producer = await connect({ url: daemon.url, map, producer: 'neighbour' });
  const samples = Array.from({ length: BATCH }, (_, index) => Buffer.alloc(index, 97));
  let given = 0;
  return {
    async give() {
      await producer.output(samples);
      given += BATCH;
    },
    given: () => given,
    close: () => producer.close(),
  };
}

/** Its drain may be under way, for as long as its budget. */
async function remove(map: string): Promise<void> {
  const path = `/v1/maps/${map}/handlers/hostile`;
  await daemon.rest.expect(200, 'POST', `${path}/disable`);
  await until(
    async () => (await daemon.rest.call('DELETE', path)).status === 204,
    `the hostile handler of ${map} is gone`,
    PATIENCE_MS,
  );
}

describe('beside a hostile handler the other maps lose nothing:', () => {
  it.each(HOSTILE_HANDLERS.map((hostile, index) => ({ ...hostile, hostile, index })))(
    '$name',
    async ({ hostile, index }) => {
      const { rest } = daemon;
      const [map, ...others] = [`hostile-${index}`, `other-a-${index}`, `other-b-${index}`] as const;
      await rest.expect(201, 'PUT', `/v1/maps/${map}`, { max_entries: 65_536 });
      const neighbours = await Promise.all(others.map(neighbour));
      const stop = await hostile.start(daemon, map);
      const producer = await connect({ url: daemon.url, map, producer: 'victim' });
      await producer.output(Array.from({ length: FOR_HOSTILE }, () => Buffer.alloc(100, HOSTILE_BYTE)));

      await until(
        async () => {
          await Promise.all(neighbours.map((each) => each.give()));
          expect((await rest.call('GET', '/livez')).status).toBe(200);
          const { counters } = await rest.showMap(map);
          const failures = hostile.errno === undefined ? 0 : (counters.drain_errors[hostile.errno] ?? 0);
          return (
            (hostile.errno === undefined || failures >= 2) &&
            (!hostile.delivers || counters.drained_samples === FOR_HOSTILE)
          );
        },
        `two drains that end with ${hostile.errno}, delivered: ${hostile.delivers}`,
        PATIENCE_MS,
      );
      for (const [at, each] of neighbours.entries()) {
        await until(
          async () => (await rest.showMap(others[at]!)).counters.drained_samples === each.given(),
          `${others[at]} has drained all it was given, while the hostile handler is there`,
          PATIENCE_MS,
        );
        const { counters } = await rest.showMap(others[at]!);
        expect(counters).toMatchObject({ accepted_samples: each.given(), discarded_samples: 0 });
        expect(Object.values(counters.drain_errors)).toEqual([]);
        await each.close();
      }
      const { counters } = await rest.showMap(map);
      expect(counters.accepted_samples).toBe(FOR_HOSTILE);
      if (!hostile.delivers) expect(counters.drained_samples).toBe(0);

      await producer.close();
      await stop();
      await remove(map);
      for (const each of [map, ...others]) await assertMapConserved(daemon, each);
      for (const each of [map, ...others]) await rest.expect(204, 'DELETE', `/v1/maps/${each}`);
      expect({ alive: daemon.alive, pid: daemon.pid }).toEqual({ alive: true, pid });
    },
    5 * PATIENCE_MS,
  );
});
