import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { committedTraces } from './committed.js';
import { NetworkReplay } from './network-replay.js';
import { replayOnRing } from './ring-replay.js';
import type { Trace, TraceOp } from './trace.js';

/** A committed trace with one value changed: what a ring that behaves differently would look like. */
function forge(name: string, index: number, change: (op: TraceOp) => void): Trace {
  const trace = structuredClone(committedTraces().find((candidate) => candidate.name === name)!);
  change(trace.ops[index]!);
  return trace;
}

function change(fields: Record<string, unknown>): (op: TraceOp) => void {
  return (op) => Object.assign(op, fields);
}

const FORGERIES: [field: string, trace: Trace][] = [
  ['ret', forge('full-ring-sample', 5, change({ ret: -28 }))],
  ['cons', forge('two-samples', 4, change({ cons: '72' }))],
  ['prod', forge('two-samples', 0, change({ prod: '48' }))],
  ['calls', forge('two-samples', 4, change({ calls: 1 }))],
  ['wakeup_event', forge('wakeup-flags', 2, change({ wakeup_event: true }))],
  ['wakeup_event', forge('two-samples', 4, change({ wakeup_event: false }))],
  ['writable', forge('full-ring-sample', 1, change({ writable: true }))],
  ['samples[1].length', forge('two-samples', 4, (op) => (samplesOf(op)[1]![0] = 31))],
  ['samples[1].head', forge('two-samples', 4, (op) => (samplesOf(op)[1]![1] = '00'.repeat(16)))],
  ['samples.length', forge('two-samples', 4, (op) => void samplesOf(op).pop())],
  ['ret', forge('create', 0, change({ ret: -22 }))],
  ['ret', forge('create', 1, change({ ret: 0 }))],
];

function samplesOf(op: TraceOp): [number, string][] {
  if (op.op !== 'drain') throw new TypeError(`a ${op.op} has no samples`);
  return op.samples;
}

describe('a trace that ringbufd does not agree with', () => {
  let daemon: NetworkReplay;
  beforeAll(async () => {
    daemon = await NetworkReplay.start();
  });
  afterAll(() => daemon.close());

  it.each(FORGERIES)('differs in %s on src/ring, at the op that was changed', (field, trace) => {
    const { difference, identical } = replayOnRing(trace);
    expect(difference).toMatchObject({ trace: trace.name, field, index: identical });
    expect(difference!.expected).not.toBe(difference!.actual);
  });

  it.each(FORGERIES)('differs in %s over the network too', async (field, trace) => {
    const onRing = replayOnRing(trace).difference;
    const [replay] = await daemon.replay([trace]);
    expect(replay!.difference).toMatchObject({ field, index: onRing!.index, expected: onRing!.expected });
  });

  it('differs in nested_ret and nested calls on src/ring', () => {
    const nested = forge('nested-busy', 8, change({ nested_ret: 0 }));
    expect(replayOnRing(nested).difference).toMatchObject({
      op: 'drain_nested',
      field: 'nested_ret',
      index: 8,
    });
  });

  it('passes when only wakeups differ and these are left out', () => {
    const trace = forge('wakeup-flags', 2, change({ wakeup_event: true }));
    expect(replayOnRing(trace, { ignoreWakeups: true }).difference).toBeUndefined();
  });

  it('does not keep the daemon from the traces after it', async () => {
    const good = committedTraces().slice(0, 3);
    const replays = await daemon.replay([FORGERIES[0]![1], ...good]);
    expect(replays.map(({ difference }) => difference?.field)).toEqual([
      'ret',
      undefined,
      undefined,
      undefined,
    ]);
  });
});
