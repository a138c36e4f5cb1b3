import { pino } from 'pino';
import { checkRun } from '../../src/ring/index.js';
import { DrainScheduler, type SchedulerSettings } from '../../src/server/drain-scheduler.js';
import type { SampleHandler } from '../../src/server/handlers/index.js';
import type { HostedMap } from '../../src/server/hosted-map.js';
import type { MapObserver } from '../../src/server/map-observer.js';
import { MapRegistry, type RegistrySettings } from '../../src/server/map-registry.js';
import { buildRun } from '../../src/wire/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { toBytes } from '../support/raw-client.js';

/** Maps without a daemon around them, on a clock that a test turns by hand. */
export interface HostedMaps {
  readonly clock: ManualClock;
  readonly maps: MapRegistry;
  readonly scheduler: DrainScheduler;
  /** Ended drains: map, handler. */
  readonly drained: string[];
  readonly closed: string[];
  /** Lines of the log, parsed. */
  readonly log: Record<string, unknown>[];
}

const settings: RegistrySettings = {
  dataDir: '/nonexistent',
  leaseMs: 30_000,
  stateTtlMs: 1000,
  maxProducers: 100,
  maxReservationsPerConnection: 100,
  maxHandlers: 16,
  maxLedgerRuns: 1024,
  maxDiskBytes: 2 ** 30,
  shadowQueueBytes: 4096,
  maxMaps: 100,
  maxTotalRingBytes: 2 ** 30,
};

export function hostMaps(
  overrides: { registry?: Partial<RegistrySettings>; scheduler?: Partial<SchedulerSettings> } = {},
): HostedMaps {
  const clock = new ManualClock();
  const log: Record<string, unknown>[] = [];
  const logger = pino({ level: 'debug' }, { write: (line) => void log.push(JSON.parse(line) as never) });
  const drained: string[] = [];
  const closed: string[] = [];
  const scheduler = new DrainScheduler(
    clock,
    {
      turnTimeMs: 5,
      maxTurnSamples: 131_072,
      backoffMinMs: 100,
      backoffMaxMs: 30_000,
      ...overrides.scheduler,
    },
    // The longest pauses that chance allows.
    () => 1,
  );
  const observer: MapObserver<HostedMap> = {
    changed: (map) => scheduler.changed(map),
    triggerChanged: (map) => scheduler.triggerChanged(map),
    drained: (map, handler) => void drained.push(`${map.name} ${handler}`),
    batched: () => undefined,
    handlerRemoved: () => undefined,
    foundBusy: (map) => scheduler.hold(map),
    handlerReady: (map, handler) => scheduler.ready(map, handler),
    closed(map) {
      scheduler.forget(map);
      closed.push(map.name);
    },
  };
  const maps = new MapRegistry({ ...settings, ...overrides.registry }, { clock, logger, observer });
  return { clock, maps, scheduler, drained, closed, log };
}

/** Stores samples, as a producer's OUTPUT would. */
export function store(map: HostedMap, ...samples: (string | Uint8Array)[]): void {
  const run = buildRun(samples.map(toBytes));
  map.intake.store(run, checkRun(new DataView(run.buffer), map.ring.size));
}

/** A handler that answers as a test says, with the auto trigger unless told otherwise. */
export async function putHandler(
  map: HostedMap,
  onSample: SampleHandler['onSample'] = () => 0,
  options: { name?: string; min_bytes?: number; max_delay_ms?: number; manual?: boolean } = {},
): Promise<void> {
  const { name = 'h', min_bytes = 1, max_delay_ms = 0, manual = false } = options;
  const trigger = manual
    ? ({ mode: 'manual' } as const)
    : ({ mode: 'auto', flags: [], min_bytes, max_delay_ms } as const);
  const { registered } = await map.putHandler(name, { kind: 'count', config: {}, trigger });
  Object.assign(registered.handler, { onSample });
}
