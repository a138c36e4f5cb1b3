/** The metrics of every map, read from its plain fields when somebody looks. docs/METRICS.md is made from these tables. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { HostedMap } from './hosted-map.js';
import type { MapCounters } from './map-counters.js';

type CounterField = {
  [Field in keyof MapCounters]: MapCounters[Field] extends number ? Field : never;
}[keyof MapCounters];

/** `ringbufd_NAME_total`: its field, or how it is read, and its help. */
const counters: Record<string, [value: CounterField | ((map: HostedMap) => number), help: string]> = {
  samples_accepted: ['acceptedSamples', 'Samples that took room in the ring, reservations included'],
  accepted_bytes: ['acceptedBytes', 'Bytes that accepted records took in the ring'],
  samples_drained: ['drainedSamples', 'Samples that a handler answered for'],
  samples_discarded: ['discardedSamples', 'Discarded records that drains skipped'],
  samples_replayed: [
    'replayedSamples',
    'Dead letters that this map held and that were sent back; they are drained, too',
  ],
  samples_dead_lettered: ['deadLetteredSamples', 'Samples that went to a dead-letter map'],
  samples_quarantined: ['quarantinedSamples', 'Samples that could not be verified after a crash'],
  released_bytes: ['releasedBytes', 'Bytes of the records that left the ring, discarded ones included'],
  frames_accepted: ['acceptedFrames', 'OUTPUT frames and plain messages accepted as a whole'],
  frames_blocked: ['blockedFrames', 'OUTPUT frames and plain messages that waited for room'],
  reservations: ['reservations', 'Reservations made'],
  reservations_expired: ['leasesExpired', 'Reservations discarded because their lease ran out'],
  reservations_abandoned: ['reservationsAbandoned', 'Reservations discarded because their connection ended'],
  journal_commits: ['journalCommits', 'Commits of the journal that became durable'],
  journal_syncs: [
    (map) => map.journal?.syncs.count ?? 0,
    'Syncs (fdatasync) of the journal that have ended, on a map of durability synced',
  ],
  journal_sync_seconds: [
    (map) => map.journal?.syncs.seconds ?? 0,
    "Time that they took. There is never more than one at a time, so that its rate is the share of the time that the map's journal waits for the disk",
  ],
  journal_loop_commits: [
    (map) => map.journal?.loop.commits ?? 0,
    'Commits that the event loop handed to the operating system itself, on a map of durability written; a thread did it for the others',
  ],
  journal_loop_write_seconds: [
    (map) => map.journal?.loop.seconds ?? 0,
    'Time that the event loop spent in their writes',
  ],
  journal_headers_repaired: [
    'journalHeadersRepaired',
    "Damaged copies of the journal's header that the start wrote anew from the other one",
  ],
  journal_files_set_aside: [
    'journalFilesSetAside',
    'Journals that a loss of power left without anything to go on with: the start set the file aside, the map is empty',
  ],
  quarantined_bytes: [
    'quarantinedBytes',
    'Bytes that the journal could not verify after a crash, as records',
  ],
  drains: ['drains', 'Drains, refused ones not counted'],
  drains_stopped: ['stops', 'Drains whose callback returned 1'],
  wakeups_sent: ['wakeupsSent', 'WAKEUP frames queued to watchers'],
  wakeups_coalesced: ['wakeupsCoalesced', 'WAKEUP frames merged into one not yet taken by a slow client'],
  wakeups_suppressed: [
    'wakeupsSuppressed',
    'Drains that released something and woke nobody because of BPF_RB_NO_WAKEUP',
  ],
  wakeups_forced: ['wakeupsForced', 'Wakes that went to all watchers (BPF_RB_FORCE_WAKEUP, expired leases)'],
  wakeups_unmet: [
    'wakeupsUnmet',
    'Watchers that a wake left asleep because less than their min_free was free',
  ],
  producer_takeovers: ['takeovers', 'Connections replaced by a newer one of the same producer id'],
  shadow_calls: ['shadowCalls', 'Samples that shadow handlers have answered for'],
  shadow_verdicts_differed: [
    'shadowDiffered',
    'Samples that a shadow handler answered otherwise than the real one',
  ],
  shadow_samples_skipped: [
    'shadowSkipped',
    'Samples that a shadow handler did not get to see, because its queue was full',
  ],
  raw_writes: ['rawWrites', 'WRITE and COMMIT frames on direct maps'],
};

