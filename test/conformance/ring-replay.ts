import * as ringModule from '../../src/ring/index.js';
import type { Consumer, Producer, RingMode, SampleCallback, UserRing } from '../../src/ring/index.js';
import { findDifference, type Difference, type Outcome, type Replay } from './outcome.js';
import {
  isManaged,
  payloadByte,
  SAMPLE_HEAD,
  SAMPLES_KEPT,
  verdictAt,
  type DrainNestedOp,
  type DrainOp,
  type Trace,
  type TraceOp,
  type TraceSample,
} from './trace.js';

/** `src/ring`, or a copy of it with a mistake in it (mutations.ts). */
export type RingModule = typeof ringModule;

/** One of the ways in which the daemon uses a ring. All of them must answer as the kernel did. */
interface Way {
  mode: RingMode;
  shared: boolean;
  /** `call` = Consumer.drain with a callback; `runs` = peekRun and releaseRun, as for handlers that answer later. */
  drains: 'call' | 'runs';
}

const MODES: readonly RingMode[] = ['direct', 'managed'];
const WAYS: readonly Way[] = MODES.flatMap((mode) => [
  { mode, shared: false, drains: 'call' },
  { mode, shared: true, drains: 'call' },
  { mode, shared: false, drains: 'runs' },
]);

/** Small and odd, so that one drain takes several runs. */
const RUN_CAPACITY = 7;
const RUN_BYTES = 1500;

export interface RingReplayOptions {
  ring?: RingModule;
  ignoreWakeups?: boolean;
}

/**
 * Replays a trace on `src/ring` in each way that fits it: hostile producers on direct rings only, tidy ones on managed
 * rings as well. The first difference of the way that got least far is reported.
 */
export function replayOnRing(trace: Trace, options: RingReplayOptions = {}): Replay {
  let first: Difference | undefined;
  const managed = isManaged(trace);
  for (const way of WAYS) {
    if (way.mode === 'managed' && !managed) continue;
    const difference = replayOneWay(trace, way, options);
    if (difference && (!first || difference.index < first.index)) first = difference;
  }
  const identical = first ? first.index : trace.ops.length;
  return { trace: trace.name, ops: trace.ops.length, identical, ...(first && { difference: first }) };
}

function replayOneWay(trace: Trace, way: Way, options: RingReplayOptions): Difference | undefined {
  const name = `src/ring, ${way.mode}${way.shared ? ', shared' : ''}${way.drains === 'runs' ? ', in runs' : ''}`;
  const player = new RingPlayer(trace.max_entries, way, options.ring ?? ringModule);
  for (const [index, op] of trace.ops.entries()) {
    const difference = findDifference(trace, index, player.play(op), name, options.ignoreWakeups);
    if (difference) return difference;
  }
  return undefined;
}

/** Plays ops on one ring. */
class RingPlayer {
  readonly #module: RingModule;
  readonly #way: Way;
  readonly #ring: UserRing;
  readonly #producer: Producer;
  readonly #consumer: Consumer;
  /** By id. */
  readonly #reservations: number[] = [];

  constructor(maxEntries: number, way: Way, module: RingModule) {
    this.#module = module;
    this.#way = way;
    this.#ring = module.createUserRing({ maxEntries }, { mode: way.mode, shared: way.shared });
    this.#producer = new module.Producer(this.#ring);
    this.#consumer = new module.Consumer(this.#ring);
  }

  play(op: TraceOp): Outcome {
    const answer = this.#run(op);
    return {
      ...answer,
      cons: this.#ring.consumerPosition.toString(),
      prod: this.#ring.producerPosition.toString(),
    };
  }

  #run(op: TraceOp): Partial<Outcome> {
    switch (op.op) {
      case 'reserve':
        return this.#reserve(op.size);
      case 'submit':
        this.#producer.submit(this.#reservations[op.id]!);
        return {};
      case 'discard':
        this.#producer.discard(this.#reservations[op.id]!);
        return {};
      case 'write':
        return { ret: this.#producer.write(op.off, Buffer.from(op.hex, 'hex')) || undefined };
      case 'prodpos':
        this.#ring.producerPosition = BigInt(op.pos);
        return {};
      case 'drain':
      case 'drain_nested':
        return this.#drain(op);
      case 'poll':
        return { writable: this.#ring.writable };
      case 'create':
        return {
          ret: this.#module.checkAttributes({
            keySize: op.key_size,
            valueSize: op.value_size,
            maxEntries: op.max_entries,
            mapFlags: op.map_flags,
          }),
        };
    }
  }

  #reserve(size: number): Partial<Outcome> {
    const reservation = this.#producer.reserve(size);
    if (reservation < 0) return { ret: reservation };
    const id = this.#reservations.push(reservation) - 1;
    this.#producer.fill(reservation, new Uint8Array(size).fill(payloadByte(id)));
    return { ret: 0, id };
  }

  #drain(op: DrainOp | DrainNestedOp): Partial<Outcome> {
    const samples: TraceSample[] = [];
    let calls = 0;
    let nestedRet = 0;
    const callback: SampleCallback<undefined> = (sample) => {
      calls++;
      if (op.op === 'drain_nested') nestedRet = this.#consumer.drain(() => 0, undefined, op.nested_flags);
      else if (calls <= SAMPLES_KEPT)
        samples.push([sample.size, Buffer.from(sample.copy(SAMPLE_HEAD)).toString('hex')]);
      return verdictAt(op.stop_after, calls);
    };
    const ret =
      this.#way.drains === 'call'
        ? this.#consumer.drain(callback, undefined, op.flags)
        : this.#drainInRuns(callback, op.flags);
    return {
      ret,
      calls,
      samples,
      ...(op.op === 'drain_nested' && { nested_ret: nestedRet }),
      writable: this.#ring.writable,
      // A drain that was refused leaves the report of the one before it.
      wakeup_event: this.#module.isValidDrainFlags(op.flags) && this.#consumer.report.wakeup,
    };
  }

  #drainInRuns(callback: SampleCallback<undefined>, flags: number): number {
    const consumer = this.#consumer;
    const refused = consumer.begin(flags);
    if (refused !== 0) return refused;
    const run = new this.#module.SampleRun(this.#ring, RUN_CAPACITY);
    let drained = 0;
    let error = 0;
    let stopped = false;
    while (!stopped) {
      const ready = consumer.peekRun(run, RUN_BYTES);
      error = Math.min(ready, 0);
      if (ready <= 0) break;
      let released = 0;
      run.forEach((sample) => {
        if (stopped) return;
        stopped = callback(sample, undefined) === 1;
        released++;
      });
      consumer.releaseRun(run, released);
      drained += released;
    }
    consumer.end(flags);
    return error !== 0 ? error : drained;
  }
}
