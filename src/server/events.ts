/**
 * What happens in the daemon, as numbers. The only user of the metrics registry; docs/METRICS.md is its spec. Hot paths
 * add to plain fields (map-counters.ts); metrics are read from them when somebody looks (map-metrics.ts).
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrnoName } from '../ring/index.js';
import type { ErrorKey } from './errors.js';
import { registerHandlerMetrics } from './handler-metrics.js';
import type { HostedMap } from './hosted-map.js';
import { LoopDelay } from './loop-delay.js';
import { REPLAY_NAME } from './replay.js';
import { registerMapMetrics } from './map-metrics.js';

/** What was refused: a REST call, or the upgrade of a producer connection. */
export type RefusalSurface = 'http' | 'websocket';

/** Seconds: a drain of a few samples takes microseconds, one of 131072 about a millisecond, a slow sink seconds. */
const DRAIN_BUCKETS = [0.00001, 0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2, 10];

export interface EventSources {
  maps: () => Iterable<HostedMap>;
  /** Bytes of all rings. */
  ringBytes: () => number;
}

export class Events {
  readonly registry = new Registry();
  readonly #loopDelay = new LoopDelay();
  readonly #drainSeconds: Histogram<'map' | 'handler'>;
  readonly #batchSeconds: Histogram<'map' | 'handler'>;
  readonly #refused: Counter<'surface' | 'reason' | 'errno'>;
  readonly #heartbeatsLost: Counter;
  readonly #slowClients: Counter<'map'>;

  constructor(sources: EventSources) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    // Those of prom-client start anew at every look; ringbufd_event_loop_delay_seconds does not.
    for (const { name } of this.registry.getMetricsAsArray())
      if (name.startsWith('nodejs_eventloop_lag')) this.registry.removeSingleMetric(name);
    registerMapMetrics(this.registry, sources.maps);
    registerHandlerMetrics(this.registry, sources.maps);
    this.#drainSeconds = new Histogram({
      name: 'ringbufd_drain_duration_seconds',
      help: 'Duration of drains, refused ones not counted',
      labelNames: ['map', 'handler'],
      buckets: DRAIN_BUCKETS,
      registers,
    });
    this.#batchSeconds = new Histogram({
      name: 'ringbufd_handler_batch_duration_seconds',
      help: 'Time that a batch handler (file, webhook, remote) took to answer for one run of samples',
      labelNames: ['map', 'handler'],
      buckets: DRAIN_BUCKETS,
      registers,
    });
    this.#refused = new Counter({
      name: 'ringbufd_requests_refused_total',
      help: 'REST calls (surface http) and upgrades (websocket) answered with an error, by its code in lower case',
      labelNames: ['surface', 'reason', 'errno'],
      registers,
    });
    this.#heartbeatsLost = new Counter({
      name: 'ringbufd_heartbeats_lost_total',
      help: 'Connections ended because a pong was missing for a whole interval',
      registers,
    });
    this.#slowClients = new Counter({
      name: 'ringbufd_slow_clients_total',
      help: 'Connections closed with 4408 because their unsent bytes passed limits.max_queued_bytes',
      labelNames: ['map'],
      registers,
    });
    this.#gauge('ringbufd_maps', 'Maps that exist', () => [...sources.maps()].length);
    this.#gauge('ringbufd_rings_bytes', 'Size of all rings together', sources.ringBytes);
    this.#registerLoopDelay();
  }

  /** A call or an upgrade was answered with an error. */
  refused(surface: RefusalSurface, reason: ErrorKey, errno: ErrnoName): void {
    this.#refused.inc({ surface, reason: reason.toLowerCase(), errno });
  }

  drained(map: HostedMap, handler: string, seconds: number): void {
    this.#drainSeconds.observe({ map: map.name, handler }, seconds);
  }

  batched(map: HostedMap, handler: string, seconds: number): void {
    this.#batchSeconds.observe({ map: map.name, handler }, seconds);
  }

  heartbeatLost(): void {
    this.#heartbeatsLost.inc();
  }

  slowClient(map: string): void {
    this.#slowClients.inc({ map });
  }

  /** Forgets the label of a handler that is gone: names come from callers, and there is no end of them. */
  handlerRemoved(map: HostedMap, handler: string): void {
    this.#drainSeconds.remove({ map: map.name, handler });
    this.#batchSeconds.remove({ map: map.name, handler });
  }

  /** Forgets the labels of a map that is gone. */
  mapClosed(map: HostedMap): void {
    for (const { name } of map.handlers.list()) this.handlerRemoved(map, name);
    this.handlerRemoved(map, REPLAY_NAME);
    this.#slowClients.remove({ map: map.name });
  }

  close(): void {
    this.#loopDelay.close();
    this.registry.clear();
  }

  #gauge(name: string, help: string, read: () => number): void {
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
      help: 'How late the event loop was in the last 15 seconds, by quantile (1 = the maximum)',
      labelNames: ['quantile'],
      registers: [this.registry],
      collect() {
        const { p50, p99, max } = delay.quantiles;
        this.set({ quantile: '0.5' }, p50);
        this.set({ quantile: '0.99' }, p99);
        this.set({ quantile: '1' }, max);
      },
    });
  }
}
