/**
 * What happens in the daemon, as numbers. The only user of the metrics registry; docs/METRICS.md is its spec. Hot paths
 * add to plain fields ({@link MapCounters}); metrics are read from them when somebody looks.
 */
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrnoName } from '../ring/index.js';
import type { ErrorKey } from './errors.js';
import type { HostedMap } from './hosted-map.js';
import type { MapCounters } from './map-counters.js';

/** Where a request or a connection was refused before it reached a map. */
export type RefusalSurface = 'http' | 'websocket';

/** Seconds: a drain of a few samples takes microseconds, one of 131072 about a millisecond, a slow sink seconds. */
const DRAIN_BUCKETS = [0.00001, 0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2, 10];

/** Resolution of the event-loop delay, in ms. */
const LOOP_RESOLUTION_MS = 10;

const NS_PER_SECOND = 1e9;

type MapRead = (map: HostedMap) => number;

export interface EventSources {
  maps: () => Iterable<HostedMap>;
  ringBytes: () => number;
}

export class Events {
  readonly registry = new Registry();
  readonly #sources: EventSources;
  readonly #drainSeconds: Histogram<'map' | 'handler'>;
  readonly #refused: Counter<'surface' | 'reason' | 'errno'>;
  readonly #loopDelay: IntervalHistogram;
  readonly #heartbeatLost: Counter;
  readonly #slowClients: Counter<'map'>;

