import { expect } from 'vitest';
import type { TestDaemon } from './daemon.js';
import type { MapBody, PeekedRecord } from './rest.js';
import { until } from './until.js';

const HANDLER = 'conservation';

/**
 * Asserts for every managed map that no sample was lost or invented: accepted = drained + discarded + dead-lettered + buffered, where
 * buffered is what the ring really holds, record by record, and that a last drain hands exactly these to its callback
 * and leaves consumer_pos = producer_pos. Call it when the test's connections are gone; it empties the rings.
 */
export async function assertConservation(daemon: Pick<TestDaemon, 'rest'>): Promise<void> {
  const { maps } = (await daemon.rest.expect(200, 'GET', '/v1/maps')) as {
    maps: { name: string; mode: string }[];
  };
  for (const { name, mode } of maps) if (mode === 'managed') await assertMapConserved(daemon, name);
}

export async function assertMapConserved(daemon: Pick<TestDaemon, 'rest'>, map: string): Promise<void> {
  const { rest } = daemon;
  await until(
    async () => (await rest.showMap(map)).producers === 0,
    `the producers of map "${map}" are gone`,
  );
  // Takes the auto trigger's place, if there is one, and gives the drain a callback whose calls are counted.
  await removeAutoTrigger(daemon, map);
  await rest.call('PUT', `/v1/maps/${map}/handlers/${HANDLER}`, { kind: 'count' });
  const before = await rest.showMap(map);
  const held = await rest.peek(map);
  const ready = held.filter(({ state }) => state === 'ready').length;
  const discarded = held.filter(({ state }) => state === 'discarded').length;

  expect({ map, records: held.length, busy: busyOf(held), bytes: bytesOf(held) }).toEqual({
    map,
    records:
      before.counters.accepted_samples -
      before.counters.drained_samples -
      before.counters.discarded_samples -
      before.counters.dead_lettered_samples,
    busy: 0,
    bytes: Number(BigInt(before.producer_pos) - BigInt(before.consumer_pos)),
  });

  const drain = await rest.drain(map, HANDLER, { flags: ['BPF_RB_NO_WAKEUP'] });
  const { state } = await rest.expect(200, 'GET', `/v1/maps/${map}/handlers/${HANDLER}`);
  expect({
    map,
    drained: drain.drained,
    discarded: drain.discarded,
    calls: (state as { samples: number }).samples,
  }).toEqual({ map, drained: ready, discarded, calls: ready });
  const after = await rest.showMap(map);
  expect(after.consumer_pos).toBe(after.producer_pos);
  expect(after.counters.accepted_bytes).toBe(Number(after.producer_pos));
  expectBalanced(map, after);
  await rest.expect(204, 'DELETE', `/v1/maps/${map}/handlers/${HANDLER}`);
  const ledger = await rest.expect(200, 'GET', `/v1/maps/${map}/ledger?limit=100000`);
  const failing = (ledger.checks as { holds: boolean }[]).filter(({ holds }) => !holds);
  expect({ map, holds: ledger.holds, failing }).toEqual({ map, holds: true, failing: [] });
}

function expectBalanced(map: string, { counters }: MapBody): void {
  expect({ map, accepted: counters.accepted_samples }).toEqual({
    map,
    accepted: counters.drained_samples + counters.discarded_samples + counters.dead_lettered_samples,
  });
}

function busyOf(records: readonly PeekedRecord[]): number {
  return records.filter(({ state }) => state === 'busy').length;
}

/** Bytes that the records take in the ring, by their lengths. */
function bytesOf(records: readonly PeekedRecord[]): number {
  return records.reduce((sum, { len }) => sum + Math.ceil((len + 8) / 8) * 8, 0);
}

async function removeAutoTrigger({ rest }: Pick<TestDaemon, 'rest'>, map: string): Promise<void> {
  const { handlers } = (await rest.expect(200, 'GET', `/v1/maps/${map}/handlers`)) as {
    handlers: { name: string; trigger: { mode: string } }[];
  };
  for (const { name, trigger } of handlers)
    if (trigger.mode === 'auto')
      // A drain may be under way.
      await until(
        async () => (await rest.call('DELETE', `/v1/maps/${map}/handlers/${name}`)).status !== 409,
        `handler "${name}" of map "${map}" is idle`,
      );
}
