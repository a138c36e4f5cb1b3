import type { FileHeader } from '../../src/server/journal/file-header.js';
import type { Recovery } from '../../src/server/journal/recovery.js';
import { emptyFile, JournalRig, recoverFrom, type ModelRecord, type ModelState } from './journal-rig.js';
import { RecordingFile, turn, UndoableFile, type DiskEvent } from './simulated-disk.js';
import { UnsyncedWrites } from './unsynced-writes.js';

/** How the machine stops: the disk keeps any of what was not synced, or the process ends and the cache stays. */
export type Fault = 'power' | 'kill';

export interface SimulationOptions {
  seed: number;
  durability: 'written' | 'synced';
  fault: Fault;
  /** Commits are carried out in the event loop, as those of `written` maps: writes are over at once, out of the ring. */
  isInLoop?: boolean;
  /** Steps of the workload between two restarts. */
  steps: number;
  /** Restarts, each from a cut of the run before. */
  restarts: number;
  /** Seeded subsets of the unsynced sectors that are tried at each cut, besides none, all and each prefix. */
  subsets: number;
}

export interface SimulationReport {
  /** Moments at which the machine stopped: behind each write, sync, snapshot and acknowledgement. */
  cuts: number;
  recoveries: number;
  /** Recoveries that found the commit that was under way complete. */
  ahead: number;
  /** Cuts at which more than one write was in flight. */
  overlapping: number;
}

interface Mark {
  readonly phase: 'snapshot' | 'durable';
  readonly state: ModelState;
}

/**
 * Records what a journal writes and syncs under a random workload, then stops the machine at every point of it in many
 * ways and compares what is recovered with what was acknowledged.
 * @throws Error that names seed and cut, when something acknowledged is missing or something is there that never was
 */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const report: SimulationReport = { cuts: 0, recoveries: 0, ahead: 0, overlapping: 0 };
  const random = randomFrom(options.seed);
  const { bytes, header } = emptyFile({ durability: options.durability, salt: options.seed + 1 });
  let image = bytes;
  for (let restart = 0; restart <= options.restarts; restart++) {
    const run = await recordRun(image, header, options, random);
    image = await checkRun(run, header, options, random, report, `restart ${restart}`);
  }
  return report;
}

interface Run {
  readonly before: Uint8Array;
  readonly atStart: ModelState;
  readonly events: readonly DiskEvent[];
}

async function recordRun(
  image: Uint8Array,
  header: FileHeader,
  { steps, durability, isInLoop = false }: SimulationOptions,
  random: () => number,
): Promise<Run> {
  const before = image.slice();
  const file = new RecordingFile(image, () => (isInLoop ? 0 : 1 + Math.floor(random() * 4)));
  const recovery = await recoverFrom(file, header);
  const rig = new JournalRig(file, header, recovery, { durability, sliceBytes: 1024, isInLoop });
  const atStart = rig.state;
  rig.onSnapshot = (state) => file.mark({ phase: 'snapshot', state } satisfies Mark);
  rig.onDurable = (state) => file.mark({ phase: 'durable', state } satisfies Mark);
  for (let step = 0; step < steps; step++) {
    await workStep(rig, random);
    if (rig.failures.length > 0) throw new Error(`the journal failed: ${rig.failures.join()}`);
  }
  const events = [...file.events];
  // What is still to come must not reach into the memory of the next run.
  await rig.journal.settled();
  return { before, atStart, events };
}

async function workStep(rig: JournalRig, random: () => number): Promise<void> {
  const below = (bound: number): number => Math.floor(random() * bound);
  const payload = (): Uint8Array => {
    // Mostly short, some that span several sectors and slices; often of the same few sizes, so that what one lap or one
    // cut-short commit has left lies exactly where the next record goes.
    const length = random() < 0.8 ? 16 * below(4) : below(1800);
    return Uint8Array.from({ length }, () => below(256));
  };
  const open = rig.openReservations;
  const choice = random();
  if (choice < 0.35) {
    rig.output(`p${below(3)}`, Array.from({ length: below(5) }, payload));
  } else if (choice < 0.45) {
    rig.reserve(payload().length);
  } else if (choice < 0.6 && open.length > 0) {
    rig.end(open[below(open.length)]!, random() < 0.7 ? 'sample' : 'discard', payload());
  } else if (choice < 0.8) {
    rig.release(below(8));
  } else if (choice < 0.84) {
    // More than the 16 KiB that a commit record holds: a producer table is due.
    for (let id = 0; id < 36; id++) rig.output(`${'long-name-'.repeat(6)}${id}`.slice(0, 64), []);
  } else if (choice < 0.86) {
    rig.forget(`p${below(3)}`);
  } else if (choice < 0.9) {
    await rig.journal.settled();
  } else {
    await turn();
  }
}

