// @ts-check
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { differences, sum } from './conservation.js';
import { DaemonProcess, RestError } from './daemon-process.js';
import { missingFiles, readCpu, readIo, readMemory } from './host-readings.js';
import { blockedFrames, Monitor, PLAIN_PRODUCER } from './monitor.js';
import { readNdjson, SequenceCheck } from './ndjson-files.js';
import { ProducerChild } from './producer-child.js';
import { SampleNumberer } from './sample-text.js';

const MAP = 'host';
const HANDLER = 'file';
const READ_EVERY_MS = 50;
const LOOK_EVERY_MS = 100;
const START_MS = 20_000;
const STOP_MS = 20_000;
/** Without a daemon nothing more can be acknowledged. */
const ORPHANED_STOP_MS = 500;
/** The oldest sample waits so long; then one drain takes all. Long enough to see the ring fill. */
const DRAIN_EVERY_MS = 750;
/** How full the steady flow makes the ring between two drains, at most: the bursts do the rest. */
const STEADY_FILL = 0.75;
const MIN_RING_BYTES = 16 * 1024;
const MAX_RING_BYTES = 1024 * 1024;
const ROTATE_BYTES = 256 * 1024;
const KEEP_FILES = 1000;
/** The demo ends by itself before the first file would be deleted: the check needs them all. */
const MAX_ROTATIONS = KEEP_FILES - 10;
/** Bytes of a record beside its payload: header, and padding on average. */
const RECORD_OVERHEAD = 12;

/** @typedef {import('./monitor.js').Snapshot} Snapshot */

/**
 * What one run came to; printed as the summary.
 * @typedef {object} Summary
 * @property {boolean} ok
 * @property {number} seconds
 * @property {string} source
 * @property {string} map
 * @property {number} ring_bytes
 * @property {number} accepted samples acknowledged, by the producers' own count
 * @property {number} drained by the daemon's count
 * @property {number} buffered samples seen in the ring
 * @property {number} discarded
 * @property {number} ndjson_lines read back from the files
 * @property {number} ndjson_files
 * @property {number} ndjson_bytes
 * @property {number} drains
 * @property {number} wakeups
 * @property {number} enospc
 * @property {{ name: string, mode: string, acknowledged: number, in_ndjson: number, in_ring: number, enospc: number, waits: number, wakeups: number }[]} producers
 * @property {string | null} data_dir where the files are, if they were kept
 * @property {string[]} differences
 */

/** The demo without a terminal. */
export class DemoRun {
  /** @type {ProducerChild[]} */
  #producers = [];
  #startedAt = performance.now();
  #options;
  #dataDir;
  #daemon;
  #ringBytes;
  /** @type {Monitor} */
  #monitor;
  #daemonGone = false;
  /** For an end that cannot wait: the second Ctrl-C. */
  #cleanUpAtExit = () => {
    try {
      rmSync(this.#dataDir, { recursive: true, force: true });
    } catch {
      // A process that was killed a moment ago may still have been writing.
    }
  };