const journalStates = { ok: 0, full: 1, failed: 2 } as const;

/** `ringbufd_NAME`: how it is read, and its help. */
const gauges: Record<string, [read: (map: HostedMap) => number, help: string]> = {
  ring_size_bytes: [(map) => map.ring.size, 'Size of the data area'],
  ring_used_bytes: [
    (map) => Math.min(map.ring.used, map.ring.size),
    'Bytes between consumer and producer position',
  ],
  ring_fill_ratio: [(map) => Math.min(1, map.ring.used / map.ring.size), 'Used bytes by size, 0 to 1'],
  samples_buffered: [
    (map) => map.counters.bufferedSamples,
    'Records between consumer and producer position, by the books: what was accepted and has not left the ring. Of no meaning on a direct map',
  ],
  oldest_sample_age_seconds: [
    (map) => (map.oldestAgeMs ?? 0) / 1000,
    'Time that the oldest sample has waited; 0 on a direct map, where nobody knows',
  ],
  producers_connected: [(map) => map.connections.size, 'Producer connections'],
  producers_waiting: [(map) => map.waiting.length, 'Connections that wait for room with their socket paused'],
  producer_states: [(map) => map.states.size, 'Producer ids remembered'],
  watchers: [(map) => map.watchers.size, 'Connections that asked to be woken'],
  reservations_open: [(map) => map.openReservations, 'Reservations neither submitted nor discarded'],
  journal_state: [
    (map) => journalStates[map.journal?.state ?? 'ok'],
    'Journal of the map: 0 = in order, or none; 1 = no room on the disk; 2 = failed, the map is read-only',
  ],
  journal_pending_bytes: [
    (map) => Number(BigInt.asUintN(64, map.ring.producerPosition - map.ring.visiblePosition)),
    'Bytes in the ring that are not durable yet, and not shown to drains',
  ],
  handlers: [(map) => map.handlers.list().length, 'Handlers registered'],
  handlers_faulted: [
    (map) => map.handlers.list().filter(({ health }) => health.faulted).length,
    'Handlers whose attempts are used up: their triggers have stopped',
  ],
};

/** Registers them all; a map that is gone is in none of them at the next look. */
export function registerMapMetrics(registry: Registry, maps: () => Iterable<HostedMap>): void {
  const registers = [registry];
  for (const [name, [value, help]] of Object.entries(counters)) {
    const read = typeof value === 'string' ? (map: HostedMap) => map.counters[value] : value;
    new Counter({
      name: `ringbufd_${name}_total`,
      help,
      labelNames: ['map'],
      registers,
      collect() {
        this.reset();
        for (const map of maps()) this.inc({ map: map.name }, read(map));
      },
    });
  }
  for (const [name, [read, help]] of Object.entries(gauges))
    new Gauge({
      name: `ringbufd_${name}`,
      help,
      labelNames: ['map'],
      registers,
      collect() {
        this.reset();
        for (const map of maps()) this.set({ map: map.name }, read(map));
      },
    });
  new Counter({
    name: 'ringbufd_refused_total',
    help: 'Frames, calls and drains that a map refused or dropped, by errno and reason',
    labelNames: ['map', 'errno', 'reason'],
    registers,
    collect() {
      this.reset();
      for (const map of maps())
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
    registers,
    collect() {
      this.reset();
      for (const map of maps())
        for (const [errno, value] of map.counters.drainErrors) this.inc({ map: map.name, errno }, value);
    },
  });
}