  constructor(sources: EventSources) {
    this.#sources = sources;
    collectDefaultMetrics({ register: this.registry });
    this.#loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
    this.#loopDelay.enable();
    this.#drainSeconds = new Histogram({
      name: 'ringbufd_drain_duration_seconds',
      help: 'Duration of drains, refused ones not counted',
      labelNames: ['map', 'handler'],
      buckets: DRAIN_BUCKETS,
      registers: [this.registry],
    });
    this.#refused = new Counter({
      name: 'ringbufd_requests_refused_total',
      help: 'Requests and connections refused before they reached a map, by reason (the error code)',
      labelNames: ['surface', 'reason', 'errno'],
      registers: [this.registry],
    });
    this.#heartbeatLost = new Counter({
      name: 'ringbufd_heartbeats_lost_total',
      help: 'Connections ended because a pong was missing for a whole interval',
      registers: [this.registry],
    });
    this.#slowClients = new Counter({
      name: 'ringbufd_slow_clients_total',
      help: 'Connections closed with 4408 because their unsent bytes passed limits.max_queued_bytes',
      labelNames: ['map'],
      registers: [this.registry],
    });
    this.#registerMapMetrics();
    this.#registerLoopDelay();
  }

  /** Something was refused before it reached a map. */
  refused(surface: RefusalSurface, reason: ErrorKey, errno: ErrnoName): void {
    this.#refused.inc({ surface, reason: reason.toLowerCase(), errno });
  }

  drained(map: HostedMap, handler: string, seconds: number): void {
    this.#drainSeconds.observe({ map: map.name, handler }, seconds);
  }

  heartbeatLost(): void {
    this.#heartbeatLost.inc();
  }

  slowClient(map: string): void {
    this.#slowClients.inc({ map });
  }

  /** Forgets the labels of a map that is gone. */
  mapGone(map: HostedMap): void {
    for (const { name } of map.handlers.list()) this.#drainSeconds.remove({ map: map.name, handler: name });
    this.#slowClients.remove({ map: map.name });
  }

  /** Event-loop delay since the last look at the metrics, in ms. */
  get loopDelayMs(): { mean: number; p99: number; max: number } {
    const ms = (ns: number): number => (Number.isFinite(ns) ? ns / 1e6 : 0);
    return {
      mean: ms(this.#loopDelay.mean),
      p99: ms(this.#loopDelay.percentile(99)),
      max: ms(this.#loopDelay.max),
    };
  }

  close(): void {
    this.#loopDelay.disable();
    this.registry.clear();
  }

  #registerMapMetrics(): void {
    const count = (name: string, help: string, read: (counters: MapCounters) => number): void =>
      this.#perMap('counter', `ringbufd_${name}_total`, help, (map) => read(map.counters));
    count(
      'samples_accepted',
      'Samples that took room in the ring, reservations included',
      (c) => c.acceptedSamples,
    );
    count('samples_drained', 'Samples that a handler answered for', (c) => c.drainedSamples);
    count('samples_discarded', 'Discarded records that drains skipped', (c) => c.discardedSamples);
    count('frames_accepted', 'OUTPUT frames and plain messages accepted as a whole', (c) => c.acceptedFrames);
    count('frames_blocked', 'OUTPUT frames and plain messages that waited for room', (c) => c.blockedFrames);
    count('reservations', 'Reservations made', (c) => c.reservations);
    count(
      'reservations_expired',
      'Reservations discarded because their lease ran out',
      (c) => c.leasesExpired,
    );
    count(
      'reservations_abandoned',
      'Reservations discarded because their connection ended',
      (c) => c.reservationsAbandoned,
    );
    count('drains', 'Drains, refused ones not counted', (c) => c.drains);
    count('drains_stopped', 'Drains whose callback returned 1', (c) => c.stops);
    count('wakeups_sent', 'WAKEUP frames queued to watchers', (c) => c.wakeupsSent);
    count(
      'wakeups_coalesced',
      'WAKEUP frames merged into one not yet taken by a slow client',
      (c) => c.wakeupsCoalesced,
    );
    count(
      'wakeups_suppressed',
      'Drains that released something and woke nobody because of NO_WAKEUP',
      (c) => c.wakeupsSuppressed,
    );
    count(
      'wakeups_forced',
      'Wakes that went to all watchers (FORCE_WAKEUP, expired leases)',
      (c) => c.wakeupsForced,
    );
    count(
      'wakeups_unmet',
      'Watchers that a wake left asleep because less than their min_free was free',
      (c) => c.wakeupsUnmet,
    );
    count(
      'producer_takeovers',
      'Connections replaced by a newer one of the same producer id',
      (c) => c.takeovers,
    );
    count('raw_writes', 'WRITE and COMMIT frames on direct maps', (c) => c.rawWrites);
    this.#perMap(
      'counter',
      'ringbufd_accepted_bytes_total',
      'Bytes that accepted records took in the ring',
      (map) => map.counters.acceptedBytes,
    );

    const gauge = (name: string, help: string, read: MapRead): void =>
      this.#perMap('gauge', `ringbufd_${name}`, help, read);
    gauge('ring_size_bytes', 'Size of the data area', (map) => map.ring.size);
    gauge('ring_used_bytes', 'Bytes between consumer and producer position', (map) =>
      Math.min(map.ring.used, map.ring.size),
    );
    gauge('ring_fill_ratio', 'Used bytes by size', (map) => Math.min(1, map.ring.used / map.ring.size));
    gauge(
      'samples_buffered',
      'Samples between consumer and producer position',
      (map) => map.counters.bufferedSamples,
    );
    gauge(
      'oldest_sample_age_seconds',
      'Time that the oldest sample has waited',
      (map) => (map.oldestAgeMs ?? 0) / 1000,
    );
    gauge('producers_connected', 'Producer connections', (map) => map.connections.size);
    gauge(
      'producers_waiting',
      'Connections that wait for room with their socket paused',
      (map) => map.waiting.length,
    );
    gauge('producer_states', 'Producer ids remembered', (map) => map.states.size);
    gauge('watchers', 'Connections that asked to be woken', (map) => map.watchers.size);
    gauge('reservations_open', 'Reservations neither submitted nor discarded', (map) => map.openReservations);

    const sources = this.#sources;
    new Counter({
      name: 'ringbufd_refused_total',
      help: 'Frames, requests and drains that a map refused or dropped, by errno and reason',
      labelNames: ['map', 'errno', 'reason'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const map of sources.maps())
          for (const [key, value] of map.counters.refused) {
            const [errno, reason] = key.split('|') as [string, string];
            this.inc({ map: map.name, errno, reason }, value);
          }
      },
    });
    new Counter({
      name: 'ringbufd_drain_errors_total',
      help: 'Drains that ended with an errno',
      labelNames: ['map', 'errno'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const map of sources.maps())
          for (const [errno, value] of map.counters.drainErrors) this.inc({ map: map.name, errno }, value);
      },
    });
    this.#single('ringbufd_maps', 'Maps', () => [...sources.maps()].length);
    this.#single('ringbufd_rings_bytes', 'Bytes of all rings together', sources.ringBytes);
  }

  #perMap(type: 'counter' | 'gauge', name: string, help: string, read: MapRead): void {
    const { maps } = this.#sources;
    const common = { name, help, labelNames: ['map'] as const, registers: [this.registry] };
    if (type === 'gauge')
      new Gauge({
        ...common,
        collect() {
          this.reset();
          for (const map of maps()) this.set({ map: map.name }, read(map));
        },
      });
    else
      new Counter({
        ...common,
        collect() {
          this.reset();
          for (const map of maps()) this.inc({ map: map.name }, read(map));
        },
      });
  }

  #single(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  #registerLoopDelay(): void {
    const delay = this.#loopDelay;
    new Gauge({
      name: 'ringbufd_event_loop_delay_seconds',
      help: 'Event-loop delay since the last scrape, by quantile',
      labelNames: ['quantile'],
      registers: [this.registry],
      collect() {
        const seconds = (ns: number): number => (Number.isFinite(ns) ? ns / NS_PER_SECOND : 0);
        this.set({ quantile: '0.5' }, seconds(delay.percentile(50)));
        this.set({ quantile: '0.99' }, seconds(delay.percentile(99)));
        this.set({ quantile: '1' }, seconds(delay.max));
        delay.reset();
      },
    });
  }
}
