import { describe, expect, it } from 'vitest';
import { committedTraces } from './committed.js';
import { findDifference } from './outcome.js';
import { isManaged, payloadByte, verdictAt, wakeupOf, type DrainOp, type Trace } from './trace.js';

const drain: DrainOp = {
  op: 'drain',
  flags: 0,
  stop_after: -1,
  ret: 1,
  calls: 1,
  wakeup_event: false,
  writable: false,
  samples: [],
  cons: '16',
  prod: '8208',
};

describe('whether a drain woke its waiters', () => {
  it('is what the trace shows where the ring was writable after it', () => {
    expect(wakeupOf({ ...drain, writable: true }, '8')).toBe(false);
    expect(wakeupOf({ ...drain, writable: true, wakeup_event: true, flags: 1 }, '8')).toBe(true);
  });

  it.each([
    [0, '8', true],
    [0, '16', false],
    [1, '8', false],
    [2, '16', true],
    [3, '16', true],
    [4, '8', false],
    [2 ** 32 + 2, '8', false],
  ])('follows the rule elsewhere: flags %d, consumer position from %s to 16: %s', (flags, before, wakes) => {
    expect(wakeupOf({ ...drain, flags }, before)).toBe(wakes);
  });

  it('is compared in committed drains that left the ring unwritable, too', () => {
    const trace = committedTraces().find(({ name }) => name === 'over-advanced-zeros')!;
    const index = trace.ops.findIndex(
      (op) => op.op === 'drain' && op.flags === 0 && op.calls > 0 && !op.writable,
    );
    const op = trace.ops[index] as DrainOp;
    expect(op.wakeup_event).toBe(false);
    const outcome = { cons: op.cons, prod: op.prod };
    expect(findDifference(trace, index, { ...outcome, wakeup_event: true }, 'a test')).toBeUndefined();
    expect(findDifference(trace, index, { ...outcome, wakeup_event: false }, 'a test')).toMatchObject({
      field: 'wakeup_event',
      expected: 'true',
    });
  });
});

describe('a trace', () => {
  const at = { cons: '0', prod: '0' };
  const trace = (...ops: Trace['ops']): Trace => ({ name: 't', max_entries: 4096, ops });

  it('is for a managed map unless it writes raw or ends a reservation twice', () => {
    const tidy: Trace['ops'] = [
      { op: 'reserve', size: 8, ret: 0, id: 0, ...at },
      { op: 'submit', id: 0, ...at },
    ];
    expect(isManaged(trace(...tidy))).toBe(true);
    expect(isManaged(trace(...tidy, { op: 'discard', id: 0, ...at }))).toBe(false);
    expect(isManaged(trace({ op: 'write', off: 0, hex: '', ...at }))).toBe(false);
    expect(isManaged(trace({ op: 'prodpos', pos: '0', ...at }))).toBe(false);
  });

  it('fills payloads with a byte of the id', () => {
    expect([0, 1, 7].map(payloadByte)).toEqual([11, 48, 14]);
  });

  it('stops its callback at the call that it names, and at every later one', () => {
    expect([1, 2, 3].map((call) => verdictAt(2, call))).toEqual([0, 1, 1]);
    expect([1, 2].map((call) => verdictAt(0, call))).toEqual([1, 1]);
    expect([1, 2].map((call) => verdictAt(-1, call))).toEqual([0, 0]);
  });
});
