/** The engine without HTTP: maps, sessions, scheduler, metrics, wired and with one way to start and one to end. */
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { AccessControl } from './access-control.js';
import { systemClock, type Clock } from './clock.js';
import { ConnectionLimits } from './connection-limits.js';
import { parseListen, type Config } from './config.js';
import { declareMap } from './declared-maps.js';
import { DrainScheduler } from './drain-scheduler.js';
import { RingbufdError } from './errors.js';
import { Events } from './events.js';
import { Heartbeat } from './heartbeat.js';
import type { HostedMap } from './hosted-map.js';
import type { MapObserver } from './map-observer.js';
import { DirectoryLock } from './journal/directory-lock.js';
import { FileStore } from './journal/file-store.js';
import type { JournalStore } from './journal/journal.js';
import { MapRegistry } from './map-registry.js';
import { RecoveryProgress } from './recovery-progress.js';
import { KeptRegistry } from './registry/kept-registry.js';
import { RegistryFile } from './registry/registry-file.js';
import { shadowQueueBytes } from './shadow.js';
import { RequestGuard } from './request-guard.js';
import { TokenStore } from './tokens.js';
import { WsGateway } from './ws-gateway.js';

export interface DaemonOptions {
  logger: Logger;
  /** Injected in tests. */
  clock?: Clock;
  /** Where the journals of durable maps are. Absent: in files below `data_dir`. */
  journals?: () => Promise<JournalStore>;
  /** Hosts that the daemon turned out to listen on; asked at every request. */
  listenHosts?: () => string[];
}

export interface Daemon {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maps: MapRegistry;
  /** What was made over REST, on the disk. */
  readonly kept: KeptRegistry;
  readonly scheduler: DrainScheduler;
  readonly events: Events;
  readonly access: AccessControl;
  readonly connections: ConnectionLimits;
  readonly gateway: WsGateway;
  /** `serving`, or `draining` once {@link close} was called: /readyz. */
  readonly state: 'serving' | 'draining';
  /**
   * Takes no more of producers, acknowledges what is durable and tells them (4412), lets drains finish for at most
   * `graceMs`, flushes handlers, closes journals. What a memory map still held is lost, and said in the log.
   */
  close(graceMs?: number): Promise<void>;
}

/** How often a shutdown looks whether the drains have ended, in ms. */
const DRAIN_POLL_MS = 5;

/**
 * Creates the engine, the maps and handlers that the configuration declares, and those that were made over REST.
 * The data directory is this daemon's from here to {@link Daemon.close}, or until this throws.
 * @throws RingbufdError DATA_DIR_LOCKED, DATA_DIR_UNUSABLE; when a declared map or handler is refused, or the registry can
 *   not be read or written
 */
export async function createDaemon(config: Config, options: DaemonOptions): Promise<Daemon> {
  const lock = await DirectoryLock.acquire(resolve(config.data_dir), { create: true });
  const daemon = assemble(config, options, lock);
  try {
    for (const declared of config.maps) await declareMap(daemon.maps, declared);
    await daemon.kept.restore();
  } catch (error) {
    // The first error is the one to tell.
    await daemon.close(0).catch(() => undefined);
    throw error;
  }
  return daemon;
}

