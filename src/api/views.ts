/** The daemon's objects as REST shows them. */
import type { Static } from 'typebox';
import type { HostedMap } from '../server/hosted-map.js';
import type { DrainResult } from '../server/drain-call.js';
import type { LastDrain } from '../server/handler-health.js';
import { statusOf, type RegisteredHandler } from '../server/handler-table.js';
import type { DrainScheduler } from '../server/drain-scheduler.js';
import type { DrainInfo, MapInfo, QueryInfo } from './schemas.js';
import type { HandlerInfo, LastDrainInfo } from './handler-schemas.js';

export function viewMap(map: HostedMap): Static<typeof MapInfo> {
  const { ring, counters, attributes } = map;
  const query = ring.query();
  return {
    name: map.name,
    max_entries: attributes.maxEntries,
    mode: attributes.mode,
    durability: attributes.durability,
    ledger: attributes.ledger,
    incarnation: map.incarnation,
    created_at: new Date(map.createdAtMs).toISOString(),
    producer_pos: String(query.producerPos),
    consumer_pos: String(query.consumerPos),
    visible_pos: String(ring.visiblePosition),
    freed_pos: String(ring.freedPosition),
    journal: map.journal?.state ?? 'none',
    quarantined: map.quarantined.map(({ position, bytes, file, reason }) => ({
      pos: String(position),
      bytes,
      file,
      reason,
    })),
    journal_findings: map.findings.map(({ kind, message, file }) => ({ kind, message, file })),
    used_bytes: String(query.availData),
    free_bytes: ring.free,
    fill: Math.min(1, ring.used / ring.size),
    writable: ring.writable,
    draining: map.draining,
    oldest_age_ms: map.oldestAgeMs,
    producers: map.connections.size,
    producers_waiting: map.waiting.length,
    watchers: map.watchers.size,
    open_reservations: map.openReservations,
    handlers: map.handlers.list().map(({ name }) => name),
    counters: {
      accepted_samples: counters.acceptedSamples,
      accepted_bytes: counters.acceptedBytes,
      drained_samples: counters.drainedSamples,
      discarded_samples: counters.discardedSamples,
      dead_lettered_samples: counters.deadLetteredSamples,
      buffered_samples: counters.bufferedSamples,
      quarantined_samples: counters.quarantinedSamples,
      drains: counters.drains,
      stops: counters.stops,
      wakeups_sent: counters.wakeupsSent,
      wakeups_suppressed: counters.wakeupsSuppressed,
      wakeups_coalesced: counters.wakeupsCoalesced,
      wakeups_forced: counters.wakeupsForced,
      refused: Object.fromEntries(counters.refused),
      drain_errors: Object.fromEntries(counters.drainErrors),
    },
  };
}

export function viewQuery(map: HostedMap): Static<typeof QueryInfo> {
  const query = map.ring.query();
  return {
    avail_data: String(query.availData),
    ring_size: String(query.ringSize),
    consumer_pos: String(query.consumerPos),
    producer_pos: String(query.producerPos),
    writable: map.ring.writable,
  };
}

export function viewHandler(
  map: HostedMap,
  registered: RegisteredHandler,
  scheduler: DrainScheduler,
): Static<typeof HandlerInfo> {
  const { name, kind, config, trigger, spec, handler, health } = registered;
  const auto = trigger.mode === 'auto' ? scheduler.stateOf(map) : null;
  return {
    name,
    kind,
    config,
    trigger: trigger.mode === 'auto' ? { ...trigger, flags: [...trigger.flags] } : trigger,
    on_error: spec.onError,
    enabled: spec.enabled,
    status: statusOf(registered, auto),
    state: handler.state(),
    shadow: map.shadowReport(registered) ?? null,
    auto,
    last_error: health.lastError,
    dead_letter_error: health.deadLetterError,
    attempts: health.attempts,
    last_drain: viewLastDrain(health.lastDrain),
    counters: {
      calls: health.calls,
      samples: health.samples,
      stops: health.stops,
      retries: health.retries,
      dead_letters: health.deadLetters,
      errors: Object.fromEntries(health.errors),
    },
  };
}

function viewLastDrain(last: LastDrain | null): Static<typeof LastDrainInfo> | null {
  if (last === null) return null;
  return {
    drain_number: last.number,
    ended_at: new Date(last.endedAtMs).toISOString(),
    duration_ms: last.durationMs,
    ret: last.ret,
    drained: last.drained,
    discarded: last.discarded,
    dead_lettered: last.deadLettered,
    stopped: last.stopped,
  };
}

export function viewDrain(result: DrainResult): Static<typeof DrainInfo> {
  return {
    ret: result.ret,
    drained: result.drained,
    discarded: result.discarded,
    stopped: result.stopped,
    wakeup: result.wakeup,
    producer_pos: String(result.producerPos),
    consumer_pos: String(result.consumerPos),
    drain_number: result.number,
    ...(result.deadLetters.length > 0 && {
      dead_lettered: result.deadLettered,
      dead_letters: result.deadLetters.map(({ position, map, errno, message, attempts }) => ({
        pos: String(position),
        map,
        errno,
        reason: message,
        attempts,
      })),
    }),
  };
}