  /**
   * @param {import('./options.js').DemoOptions} options
   * @param {string} dataDir
   * @param {DaemonProcess} daemon
   * @param {number} ringBytes
   */
  constructor(options, dataDir, daemon, ringBytes) {
    this.#options = options;
    this.#dataDir = dataDir;
    this.#daemon = daemon;
    this.#ringBytes = ringBytes;
    void daemon.ended.then(() => (this.#daemonGone = true));
    if (!options.keep) process.once('exit', this.#cleanUpAtExit);
    const job = { url: daemon.url, map: MAP, everyMs: READ_EVERY_MS, procRoot: options.procRoot };
    this.#producers = [
      new ProducerChild('cpu', 'SDK, batches', job),
      new ProducerChild('memory', 'SDK, reserve/submit', job),
      new ProducerChild(PLAIN_PRODUCER, 'plain WebSocket', job),
    ];
    this.#monitor = new Monitor(daemon, { map: MAP, handler: HANDLER, dataDir }, this.#producers);
  }

  /**
   * Starts the daemon, makes the map with its handler, starts the producers.
   * @param {import('./options.js').DemoOptions} options
   */
  static async start(options) {
    const dataDir = await mkdtemp(join(os.tmpdir(), 'ringbufd-demo-'));
    /** @type {DaemonProcess | undefined} */
    let daemon;
    try {
      daemon = await DaemonProcess.start(dataDir);
      const ringBytes = ringSizeFor(options.procRoot);
      await daemon.call('PUT', `/maps/${MAP}`, { max_entries: ringBytes });
      await daemon.call('PUT', `/maps/${MAP}/handlers/${HANDLER}`, {
        kind: 'file',
        config: { format: 'ndjson', rotate_bytes: ROTATE_BYTES, keep: KEEP_FILES },
        trigger: { mode: 'auto', min_bytes: ringBytes, max_delay_ms: DRAIN_EVERY_MS },
      });
      return new DemoRun(options, dataDir, daemon, ringBytes);
    } catch (error) {
      await daemon?.stop();
      await rm(dataDir, { recursive: true, force: true });
      throw error;
    }
  }

  /** What the readers should know about the numbers. */
  get notes() {
    const missing = missingFiles(this.#options.procRoot);
    if (missing.length === 0) return [];
    const names = missing.map((name) => join(this.#options.procRoot, name)).join(', ');
    return [`this host has no ${names}: Node's os module fills in`];
  }

  /**
   * Looks ten times a second, until `stop` is aborted, the time is up, a process ends, or the disk share is used up.
   * @param {AbortSignal} stop
   * @param {(snapshot: Snapshot) => void} show
   */
  async watch(stop, show) {
    const { seconds } = this.#options;
    const over = new AbortController();
    const end = () => over.abort();
    stop.addEventListener('abort', end);
    if (stop.aborted) end();
    void this.#daemon.ended.then(end);
    for (const producer of this.#producers) void producer.endedEarly.then(end);
    await this.#allSend(over.signal);
    this.#startedAt = performance.now();
    const timer = seconds === undefined ? undefined : setTimeout(end, seconds * 1000);
    while (!over.signal.aborted) {
      const snapshot = await this.#monitor.look().catch(() => undefined);
      if (snapshot !== undefined) show(snapshot);
      if (snapshot !== undefined && snapshot.file.rotations >= MAX_ROTATIONS) break;
      await sleep(LOOK_EVERY_MS, undefined, { signal: over.signal }).catch(() => undefined);
    }
    clearTimeout(timer);
    stop.removeEventListener('abort', end);
  }

  /**
   * Ends everything in the order in which nothing gets lost, and compares the books.
   * @returns {Promise<Summary>}
   */
  async finish() {
    const patienceMs = this.#daemonGone ? ORPHANED_STOP_MS : STOP_MS;
    await Promise.all(this.#producers.map((producer) => producer.stop(patienceMs)));
    /** @type {string[]} */
    const troubles = this.#producers.flatMap(({ failure }) => failure ?? []);
    const path = join(this.#dataDir, 'out', MAP, `${HANDLER}.ndjson`);
    const left = await this.#freeze().catch((error) => {
      troubles.push(`the daemon did not answer at the end: ${error.message}`);
      return { counters: noCounters(), samples: [], blocked: 0 };
    });
    const ended = await this.#daemon.stop();
    if (ended.code !== 0) troubles.push(`the daemon ended with ${ended.code ?? ended.signal}`);

    const check = new SequenceCheck();
    const { files, lines, bytes } = await readNdjson(path, check);
    const inFiles = check.counts();
    // What waits in the ring must go on where the files end.
    for (const { pos, sample } of left.samples)
      check.sample(typeof sample === 'string' ? sample : '', `ring at ${pos}`);
    const inRing = new Map(
      [...check.counts()].map(([name, seen]) => [name, seen - (inFiles.get(name) ?? 0)]),
    );

    const { counters } = left;
    const acknowledged = new Map(this.#producers.map(({ name, progress }) => [name, progress.stored]));
    const found = differences({
      acknowledged,
      daemon: {
        accepted: counters.accepted_samples,
        drained: counters.drained_samples,
        discarded: counters.discarded_samples,
      },
      inFiles,
      lines,
      inRing,
      buffered: left.samples.length,
    });
    const all = [...troubles, ...found, ...check.faults];
    if (!this.#options.keep) await rm(this.#dataDir, { recursive: true, force: true });
    process.off('exit', this.#cleanUpAtExit);
    return {
      ok: all.length === 0,
      seconds: Math.round((performance.now() - this.#startedAt) / 100) / 10,
      source: this.notes.length === 0 ? this.#options.procRoot : 'node:os',
      map: MAP,
      ring_bytes: this.#ringBytes,
      accepted: sum(acknowledged),
      drained: counters.drained_samples,
      buffered: left.samples.length,
      discarded: counters.discarded_samples,
      ndjson_lines: lines,
      ndjson_files: files,
      ndjson_bytes: bytes,
      drains: counters.drains,
      wakeups: counters.wakeups_sent,
      enospc: this.#producers.reduce((total, { progress }) => total + progress.enospc, 0),
      producers: this.#producers.map(({ name, mode, progress }) => ({
        name,
        mode,
        acknowledged: progress.stored,
        in_ndjson: inFiles.get(name) ?? 0,
        in_ring: inRing.get(name) ?? 0,
        enospc: progress.enospc,
        waits: name === PLAIN_PRODUCER ? left.blocked : progress.waits,
        wakeups: progress.wakeups,
      })),
      data_dir: this.#options.keep ? this.#dataDir : null,
      differences: all,
    };
  }

  /** Waits until every producer has sent something: starting three processes takes a while on a busy machine. */
  async #allSend(/** @type {AbortSignal} */ over) {
    const giveUpAt = performance.now() + START_MS;
    while (!over.aborted && performance.now() < giveUpAt) {
      if (this.#producers.every(({ progress }) => progress.sent > 0)) return;
      await sleep(LOOK_EVERY_MS / 4, undefined, { signal: over }).catch(() => undefined);
    }
  }

  /** Takes the handler away, so that nothing moves any more, and reads the counters and what is left in the ring. */
  async #freeze() {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#daemon.call('DELETE', `/maps/${MAP}/handlers/${HANDLER}`);
        break;
      } catch (error) {
        // 409: a drain is under way.
        if (!(error instanceof RestError) || error.status !== 409 || attempt === 100) throw error;
        await sleep(10);
      }
    }
    const { counters } = await this.#daemon.call('GET', `/maps/${MAP}`);
    const { samples } = await this.#daemon.call('GET', `/maps/${MAP}/samples?limit=100000`);
    const { metrics } = await this.#daemon.call('GET', '/metrics');
    return { counters, samples, blocked: blockedFrames(metrics, MAP) };
  }
}

/**
 * A power of two that the steady flow of this host does not fill between two drains.
 * @param {string} procRoot
 */
function ringSizeFor(procRoot) {
  const numberer = new SampleNumberer('memory');
  const readings = [...readCpu(procRoot), readMemory(procRoot), ...readIo(procRoot)];
  const bytes = readings.reduce(
    (total, reading) => total + numberer.next(reading).length + RECORD_OVERHEAD,
    0,
  );
  const needed = (bytes * (DRAIN_EVERY_MS / READ_EVERY_MS)) / STEADY_FILL;
  return Math.min(MAX_RING_BYTES, Math.max(MIN_RING_BYTES, 2 ** Math.ceil(Math.log2(needed))));
}

function noCounters() {
  return { accepted_samples: 0, drained_samples: 0, discarded_samples: 0, drains: 0, wakeups_sent: 0 };
}