/** Everything wired, without a map. */
function assemble(config: Config, options: DaemonOptions, lock: DirectoryLock): Daemon {
  const { logger, clock = systemClock } = options;
  const { limits, producers, drain } = config;
  const scheduler = new DrainScheduler(clock, {
    turnTimeMs: drain.turn_time_ms,
    maxTurnSamples: drain.max_turn_samples,
    backoffMinMs: drain.backoff_min_ms,
    backoffMaxMs: drain.backoff_max_ms,
  });
  const observer: MapObserver<HostedMap> = {
    changed: (map) => scheduler.changed(map),
    triggerChanged: (map) => scheduler.triggerChanged(map),
    drained: (map, handler, seconds) => events.drained(map, handler, seconds),
    foundBusy: (map) => scheduler.hold(map),
    handlerReady: (map, handler) => scheduler.ready(map, handler),
    batched: (map, handler, seconds) => events.batched(map, handler, seconds),
    handlerRemoved: (map, handler) => events.handlerRemoved(map, handler),
    closed: (map) => {
      scheduler.forget(map);
      events.mapClosed(map);
    },
  };
  const maps = new MapRegistry(
    {
      maxMaps: limits.max_maps,
      maxTotalRingBytes: limits.max_total_ring_bytes,
      dataDir: resolve(config.data_dir),
      handlersDir: config.handlers_dir === '' ? undefined : resolve(config.handlers_dir),
      webhooks: config.webhooks,
      leaseMs: producers.lease_ms,
      stateTtlMs: producers.state_ttl_ms,
      maxProducers: limits.max_producers_per_map,
      maxReservationsPerConnection: limits.max_reservations_per_connection,
      maxHandlers: limits.max_handlers_per_map,
      maxLedgerRuns: limits.max_ledger_runs_per_map,
      maxDiskBytes: limits.max_file_bytes_per_map,
      shadowQueueBytes: shadowQueueBytes(limits.max_shadow_bytes),
    },
    { clock, logger, observer, journals: options.journals ?? (() => openJournals(config, clock, logger)) },
  );
  const events = new Events({ maps: () => maps, ringBytes: () => maps.ringBytes });
  const configured = parseListen(config.listen);
  const listenHosts = options.listenHosts ?? (() => (configured === undefined ? [] : [configured.host]));
  const access = new AccessControl(
    new TokenStore(config.tokens),
    new RequestGuard(config, listenHosts),
    clock,
  );
  const connections = new ConnectionLimits(limits.max_connections, limits.max_connections_per_address);
  const heartbeat = new Heartbeat(clock, producers.heartbeat_ms, () => events.heartbeatLost());
  const gateway = new WsGateway(
    {
      maxFrameBytes: limits.max_frame_bytes,
      maxQueuedBytes: limits.max_queued_bytes,
      trustProxy: config.trust_proxy,
    },
    { registry: maps, access, limits: connections, heartbeat, events, clock, logger },
  );
  const kept = new KeptRegistry(new RegistryFile(resolve(config.data_dir)), {
    maps,
    declared: config.maps,
    logger,
  });
  let state: Daemon['state'] = 'serving';
  const daemon: Daemon = {
    config,
    clock,
    logger,
    maps,
    kept,
    scheduler,
    events,
    access,
    connections,
    gateway,
    get state() {
      return state;
    },
    async close(graceMs = config.shutdown_grace_ms) {
      if (state === 'draining') return;
      state = 'draining';
      try {
        gateway.drain();
        await dismissProducers(daemon, graceMs);
        scheduler.flush();
        await finishDrains(daemon, graceMs);
        scheduler.stop();
        // One that cannot be closed as it should must not cost the others what they hold.
        const failures: unknown[] = [];
        for (const map of maps) await closeMap(map, logger).catch((error: unknown) => failures.push(error));
        await maps.close().catch((error: unknown) => failures.push(error));
        heartbeat.stop();
        events.close();
        if (failures.length > 0) throw failures[0];
      } finally {
        await kept.settled();
        await lock.release();
      }
    },
  };
  return daemon;
}

function openJournals({ data_dir, limits }: Config, clock: Clock, logger: Logger): Promise<JournalStore> {
  const progress = new RecoveryProgress(clock, logger);
  return FileStore.open({
    directory: resolve(data_dir),
    clock,
    maxProducers: limits.max_producers_per_map,
    maxQuarantineBytes: limits.max_quarantine_bytes_per_map,
    maxDiskWaitMs: limits.max_disk_wait_ms,
    onRest: (restMs) =>
      logger.warn(
        { rest_ms: restMs, max_disk_wait_ms: limits.max_disk_wait_ms },
        'the disk made the event loop wait: a thread writes the journals for a while',
      ),
    onProgress: (map, phase, done, total) => progress.report(map, phase, done, total),
  });
}

/** Ends all producer connections. On journalled maps each is first told of everything that was taken of it. */
async function dismissProducers({ maps, clock, logger }: Daemon, graceMs: number): Promise<void> {
  const connections = [...maps].flatMap((map) => [...map.connections]);
  for (const connection of connections) connection.takeNoMore();
  for (const map of maps) {
    const settled = map.settled().then(
      () => true,
      () => false,
    );
    const tooLate = new Promise<boolean>((resolve) => clock.after(graceMs, () => resolve(false)));
    if (map.journal === undefined || (await Promise.race([settled, tooLate]))) continue;
    logger.warn({ map: map.name }, 'not all that was taken is in the journal: producers will send it again');
  }
  for (const connection of connections) connection.disconnect('SHUTTING_DOWN');
}

/** Gives auto triggers and drains under way time to empty the rings. */
async function finishDrains({ maps, scheduler, clock }: Daemon, graceMs: number): Promise<void> {
  const deadline = clock.nowMs() + graceMs;
  const isBusy = (): boolean => [...maps].some((map) => map.draining || scheduler.isBusy(map));
  while (isBusy() && clock.nowMs() < deadline)
    await new Promise<void>((done) => clock.after(DRAIN_POLL_MS, done));
}

async function closeMap(map: HostedMap, logger: Logger): Promise<void> {
  const left = map.counters.bufferedSamples;
  if (left > 0 && map.journal === undefined)
    logger.warn(
      { map: map.name, samples: left, bytes: map.ring.used },
      'a memory map is closed with samples in it',
    );
  try {
    await map.close('SHUTTING_DOWN');
  } catch (error) {
    if (!(error instanceof RingbufdError)) throw error;
    logger.warn({ map: map.name, err: error }, 'a drain did not end within the grace time');
  }
}
