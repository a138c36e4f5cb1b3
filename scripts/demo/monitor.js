// @ts-check
import { join } from 'node:path';
import { Rate } from './rate.js';

/** The producer without an SDK, whose waits the daemon counts. */
export const PLAIN_PRODUCER = 'io';

/** Drains come in gusts of about a second: shorter would flicker. */
const RATE_WINDOW_MS = 3_000;
const HISTORY = 400;

/**
 * What the table shows.
 * @typedef {object} Snapshot
 * @property {number} elapsedMs
 * @property {string} url
 * @property {string} map
 * @property {number} ringBytes
 * @property {number} usedBytes
 * @property {readonly number[]} fills fill from 0 to 1, one per look, newest last
 * @property {number} accepted
 * @property {number} drained
 * @property {number} buffered
 * @property {number} acceptedPerSecond
 * @property {number} drainedPerSecond
 * @property {number} drains
 * @property {number} wakeups
 * @property {number} oldestMs age of the oldest sample in the ring
 * @property {{ path: string, bytes: number, rotations: number }} file
 * @property {ProducerLine[]} producers
 *
 * @typedef {object} ProducerLine
 * @property {string} name
 * @property {string} mode
 * @property {number} samples
 * @property {number} perSecond
 * @property {number | undefined} enospc undefined where the mode has no such answer
 * @property {number} waits
 * @property {boolean} waiting
 */

/** Looks at the running demo over REST, as any operator could. */
export class Monitor {
  #daemon;
  #map;
  #producers;
  #startedAt = 0;
  #accepted = new Rate(RATE_WINDOW_MS);
  #drained = new Rate(RATE_WINDOW_MS);
  /** @type {Map<string, Rate>} */
  #perProducer = new Map();
  /** @type {number[]} */
  #fills = [];

  /**
   * @param {import('./daemon-process.js').DaemonProcess} daemon
   * @param {{ map: string, handler: string, dataDir: string }} names
   * @param {readonly import('./producer-child.js').ProducerChild[]} producers
   */
  constructor(daemon, names, producers) {
    this.#daemon = daemon;
    this.#map = names;
    this.#producers = producers;
  }

  /** @returns {Promise<Snapshot>} */
  async look() {
    const { map: name, handler, dataDir } = this.#map;
    const [map, { state }, { metrics }] = await Promise.all([
      this.#daemon.call('GET', `/maps/${name}`),
      this.#daemon.call('GET', `/maps/${name}/handlers/${handler}`),
      this.#daemon.call('GET', '/metrics'),
    ]);
    const now = performance.now();
    this.#startedAt ||= now;
    const { counters } = map;
    this.#fills.push(map.fill);
    if (this.#fills.length > HISTORY) this.#fills.shift();
    return {
      elapsedMs: now - this.#startedAt,
      url: this.#daemon.url,
      map: name,
      ringBytes: map.max_entries,
      usedBytes: Number(map.used_bytes),
      fills: this.#fills,
      accepted: counters.accepted_samples,
      drained: counters.drained_samples,
      buffered: counters.buffered_samples,
      acceptedPerSecond: this.#accepted.add(now, counters.accepted_samples),
      drainedPerSecond: this.#drained.add(now, counters.drained_samples),
      drains: counters.drains,
      wakeups: counters.wakeups_sent,
      oldestMs: map.oldest_age_ms ?? 0,
      // The daemon names it below its data directory: whoever looks sits elsewhere.
      file: { path: join(dataDir, state.path), bytes: state.bytes, rotations: state.rotations },
      producers: this.#producerLines(now, blockedFrames(metrics, name), map.producers_waiting > 0),
    };
  }

  /**
   * Only the plain producer ever waits inside the daemon: the others are told ENOSPC and wait on their side.
   * @param {number} now
   * @param {number} blocked
   * @param {boolean} paused
   * @returns {ProducerLine[]}
   */
  #producerLines(now, blocked, paused) {
    return this.#producers.map(({ name, mode, progress }) => {
      const plain = name === PLAIN_PRODUCER;
      const samples = plain ? progress.sent : progress.stored;
      const rate = this.#perProducer.get(name) ?? new Rate(RATE_WINDOW_MS);
      this.#perProducer.set(name, rate);
      return {
        name,
        mode,
        samples,
        perSecond: rate.add(now, samples),
        enospc: plain ? undefined : progress.enospc,
        waits: plain ? blocked : progress.waits,
        waiting: plain ? paused : progress.waiting,
      };
    });
  }
}

/**
 * How often a plain message waited for room.
 * @param {Record<string, { labels: Record<string, string>, value: number }[]>} metrics
 * @param {string} map
 */
export function blockedFrames(metrics, map) {
  const values = metrics['ringbufd_frames_blocked_total'] ?? [];
  return values.find(({ labels }) => labels['map'] === map)?.value ?? 0;
}
