import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, expect } from 'vitest';
import { records } from '../../../src/ring/index.js';
import { systemClock } from '../../../src/server/clock.js';
import type { HostedMap } from '../../../src/server/hosted-map.js';
import { reportLedger } from '../../../src/server/ledger/ledger-report.js';
import type { DrainResult } from '../../../src/server/drain-call.js';
import { MapRegistry } from '../../../src/server/map-registry.js';
import { store } from '../hosted.js';

/** Maps with real threads and real time, for handlers that run other people's code. */
export interface WorkerRig {
  readonly maps: MapRegistry;
  /** Lines of the log, parsed. */
  readonly log: Record<string, unknown>[];
  /** Where modules are. */
  readonly folder: string;
  /** A map that no other test uses. */
  newMap(options?: { maxEntries?: number; mode?: 'managed' | 'direct' }): HostedMap;
  /** A map with a handler "h" of a kind, and these samples in it. */
  handled(kind: string, config: Record<string, unknown>, samples: readonly string[]): Promise<HostedMap>;
  /** Writes a module; returns its file name. */
  module(source: string): string;
}

/** After each test: every map is conserved, and what is left in it is taken out and closed. */
export function useWorkerRig(): WorkerRig {
  const folder = mkdtempSync(join(tmpdir(), 'ringbufd-handlers-'));
  const log: Record<string, unknown>[] = [];
  const observer = {
    changed: () => undefined,
    triggerChanged: () => undefined,
    drained: () => undefined,
    batched: () => undefined,
    handlerRemoved: () => undefined,
    foundBusy: () => undefined,
    handlerReady: () => undefined,
    closed: () => undefined,
  };
  const maps = new MapRegistry(
    {
      dataDir: folder,
      handlersDir: folder,
      leaseMs: 30_000,
      stateTtlMs: 1000,
      maxProducers: 100,
      maxReservationsPerConnection: 100,
      maxHandlers: 16,
      maxLedgerRuns: 1024,
      maxDiskBytes: 2 ** 30,
      shadowQueueBytes: 4096,
      maxMaps: 1000,
      maxTotalRingBytes: 2 ** 30,
    },
    {
      clock: systemClock,
      logger: pino({ level: 'debug' }, { write: (line) => void log.push(JSON.parse(line) as never) }),
      observer,
    },
  );
  let number = 0;
  let modules = 0;

  afterEach(async () => {
    for (const map of [...maps]) {
      try {
        assertConserved(map);
      } finally {
        await maps.delete(map.name);
      }
    }
    log.length = 0;
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const rig: WorkerRig = {
    maps,
    log,
    folder,
    newMap({ maxEntries = 65_536, mode = 'managed' } = {}) {
      return maps.create(`m${++number}`, { maxEntries, mode }).map;
    },
    async handled(kind, config, samples) {
      const map = rig.newMap();
      await map.putHandler('h', { kind, config, trigger: { mode: 'manual' } });
      if (samples.length > 0) store(map, ...samples);
      return map;
    },
    module(source) {
      const file = `handler-${++modules}.mjs`;
      writeFileSync(join(folder, file), source);
      return file;
    },
  };
  return rig;
}

/** One drain through the handler "h". */
export async function drain(map: HostedMap, ctx: unknown = {}, flags = 0): Promise<DrainResult> {
  return map.drain('h', flags, ctx);
}

/** The samples in the ring, as text, from the head on. */
export function left(map: HostedMap): string[] {
  return [...records(map.ring)].map((record) => Buffer.from(record.payload()).toString());
}

/** accepted = drained + discarded + what the ring really holds, record by record and byte by byte. */
export function assertConserved(map: HostedMap): void {
  const { counters, ring } = map;
  const held = [...records(ring)];
  expect({ map: map.name, accepted: counters.acceptedSamples }).toEqual({
    map: map.name,
    accepted: counters.drainedSamples + counters.discardedSamples + held.length,
  });
  expect(held.reduce((sum, { length }) => sum + Math.ceil((length + 8) / 8) * 8, 0)).toBe(ring.used);
  expect(counters.releasedBytes).toBe(Number(ring.consumerPosition));
  if (ring.mode === 'managed') expect(reportLedger(map).checks.filter(({ holds }) => !holds)).toEqual([]);
}