/** Stops the machine at every event of a run; returns the image that one of the recoveries left, for the next run. */
async function checkRun(
  run: Run,
  header: FileHeader,
  options: SimulationOptions,
  random: () => number,
  report: SimulationReport,
  where: string,
): Promise<Uint8Array> {
  const disk = run.before.slice();
  const unsynced = new UnsyncedWrites();
  let acknowledged = run.atStart;
  let begun = run.atStart;
  let left = run.before;
  // What was only handed to the operating system may be lost with the power; it must not turn into something else.
  const promisesNothing = options.durability === 'written' && options.fault === 'power';
  const sent = new Set(run.atStart.records.map(fingerprint));
  const keepAt = Math.floor(run.events.length * (0.5 + random() / 2));
  for (const [index, event] of run.events.entries()) {
    if (event.kind === 'begin') {
      unsynced.begin(event.id, event.at, event.bytes);
    } else if (event.kind === 'end') {
      unsynced.end(event.id);
      // The page cache outlives the process.
      if (options.fault === 'kill') unsynced.reach(disk, new Set([event.id]));
      // Whatever the disk may hold now, it could have held before.
      continue;
    } else if (event.kind === 'sync') {
      unsynced.reach(disk, event.covers);
    } else {
      const { phase, state } = event.mark as Mark;
      if (phase === 'snapshot') begun = state;
      else acknowledged = state;
      for (const record of state.records) sent.add(fingerprint(record));
    }
    report.cuts++;
    if (unsynced.inFlight > 1) report.overlapping++;
    const ways =
      options.fault === 'kill'
        ? unsynced.tornWrites(options.subsets, random)
        : unsynced.anySectors(options.subsets, random, !promisesNothing);
    const keepWay = Math.floor(random() * ways.length);
    for (const [number, pieces] of ways.entries()) {
      const file = new UndoableFile(disk);
      for (const { at, bytes } of pieces) file.apply(at, bytes);
      report.recoveries++;
      let recovery: Recovery;
      try {
        recovery = await recoverFrom(file, header);
        const found = modelOf(recovery);
        if (promisesNothing) {
          const forged = found.records.find(
            (record) => record.kind === 'sample' && !sent.has(fingerprint(record)),
          );
          if (forged !== undefined) throw new Error(`the sample at ${forged.position} was never sent`);
          file.rollBack();
          continue;
        }
        const wrong = difference(found, acknowledged, acknowledged, begun);
        const wrongAhead = wrong === undefined ? undefined : difference(found, begun, acknowledged, begun);
        if (wrongAhead !== undefined) throw new Error(`${wrong}; as the commit under way: ${wrongAhead}`);
        if (wrong !== undefined) report.ahead++;
        if (recovery.found!.quarantined.length > 0) throw new Error('something undamaged was quarantined');
      } catch (error) {
        // All four commit slots may be torn then; the daemon sets such a file aside and begins anew.
        if (promisesNothing && String(error).includes('no commit record verifies')) {
          file.rollBack();
          continue;
        }
        throw new Error(
          `seed ${options.seed}, ${options.durability}, ${options.fault}, ${where}, event ${index} (${event.kind}), way ${number} of ${ways.length}: ${String(error)}`,
          { cause: error },
        );
      }
      if (index === keepAt && number === keepWay) left = disk.slice();
      file.rollBack();
    }
  }
  return left;
}

function fingerprint({ position, payload }: ModelRecord): string {
  return `${position}:${Buffer.from(payload).toString('base64')}`;
}

/** What a recovery found, in the words of the model. */
export function modelOf({ found, records, start }: Recovery): ModelState {
  const list: ModelRecord[] = [];
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  for (let at = 0; at < records.length;) {
    const word = view.getUint32(at, true);
    const length = word & 0x3fffffff;
    const size = (length + 15) & ~7;
    list.push({
      position: start + BigInt(at),
      size,
      kind: (word & 0x40000000) !== 0 ? 'discard' : word >= 0x80000000 ? 'reservation' : 'sample',
      payload: records.slice(at + 8, at + 8 + length),
    });
    at += size;
  }
  return {
    producerPos: found!.producerPos,
    consumerPos: found!.consumerPos,
    producers: new Map(found!.producers.map((state) => [state.id, state])),
    counters: found!.counters,
    runs: found!.runs,
    records: list,
  };
}

/**
 * Why `found` is not `expected`. A reservation that ended in the commit under way, which nobody has acknowledged, may be
 * found as a sample or as a discard.
 */
function difference(
  found: ModelState,
  expected: ModelState,
  acknowledged: ModelState,
  begun: ModelState,
): string | undefined {
  if (found.producerPos !== expected.producerPos || found.consumerPos !== expected.consumerPos)
    return `positions ${found.consumerPos}..${found.producerPos}, not ${expected.consumerPos}..${expected.producerPos}`;
  const producers = (state: ModelState): string =>
    JSON.stringify(
      [...state.producers.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
      (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
    );
  if (producers(found) !== producers(expected)) return 'producer states differ';
  if (JSON.stringify(found.counters) !== JSON.stringify(expected.counters)) return 'counters differ';
  if (JSON.stringify(found.runs) !== JSON.stringify(expected.runs)) return 'runs differ';
  if (found.records.length !== expected.records.length) return 'another number of records';
  for (const [index, wanted] of expected.records.entries()) {
    const record = found.records[index]!;
    if (record.position !== wanted.position || record.size !== wanted.size)
      return `a record of ${record.size} bytes at ${record.position}`;
    const recordIn = (state: ModelState): ModelRecord | undefined =>
      state.records.find(({ position }) => position === wanted.position);
    const ended = recordIn(begun);
    const endsNow = recordIn(acknowledged)?.kind === 'reservation' || wanted.kind === 'reservation';
    const same = (other: ModelRecord): boolean => Buffer.from(record.payload).equals(other.payload);
    const fits =
      record.kind === 'sample'
        ? (wanted.kind === 'sample' && same(wanted)) || (endsNow && ended?.kind === 'sample' && same(ended))
        : record.kind === 'discard' && (wanted.kind !== 'sample' || endsNow);
    if (!fits) return `the record at ${record.position} is a ${record.kind}, not the ${wanted.kind} it was`;
  }
  return undefined;
}

/** A small seeded generator (mulberry32): numbers from 0 to 1. */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
